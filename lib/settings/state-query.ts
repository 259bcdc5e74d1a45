/**
 * Asks a server what its session holds that another would not: parameters, and what cannot be moved at all. Built of
 * what the statements of a lease were suspected of (state-effects), so that little is asked in the common case.
 * Everything is qualified: a client's search_path must not decide what is called.
 */

import { PIN_KINDS, type PinKind } from '../sql/pin-kinds.ts'
import { quoteLiteral } from '../sql/quote.ts'
import { ADVISORY, CURSOR, LISTEN, PREPARED, SETTINGS, SLOT, TEMPORARY } from '../sql/state-effects.ts'
import { unlimitedSql } from './settings-sql.ts'

/** What a session holds. */
export interface SessionState {
  /** Parameters asked for and set in this session, by lower-case name. */
  settings: Map<string, string>
  /** Limits that were suspended for the question, as they are; `settings` has where RESET takes them, in milliseconds. */
  limits: Map<string, string>
  /** Kinds of state that keep a client on its server. */
  pins: PinKind[]
}

/** A client's search_path may have operators of its own. */
const EQUAL = 'OPERATOR(pg_catalog.=)'
const UNEQUAL = 'OPERATOR(pg_catalog.<>)'

/** What is looked for besides parameters: effect, kind, SQL condition. */
const PINS: readonly (readonly [number, PinKind, string])[] = [
  [
    TEMPORARY,
    'temporary',
    // Whatever lies in it depends on it: that is how PostgreSQL empties it.
    `EXISTS (SELECT 1 FROM pg_catalog.pg_depend WHERE refclassid ${EQUAL} 'pg_catalog.pg_namespace'::pg_catalog.regclass` +
      ` AND refobjid ${EQUAL} pg_catalog.pg_my_temp_schema())`,
  ],
  [CURSOR, 'cursor', 'EXISTS (SELECT 1 FROM pg_catalog.pg_cursors WHERE is_holdable)'],
  [
    ADVISORY,
    'advisoryLock',
    `EXISTS (SELECT 1 FROM pg_catalog.pg_locks WHERE locktype ${EQUAL} 'advisory'` +
      ` AND pid ${EQUAL} pg_catalog.pg_backend_pid())`,
  ],
  [LISTEN, 'listen', 'EXISTS (SELECT 1 FROM pg_catalog.pg_listening_channels())'],
  [PREPARED, 'prepare', 'EXISTS (SELECT 1 FROM pg_catalog.pg_prepared_statements WHERE from_sql)'],
  [
    SLOT,
    'replicationSlot',
    'EXISTS (SELECT 1 FROM pg_catalog.pg_replication_slots WHERE temporary' +
      ` AND active_pid ${EQUAL} pg_catalog.pg_backend_pid())`,
  ],
]

/** So many parts of a question would take a stack of their own. */
const MANY = 16

const NO_LIMITS: readonly string[] = []

/** What SET TRANSACTION sets: PostgreSQL lists it for longer than it holds, and refuses to reset it. */
const OF_A_TRANSACTION = "'transaction_isolation', 'transaction_read_only', 'transaction_deferrable'"

/** PostgreSQL does not list it in pg_settings: the role, and what applications made up. */
export function isUnlisted(name: string): boolean {
  return name === 'role' || name.includes('.')
}

/** The kinds of state that `effects` are asked about. */
export function kindsOf(effects: number): PinKind[] {
  return PINS.filter(([effect]) => (effects & effect) !== 0).map(([, kind]) => kind)
}

/**
 * The query: rows of (kind, name, value).
 * @param effects what is suspected
 * @param names parameters to ask for by name; PostgreSQL's own or an application's
 * @param all ask for every parameter set in the session, too
 * @param limits of the session that may be too short for the question: they are suspended for it
 */
export function stateQuery(
  effects: number,
  names: readonly string[],
  all: boolean,
  limits: readonly string[] = NO_LIMITS,
): string {
  const parts: string[] = []
  if ((effects & SETTINGS) !== 0) {
    const listed = names.filter((name) => !name.includes('.'))
    const where = all ? '' : ` AND pg_catalog.lower(name) ${EQUAL} ANY (ARRAY[${listed.map(quoteLiteral).join(', ')}])`
    if (all || listed.length > 0) {
      const suspended = limits.map(quoteLiteral).join(', ')
      const value = 'pg_catalog.current_setting(name)'
      parts.push(
        `SELECT 'set', pg_catalog.lower(name), ${
          suspended === ''
            ? value
            : `CASE WHEN name ${EQUAL} ANY (ARRAY[${suspended}]) THEN reset_val ELSE ${value} END`
        } FROM pg_catalog.pg_settings` +
          ` WHERE source ${EQUAL} 'session' AND name ${UNEQUAL} ALL (ARRAY[${OF_A_TRANSACTION}])${where}`,
      )
    }
    const unlisted = names.filter(isUnlisted)
    if (unlisted.length > MANY) {
      const list = unlisted.map(quoteLiteral).join(', ')
      parts.push(
        `SELECT 'set', name, pg_catalog.current_setting(name, true) FROM pg_catalog.unnest(ARRAY[${list}]) AS name`,
      )
    } else {
      for (const name of unlisted.map(quoteLiteral)) {
        parts.push(`SELECT 'set', ${name}, pg_catalog.current_setting(${name}, true)`)
      }
    }
    // Whether no role is a wish or the default, cannot be told.
    if (all && !names.includes('role')) {
      const role = "pg_catalog.current_setting('role')"
      parts.push(`SELECT 'set', 'role', ${role} WHERE ${role} ${UNEQUAL} 'none'`)
    }
  }
  for (const [effect, pin, condition] of PINS) {
    if ((effects & effect) !== 0) parts.push(`SELECT 'pin', '${pin}', NULL WHERE ${condition}`)
  }
  if (limits.length > 0 && parts.length > 0) return unlimitedSql(limits) + parts.join(' UNION ALL ')
  return parts.join(' UNION ALL ')
}

/** The answer to a stateQuery, asked with these `limits`. */
export function readState(
  rows: readonly (readonly (string | null)[])[],
  limits: readonly string[] = NO_LIMITS,
): SessionState {
  const state: SessionState = { settings: new Map(), limits: new Map(), pins: [] }
  for (const [kind, name, value, ...more] of rows) {
    if (name == null) continue
    if (kind === 'limit') {
      const were = [name, value, ...more]
      for (const [i, limit] of limits.entries()) state.limits.set(limit, were[i] ?? '')
    } else if (kind === 'pin' && Object.hasOwn(PIN_KINDS, name)) state.pins.push(name as PinKind)
    else if (value != null) state.settings.set(name, value)
  }
  return state
}
