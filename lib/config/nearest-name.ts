/** The suggestion in "unknown option" messages: the known names that were most likely meant, or none. */

/**
 * The candidates that `name` was probably meant to be, at most three, best first. Case and the difference of - and _ do
 * not count. First come those with the same words in another form or order (`max_client_connections`), then typing
 * mistakes, which are a fifth of the letters at most (a swap of neighbours is one), then those that have the same words
 * and others beside them (`connect_timeout`). A name with a word of its own gets no suggestion: a wrong one sends people
 * astray.
 */
export function nearestNames(name: string, candidates: Iterable<string>): string[] {
  const wanted = normalize(name)
  if (wanted === '' || wanted.length > 64) return []
  const all = [...candidates]
  const same = sameWords(wanted, all)
  if (same.beside === 0) return same.names
  let fewest = Math.min(MAX_EDITS, Math.max(1, Math.floor(wanted.length / 5)))
  let found: string[] = []
  for (const candidate of all) {
    const other = normalize(candidate)
    const edits = editDistance(wanted, other)
    if (edits > fewest || hasAnotherWord(wanted, other)) continue
    if (edits < fewest) found = []
    fewest = edits
    found.push(candidate)
  }
  return found.length > 0 ? found.slice(0, 3) : same.names
}

/** More wrong letters than these are another name, however long. */
const MAX_EDITS = 3

/** Whether one word stands for another one, as in `max_connections` and `log_connections`. */
function hasAnotherWord(a: string, b: string): boolean {
  const [ours, theirs] = [words(a), words(b)]
  if (ours.length !== theirs.length) return false
  return ours.some((word, i) => editDistance(word, theirs[i]!) > Math.max(1, Math.floor(word.length / 3)))
}

/** Candidates that have all words of `wanted`, those with the fewest others `beside` them; none where these are many. */
function sameWords(wanted: string, candidates: string[]): { names: string[]; beside: number } {
  let fewest = Number.POSITIVE_INFINITY
  let found: string[] = []
  for (const candidate of candidates) {
    const others = othersBeside(words(wanted), words(normalize(candidate)))
    if (others === undefined || others > fewest) continue
    if (others < fewest) found = []
    fewest = others
    found.push(candidate)
  }
  return { names: found.length <= 3 ? found : [], beside: fewest }
}

/** How many words of `candidate` have no partner among `wanted`; undefined where one of `wanted` has none. */
function othersBeside(wanted: string[], candidate: string[]): number | undefined {
  const left = [...candidate]
  for (const word of wanted) {
    const at = left.findIndex((other) => isSameWord(word, other))
    if (at === -1) return undefined
    left.splice(at, 1)
  }
  return left.length
}

/** Abbreviations (`conn`, `connections`), plurals and one wrong letter in a long word do not make another word. */
function isSameWord(a: string, b: string): boolean {
  if (a === b) return true
  const [short, long] = a.length < b.length ? [a, b] : [b, a]
  return short.length >= 3 && (long.startsWith(short) || (short.length >= 5 && editDistance(a, b) === 1))
}

function words(name: string): string[] {
  return name.split('_').filter((word) => word !== '')
}

function normalize(name: string): string {
  return name.toLowerCase().replaceAll('-', '_')
}

/** Damerau-Levenshtein distance in its restricted form (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let value = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + cost)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        value = Math.min(value, beforeLast[j - 2]! + 1)
      }
      row.push(value)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}
