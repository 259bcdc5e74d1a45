/** LIKE of PostgreSQL: % stands for any text, _ for one character, a backslash for what follows it. Pure. */

/** Whether `text` is like `pattern`; `exact` where the case of letters counts. */
export function likePattern(text: string, pattern: string, exact: boolean): boolean {
  const value = exact ? text : text.toLowerCase()
  const parts = partsOf(exact ? pattern : pattern.toLowerCase())
  // Where the pattern goes on behind the last %, and where the text that it stands for ends: the shortest first.
  let retryPart = -1
  let retryAt = 0
  let part = 0
  let at = 0
  while (at < value.length) {
    const wanted = parts[part]
    if (wanted === ANY_TEXT) {
      retryPart = ++part
      retryAt = at
    } else if (wanted !== undefined && (wanted === ANY_CHARACTER || wanted === value[at])) {
      part++
      at++
    } else if (retryPart >= 0) {
      part = retryPart
      at = ++retryAt
    } else return false
  }
  while (parts[part] === ANY_TEXT) part++
  return part === parts.length
}

const ANY_TEXT = Symbol('%')
const ANY_CHARACTER = Symbol('_')

function partsOf(pattern: string): (string | typeof ANY_TEXT | typeof ANY_CHARACTER)[] {
  const parts: (string | typeof ANY_TEXT | typeof ANY_CHARACTER)[] = []
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at]!
    if (char === '%') parts.push(ANY_TEXT)
    else if (char === '_') parts.push(ANY_CHARACTER)
    else if (char === '\\' && at + 1 < pattern.length) parts.push(pattern[++at]!)
    else parts.push(char)
  }
  return parts
}
