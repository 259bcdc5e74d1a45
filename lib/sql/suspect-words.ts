/**
 * The words by which a statement is suspected to reach a function that may change its session (function-sources.ts), and
 * whether a text has one. Names of functions count where they are called, all others wherever they stand; a name that is
 * a keyword only where it is quoted or behind a dot, because the keyword is no name anywhere else. Pure.
 *
 * May suspect too much. Its time does not grow with the number of words.
 */

import { IDENTIFIER_BYTES } from './tokens.ts'

/** How a name can be used. */
export interface SuspectWord {
  word: string
  /** Nothing but a call: the name of functions that have no other notation. */
  call: boolean
  /** It is a keyword in this place: as a name it is quoted or qualified. */
  keyword: boolean
}

/** Whether texts are suspected. */
export interface Suspicion {
  test(text: string): boolean
}

/** Of every text. */
export const EVERYTHING: Suspicion = { test: () => true }

const NAME = /[a-z_\x80-\uffff][\w$\x80-\uffff]*/gi
/** Names that are spelled without quotes, but for their case. */
const PLAIN = /^[a-z_][a-z0-9_$]*$/
/** Letters outside of ASCII, of which it is not known how the client's encoding spells them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
const FOREIGN = /[^\x00-\x7f]/
/** A name written with escapes may be any other. */
const ESCAPED = /u&"/i
/** A dot with a comment between it and the name. */
const DOT_AND_COMMENT = /\.\s*(?:--|\/\*)/
/** Names that have to be looked for one by one: of more, every text with a quoted name is suspected. */
const ODD_LIMIT = 20

/** A quoted identifier that PostgreSQL cuts off. */
const LONG_QUOTED = /"[^"]{64}/

const ANYWHERE = 1
const CALLED = 2
const QUOTED = 4
const QUOTED_CALLED = 8

/** What `words` make suspicious; undefined where there is none. */
export function suspicionOf(words: readonly SuspectWord[]): Suspicion | undefined {
  if (words.length === 0) return undefined
  if (words.some(({ word }) => word === '')) return EVERYTHING
  return new SuspectWords(words)
}

class SuspectWords implements Suspicion {
  readonly #plain = new Map<string, number>()
  /** As they are written, in lower case. */
  readonly #odd: string[] = []
  #foreign = false

  constructor(words: readonly SuspectWord[]) {
    for (const { word, call, keyword } of words) {
      if (FOREIGN.test(word)) this.#foreign = true
      else if (PLAIN.test(word)) {
        const use = keyword ? (call ? QUOTED_CALLED : QUOTED) : call ? CALLED : ANYWHERE
        this.#plain.set(word, (this.#plain.get(word) ?? 0) | use)
      } else this.#odd.push(`"${word.replaceAll('"', '""')}"`)
    }
  }

  test(text: string): boolean {
    if (ESCAPED.test(text) || (this.#foreign && FOREIGN.test(text))) return true
    if (this.#odd.length > 0 && this.#hasOdd(text)) return true
    if (this.#plain.size === 0) return false
    const hidden = DOT_AND_COMMENT.test(text)
    NAME.lastIndex = 0
    for (let match = NAME.exec(text); match !== null; match = NAME.exec(text)) {
      const use = this.#plain.get(match[0].slice(0, IDENTIFIER_BYTES).toLowerCase())
      if (use !== undefined && isUsed(text, match.index, NAME.lastIndex, use, hidden)) return true
    }
    return false
  }

  #hasOdd(text: string): boolean {
    if (!text.includes('"')) return false
    if (this.#odd.length > ODD_LIMIT) return true
    if (LONG_QUOTED.test(text)) return true
    const lower = text.toLowerCase()
    return this.#odd.some((name) => lower.includes(name))
  }
}

/** @param hidden what stands before a name may be a comment behind a dot */
function isUsed(text: string, from: number, to: number, use: number, hidden: boolean): boolean {
  if ((use & ANYWHERE) !== 0) return true
  const called = (use & (CALLED | QUOTED_CALLED)) !== 0 && isCalled(text, to)
  if (called && (use & CALLED) !== 0) return true
  return (called || (use & QUOTED) !== 0) && (hidden || isName(text, from))
}

/** A parenthesis follows, or a comment, which it may stand behind. */
function isCalled(text: string, end: number): boolean {
  let at = end
  while (text[at] === '"' || isBlank(text, at)) at++
  return text[at] === '(' || text.startsWith('--', at) || text.startsWith('/*', at)
}

/** It is quoted or behind a dot. */
function isName(text: string, from: number): boolean {
  let at = from - 1
  while (isBlank(text, at)) at--
  return text[at] === '"' || text[at] === '.'
}

function isBlank(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code === 0x20 || (code >= 0x09 && code <= 0x0d)
}
