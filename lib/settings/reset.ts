/** The statements that leave a server as a new session would be. */

/** Does all there is, and deallocates every prepared statement. Not allowed together with other statements. */
export const DISCARD_ALL = 'DISCARD ALL'

/**
 * The same without deallocating, so that the statements shared by clients survive: for servers on which nobody used
 * SQL-level PREPARE. RESET ROLE stands behind SET SESSION AUTHORIZATION because that forgets a role set by ALTER ROLE.
 */
export const KEEP_STATEMENTS = [
  'SET SESSION AUTHORIZATION DEFAULT',
  'RESET ROLE',
  'RESET ALL',
  'CLOSE ALL',
  'UNLISTEN *',
  'SELECT pg_catalog.pg_advisory_unlock_all()',
  'DISCARD SEQUENCES',
  'DISCARD TEMP',
].join('; ')

/** For a server that holds nothing else of its last client. */
export const DISCARD_SEQUENCES = 'DISCARD SEQUENCES'

/** True where `sql` is DISCARD ALL and nothing else: what it leaves behind is known. */
export function isDiscardAll(sql: string): boolean {
  return /^\s*DISCARD\s+ALL\s*;?\s*$/i.test(sql)
}
