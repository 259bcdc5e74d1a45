/**
 * By what a statement is told from others, whatever its literals are: its normalized text (normal-text.ts) and a number
 * made of that. Literals and parameters of a text are shown as PostgreSQL's pg_stat_statements shows them, as `$1` and so on,
 * literals numbered behind the parameters: such a text can be given to EXPLAIN (GENERIC_PLAN). A list of which elements were
 * left out ends in a comment. The number is the same in every process, so that statistics of several can be added up.
 *
 * Costs less than a microsecond for a small text, and allocates nothing for a statement that is known. Pure.
 */

import { LITERAL_MARK, NormalText, REPEATED_MARK, SHOWN_LIMIT } from './normal-text.ts'

/** One statement. */
export interface Fingerprint {
  /** 16 hexadecimal digits of the whole normalized text. */
  readonly id: string
  /** The normalized text, up to a length. */
  readonly text: string
  /** One command that reads or writes tables, and nothing but it: no other statement is behind a semicolon. */
  readonly single: boolean
}

const SINGLE = new Set(['select', 'insert', 'update', 'delete', 'merge', 'values', 'table', 'with'])
const REPEATED = ' /*, ... */'
const CUT = ' ...'

/** Known ones: sets of so many each, of which the oldest goes, so that nobody can make the search long. */
const SETS = 1024
const WAYS = 4
/** Normalized texts up to this length are read into the same memory again. */
const KEPT_LENGTH = 65_536

interface Known extends Fingerprint {
  readonly low: number
  readonly high: number
}

const known: (Known | undefined)[] = new Array<Known | undefined>(SETS * WAYS).fill(undefined)
/** Which of a set goes next. */
const turns = new Uint8Array(SETS)
let normal = new NormalText()
let low = 0
let high = 0

/** The fingerprint of the text in `bytes` from `from` to `to`, which may be the beginning of a longer one. */
export function fingerprintOf(bytes: Uint8Array, from = 0, to = bytes.length): Fingerprint {
  normal.read(bytes, from, to, false)
  hash(normal.words, normal.length)
  const set = low & (SETS - 1)
  const first = set * WAYS
  for (let i = first; i < first + WAYS; i++) {
    const entry = known[i]
    if (entry !== undefined && entry.low === low && entry.high === high) return entry
  }
  normal.read(bytes, from, to, true)
  const made = make(normal)
  known[first + turns[set]!] = made
  turns[set] = (turns[set]! + 1) % WAYS
  if (normal.bytes.length > KEPT_LENGTH) normal = new NormalText()
  return made
}

function make(normal: NormalText): Known {
  return {
    low,
    high,
    id: (high >>> 0).toString(16).padStart(8, '0') + (low >>> 0).toString(16).padStart(8, '0'),
    text: textOf(normal),
    single: !normal.several && !normal.cut && SINGLE.has(firstWord(normal)),
  }
}

/** What is shown of it. */
function textOf({ shown, shownLength, highest, cut }: NormalText): string {
  let text = ''
  let number = highest
  let from = 0
  const until = (to: number): string => Buffer.from(shown.subarray(from, to)).toString('utf8')
  for (let i = 0; i < shownLength && text.length < SHOWN_LIMIT; i++) {
    const mark = shown[i]!
    if (mark !== LITERAL_MARK && mark !== REPEATED_MARK) continue
    text += until(i) + (mark === LITERAL_MARK ? `$${++number}` : REPEATED)
    from = i + 1
  }
  text += until(shownLength)
  if (shownLength < SHOWN_LIMIT && text.length <= SHOWN_LIMIT) return cut ? text + CUT : text
  return text.slice(0, SHOWN_LIMIT - CUT.length) + CUT
}

function firstWord({ bytes, length }: NormalText): string {
  let end = 0
  while (end < length && end < 10 && bytes[end]! >= 0x20) end++
  return String.fromCharCode(...bytes.subarray(0, end))
}

/** Sets `low` and `high` by `length` bytes, of which four at a time are mixed into two sums. */
function hash(words: Int32Array, length: number): void {
  let a = 0x811c9dc5 | 0
  let b = 0x9747b28c | 0
  const count = (length + 3) >> 2
  for (let i = 0; i < count; i++) {
    const word = words[i]!
    a = Math.imul(a ^ word, 0x9e3779b1)
    a ^= a >>> 15
    b = Math.imul(((b << 13) | (b >>> 19)) ^ word, 0x85ebca77)
  }
  low = mixed(a ^ (b >>> 15))
  high = mixed(b + length)
}

function mixed(value: number): number {
  let h = value
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
