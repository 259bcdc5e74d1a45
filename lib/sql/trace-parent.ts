/**
 * The span of the application that an SQL text belongs to, as sqlcommenter writes it: a comment with
 * `traceparent='00-…'` and perhaps `tracestate='…'` (W3C Trace Context). Nothing of a literal, a name or a comment that
 * ends with its line counts. Goes through a text once, and only where the word is in it. Pure.
 */

import { decodePercent } from '../config/url-parts.ts'
import { IN_WORD } from './byte-kinds.ts'
import { commentEnd, dollarEnd, lineEnd, stringEnd } from './literal-ends.ts'

/** A span of another program. Its trace is recorded: who decides that has said so. */
export interface TraceParent {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** 16 hexadecimal digits. */
  readonly spanId: string
  /** What vendors pass on with the trace; '' for nothing. */
  readonly state: string
}

const PARENT = 'traceparent'
const STATE = 'tracestate'

const DOUBLE_QUOTE = 0x22
const DOLLAR = 0x24
const QUOTE = 0x27
const STAR = 0x2a
const DASH = 0x2d
const SLASH = 0x2f
const SMALL_LETTER = 0x20
const LETTER_E = 0x65

/** "Version, trace, span, flags"; later versions may have more behind another dash. */
const VERSIONED = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-|$)/
const NO_VERSION = 'ff'
const ZEROS = /^0+$/
const SAMPLED = 1

/** So much of a tracestate is passed on at least, says the standard; of a longer one nothing. */
const STATE_LIMIT = 512
const PRINTABLE = /^[\x20-\x7e]+$/

/** That of the text in `bytes` from `from` to `to`; undefined where there is none, or its trace is not recorded. */
export function traceParentOf(bytes: Buffer, from = 0, to = bytes.length): TraceParent | undefined {
  const first = bytes.indexOf(PARENT, from)
  if (first < 0 || first >= to) return undefined
  for (let at = from; at < to; ) {
    const end = tokenEnd(bytes, at, to)
    if (end < 0) return undefined
    if (bytes[at] === SLASH && end - at > 2) {
      const found = inComment(bytes.toString('latin1', at + 2, end - 2))
      if (found !== undefined) return found === NOT_SAMPLED ? undefined : found
    }
    at = end
  }
  return undefined
}

/** Where the word, literal, name, comment or single character at `at` ends; -1 where nobody can tell. */
function tokenEnd(bytes: Buffer, at: number, to: number): number {
  const byte = bytes[at]!
  const next = at + 1 < to ? bytes[at + 1]! : 0
  switch (byte) {
    case QUOTE:
      return stringEnd(bytes, at, to, false)
    case DOUBLE_QUOTE: {
      const quote = bytes.indexOf(DOUBLE_QUOTE, at + 1)
      return quote < 0 || quote >= to ? to : quote + 1
    }
    case DOLLAR: {
      let tag = at + 1
      while (tag < to && IN_WORD[bytes[tag]!] === 1 && bytes[tag] !== DOLLAR) tag++
      // A parameter is no tag: those do not begin with a digit.
      if (tag === to || bytes[tag] !== DOLLAR || (next >= 0x30 && next <= 0x39)) return tag
      return dollarEnd(bytes, at, tag + 1, to)
    }
    case SLASH:
      return next === STAR ? commentEnd(bytes, at, to) : at + 1
    case DASH:
      return next === DASH ? lineEnd(bytes, at, to) : at + 1
  }
  if (IN_WORD[byte] !== 1) return at + 1
  if (next === QUOTE && (byte | SMALL_LETTER) === LETTER_E) return stringEnd(bytes, at + 1, to, true)
  let end = at + 1
  while (end < to && IN_WORD[bytes[end]!] === 1) end++
  return end
}

/** There is one, and its trace is not recorded. */
const NOT_SAMPLED = 'not sampled'

function inComment(comment: string): TraceParent | typeof NOT_SAMPLED | undefined {
  const parent = pairValue(comment, PARENT)
  const [, version, traceId = '', spanId = '', flags = '', rest] = VERSIONED.exec(parent ?? '') ?? []
  if (version === undefined || version === NO_VERSION || (version === '00' && rest !== '')) return undefined
  if (ZEROS.test(traceId) || ZEROS.test(spanId)) return undefined
  if ((Number.parseInt(flags, 16) & SAMPLED) === 0) return NOT_SAMPLED
  const state = pairValue(comment, STATE) ?? ''
  return { traceId, spanId, state: state.length <= STATE_LIMIT && PRINTABLE.test(state) ? state : '' }
}

/** The value of `key` among pairs like `key='value'`, without its percent code. What is in a value is no key. */
function pairValue(comment: string, key: string): string | undefined {
  for (let at = 0; ; ) {
    const equals = comment.indexOf("='", at)
    const end = equals < 0 ? -1 : closingQuote(comment, equals + 2)
    if (end < 0) return undefined
    const begin = equals - key.length
    const separate = begin === at || (begin > at && !/[\w.%-]/.test(comment[begin - 1]!))
    if (separate && comment.startsWith(key, begin)) return decodePercent(comment.slice(equals + 2, end))
    at = end + 1
  }
}

/** The first quote from `at` on that no backslash stands in front of; -1 for none. */
function closingQuote(comment: string, at: number): number {
  for (let to = at; to < comment.length; to++) {
    if (comment[to] === '\\') to++
    else if (comment[to] === "'") return to
  }
  return -1
}
