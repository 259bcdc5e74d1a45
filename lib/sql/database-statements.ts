/**
 * Statements that PostgreSQL refuses while anybody is connected to a database they are about: DROP DATABASE, ALTER
 * DATABASE … RENAME and SET TABLESPACE, and CREATE DATABASE, of its template. Alone in a text: PostgreSQL takes them in
 * no other way. Pure.
 */

import { EQUAL, quoteLiteral } from './quote.ts'
import { readName } from './statement-names.ts'
import { isWord, splitStatements, type Token } from './tokens.ts'

/** A database nobody may be connected to. */
export interface ClearedDatabase {
  /** Its name, as bytes (latin1). */
  name: string
  /** It is only copied. */
  template: boolean
}

/** Statements begin with one of these letters, blanks or comments: nearly all others are told by their first byte. */
const FIRST = new Set([...'aAcCdD/-; \t\n\r\f\v'].map((char) => char.charCodeAt(0)))
const DATABASE = /^[\s\S]{0,10000}?\bdatabase\b/i

/** True where a text that begins with `byte` may be such a statement. */
export function mayBeOfDatabase(byte: number | undefined): boolean {
  return byte !== undefined && FIRST.has(byte)
}

/** The database that nobody may be connected to while `sql` (latin1) runs; undefined for any other text. */
export function clearedDatabase(sql: string): ClearedDatabase | undefined {
  if (!DATABASE.test(sql)) return undefined
  const statements = splitStatements(sql)
  if (statements?.length !== 1) return undefined
  const tokens = statements[0]!
  if (!isWord(tokens[1], 'database')) return undefined
  if (isWord(tokens[0], 'drop')) return cleared(tokens, isWord(tokens[2], 'if') && isWord(tokens[3], 'exists') ? 4 : 2)
  if (isWord(tokens[0], 'create')) return templateOf(tokens)
  if (!isWord(tokens[0], 'alter')) return undefined
  const end = readName(tokens, 2)?.end ?? tokens.length
  const moves = isWord(tokens[end], 'rename') || (isWord(tokens[end], 'set') && isWord(tokens[end + 1], 'tablespace'))
  return moves ? cleared(tokens, 2) : undefined
}

function cleared(tokens: readonly Token[], at: number): ClearedDatabase | undefined {
  const name = readName(tokens, at)?.name
  return name === undefined ? undefined : { name, template: false }
}

/** CREATE DATABASE name [WITH] … [TEMPLATE [=] name] …; without one it is template1. */
function templateOf(tokens: readonly Token[]): ClearedDatabase | undefined {
  let name: string | undefined = 'template1'
  for (let at = readName(tokens, 2)?.end ?? tokens.length; at < tokens.length; at++) {
    if (!isWord(tokens[at], 'template')) continue
    const value = tokens[at + 1]?.text === '=' ? at + 2 : at + 1
    if (isWord(tokens[value], 'default')) continue
    const constant = tokens[value]?.kind === 'string' ? /^'([^'\\]+)'$/.exec(tokens[value]!.text)?.[1] : undefined
    name = constant ?? readName(tokens, value)?.name
  }
  return name === undefined ? undefined : { name, template: true }
}

/**
 * Whether the role of a session may do what needs that nobody is connected to a database: a row, or none. Whoever may
 * not shall not have connections closed by asking for it.
 */
export function mayClearSql({ name, template }: ClearedDatabase): string {
  const database = quoteLiteral(Buffer.from(name, 'latin1').toString('utf8'))
  const owns = "pg_catalog.pg_has_role(datdba, 'USAGE')"
  const creates = `EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname ${EQUAL} current_user AND (rolcreatedb OR rolsuper))`
  const may = template ? `${creates} AND (datistemplate OR ${owns})` : owns
  return `SELECT 1 FROM pg_catalog.pg_database WHERE datname ${EQUAL} ${database} AND ${may}`
}
