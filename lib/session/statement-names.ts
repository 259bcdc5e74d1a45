/**
 * What SQL says of prepared statements by name: DEALLOCATE, EXECUTE and PREPARE reach statements that were prepared by
 * the protocol, too (SQL commands "PREPARE", "DEALLOCATE"). Pure.
 */

import { splitStatements } from './sql-tokens.ts'

/** A statement's name in a text. */
export interface SpokenName {
  /** As the protocol spells it, each byte a character (latin1). */
  name: string
  /** DEALLOCATE. */
  deallocated: boolean
}

const IDENTIFIER = String.raw`("(?:[^"]|"")+"|[a-z_\x80-\xff][\w$\x80-\xff]*)`
const SPOKEN = new RegExp(String.raw`\b(deallocate(?:\s+prepare)?|execute|prepare)\s+${IDENTIFIER}`, 'gi')
const SOLE = new RegExp(String.raw`^\s*deallocate\s+(?:prepare\s+)?${IDENTIFIER}\s*;?\s*$`, 'i')
const LAST = new RegExp(String.raw`;\s*deallocate\s+(?:prepare\s+)?${IDENTIFIER}\s*;?\s*$`, 'i')
const ALL = /^all$/i

/** PostgreSQL cuts longer identifiers off (NAMEDATALEN), but not the names of the protocol. */
const NAME_LIMIT = 63

/** The names in `sql` (latin1), in order. Words alone decide: what stands in a string constant is found, too. */
export function spokenNames(sql: string): SpokenName[] {
  const found: SpokenName[] = []
  for (const [, word, identifier] of sql.matchAll(SPOKEN)) {
    const deallocated = /^d/i.test(word!)
    if (deallocated && ALL.test(identifier!)) continue
    const name = unquote(identifier!)
    if (name.length <= NAME_LIMIT) found.push({ name, deallocated })
  }
  return found
}

/** A DEALLOCATE that is the last of several statements. */
export interface LastDeallocation {
  /** How many statements stand before it. */
  before: number
  /** Its statement; undefined for all. */
  name: string | undefined
}

/** What the last of several statements in `sql` (latin1) deallocates; undefined where it is another, or the only one. */
export function lastDeallocation(sql: string): LastDeallocation | undefined {
  const identifier = LAST.exec(sql)?.[1]
  if (identifier === undefined) return undefined
  const count = splitStatements(sql)?.length ?? 0
  if (count < 2) return undefined
  if (ALL.test(identifier)) return { before: count - 1, name: undefined }
  const name = unquote(identifier)
  return name.length <= NAME_LIMIT ? { before: count - 1, name } : undefined
}

/** The name that `sql` (latin1) deallocates and does nothing else; undefined for any other text. */
export function soleDeallocated(sql: string): string | undefined {
  const identifier = SOLE.exec(sql)?.[1]
  if (identifier === undefined || ALL.test(identifier)) return undefined
  const name = unquote(identifier)
  return name.length <= NAME_LIMIT ? name : undefined
}

function unquote(identifier: string): string {
  if (identifier.startsWith('"')) return identifier.slice(1, -1).replaceAll('""', '"')
  return identifier.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}
