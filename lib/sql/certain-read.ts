/**
 * Whether a text is certainly one statement that only reads, so that a standby may run it in the place of the primary:
 * SELECT, VALUES, TABLE or WITH, without row locks and without INTO, that calls nothing but what PostgreSQL calls stable or
 * immutable, and asks for nothing that is of one server alone. Where in doubt, it is no such text. Pure.
 */

import { isToken, isWord, splitStatements, type Token } from './tokens.ts'

/** What one database has: what may be called, and what must not be named, in lower case. */
export interface ReadWords {
  /** Functions that are stable or immutable, all of that name, and keywords in front of a parenthesis. */
  readonly called: ReadonlySet<string>
  /** Views, tables with policies, types and the like that lead to others, and what a standby does not have. */
  readonly avoided: ReadonlySet<string>
}

const BEGINNINGS = new Set(['select', 'values', 'table', 'with'])
/** Words of statements that write, or lock rows, and one that changes what a name is: hardly a query needs them. */
const WRITING = new Set(['insert', 'update', 'delete', 'merge', 'into', 'share', 'returning', 'uescape'])
/** Behind a call they open a clause of it, and call nothing. */
const CLAUSES = new Set(['over', 'filter'])
/** PostgreSQL's functions and views with such names say something of the one server that is asked, or fail on a standby. */
const OWN = /^(?:pg|txid)_/
const FOREIGN = /[\x80-\uffff]/
/** UTF-16 units of a text that is looked at. */
const LIMIT = 16_384

/** True where `text` (latin1) is certainly a read by `words`. */
export function isCertainRead(text: string, words: ReadWords): boolean {
  // What a backslash means in a string depends on the session.
  if (text.length > LIMIT || text.includes('\\')) return false
  const statements = splitStatements(text)
  if (statements === undefined || statements.length !== 1) return false
  const [tokens] = statements as [Token[]]
  const first = tokens.find((token) => !isToken(token, '('))
  if (first?.kind !== 'word' || !BEGINNINGS.has(first.text)) return false
  return tokens.every((token, i) => isHarmless(token, tokens[i - 1], tokens[i + 1], words))
}

function isHarmless(token: Token, before: Token | undefined, after: Token | undefined, words: ReadWords): boolean {
  const { kind, text } = token
  if (kind !== 'word' && kind !== 'name') return true
  // How a name of other letters is written depends on the encoding.
  if (FOREIGN.test(text) || (kind === 'word' && WRITING.has(text))) return false
  const folded = text.toLowerCase()
  if (OWN.test(folded) || words.avoided.has(folded)) return false
  if (!isToken(after, '(') || words.called.has(text)) return true
  // `AS alias (columns)`, `AS type (modifier)`; `f(x) OVER (…)`.
  return isWord(before, 'as') || (kind === 'word' && CLAUSES.has(text) && isToken(before, ')'))
}

/** Where a client wants a statement to be run. */
export type Choice = 'primary' | 'replica'

/** A comment in front of the text. */
const COMMENT = /^\/\*\s{0,9}pgbun:\s{0,9}(primary|replica)\s{0,9}\*\//

// What `text` says of that by a comment in front, as in `/* pgbun: primary */ SELECT …`.
export function choiceOf(text: string): Choice | undefined {
  const start = text.trimStart()
  return start.startsWith('/*') ? (COMMENT.exec(start)?.[1] as Choice | undefined) : undefined
}
