/**
 * The rules by which the tokens of one statement show for certain that it leaves state in its session: rows of
 * state-kinds.ts name them. Each returns how the statement is called, as one would look it up; undefined where nothing is
 * left behind, or where that is not certain. Pure.
 */

import { hasTokens, isToken, type Token } from './tokens.ts'

/** Reads the tokens of one statement. */
export type StatementRule = (tokens: readonly Token[]) => string | undefined

/** What may stand behind the name in SELECT … INTO name. */
const BEHIND_INTO = new Set(
  'from where group having window union intersect except order limit offset fetch for on'.split(' '),
)

/** CREATE TEMPORARY …, or CREATE … pg_temp.name. */
export function createsTemporary(tokens: readonly Token[]): string | undefined {
  if (hasTokens(tokens, 'on', 'commit', 'drop')) return undefined
  let at = 1
  if (isToken(tokens[at], 'or') && isToken(tokens[at + 1], 'replace')) at += 2
  if (isToken(tokens[at], 'global') || isToken(tokens[at], 'local')) at++
  if (isToken(tokens[at], 'temp') || isToken(tokens[at], 'temporary')) {
    const object = tokens[isToken(tokens[at + 1], 'recursive') ? at + 2 : at + 1]?.text.toUpperCase()
    return `CREATE TEMPORARY ${object === 'VIEW' || object === 'SEQUENCE' ? object : 'TABLE'}`
  }
  // The name of what is created comes before anything that is no name.
  for (; tokens[at]?.kind === 'word' && !isToken(tokens[at], 'as') && !isToken(tokens[at], 'on'); at++) {
    if (isToken(tokens[at], 'pg_temp') && isToken(tokens[at + 1], '.')) return 'CREATE in schema pg_temp'
  }
  return undefined
}

/** SELECT … INTO TEMPORARY name. */
export function selectsIntoTemporary(tokens: readonly Token[]): string | undefined {
  const at = tokens.findIndex((token, i) => {
    return isToken(token, 'into') && !isToken(tokens[i - 1], 'insert') && !isToken(tokens[i - 1], 'merge')
  })
  if (at < 0 || !(isToken(tokens[at + 1], 'temp') || isToken(tokens[at + 1], 'temporary'))) return undefined
  const name = tokens[at + 2]
  if (name === undefined || name.kind === 'other' || name.kind === 'string') return undefined
  return name.kind === 'word' && BEHIND_INTO.has(name.text) ? undefined : 'SELECT INTO TEMPORARY'
}

/** DECLARE … CURSOR WITH HOLD. */
export function holdsCursor(tokens: readonly Token[]): string | undefined {
  return hasTokens(tokens, 'cursor', 'with', 'hold') ? 'DECLARE CURSOR WITH HOLD' : undefined
}

/** PREPARE, but for PREPARE TRANSACTION 'name'. */
export function preparesStatement([, second, third]: readonly Token[]): string | undefined {
  return second?.text === 'transaction' && third?.kind === 'string' ? undefined : 'PREPARE'
}

/** LOAD 'library'. */
export function loadsLibrary([, library]: readonly Token[]): string | undefined {
  return library?.kind === 'string' ? 'LOAD' : undefined
}

/** True for SET seed and SET LOCAL seed: that outlives the transaction, too. */
export function setsSeed(tokens: readonly Token[]): boolean {
  const at = isToken(tokens[1], 'session') || isToken(tokens[1], 'local') ? 2 : 1
  const name = tokens[at]
  if (name?.kind !== 'word' && name?.kind !== 'name') return false
  return name.text.toLowerCase() === 'seed' && tokens[at + 1]?.text !== '.'
}
