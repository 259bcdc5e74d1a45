/**
 * Asks a server what its session holds that another would not: parameters, and what cannot be moved at all. Built of
 * what the statements of a lease were suspected of (state-effects), so that little is asked in the common case.
 * Everything is qualified: a client's search_path must not decide what is called.
 */

import { EQUAL, quoteLiteral, UNEQUAL } from '../sql/quote.ts'
import { SETTINGS } from '../sql/state-effects.ts'
import { PIN_KIND_ROWS, type PinKind } from '../sql/state-kinds.ts'
import { milliseconds, tellAndLiftSql } from './time-limits.ts'

/** What a session holds. */
export interface SessionState {
  /** Parameters asked for and set in this session, by lower-case name. */
  settings: Map<string, string>
  /** Parameters of PostgreSQL's that it tells of, by lower-case name, set or not: others it hides from the role. */
  shown: Set<string>
  /** Kinds of state that keep a client on its server. */
  pins: PinKind[]
}

/** What is looked for besides parameters. */
const PINS = PIN_KIND_ROWS.filter(([, { there }]) => there !== undefined)

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
  return PINS.filter(([, { effect }]) => (effects & effect) !== 0).map(([kind]) => kind)
}

/**
 * The query: rows of (kind, name, value).
 * @param effects what is suspected
 * @param names parameters to ask for by name; PostgreSQL's own or an application's
 * @param all ask for every parameter set in the session, too
 * @param limits of time of the session that are lifted for the question (time-limits): the answer tells what they are
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
    const set = `source ${EQUAL} 'session' AND name ${UNEQUAL} ALL (ARRAY[${OF_A_TRANSACTION}])`
    const named = `pg_catalog.lower(name) ${EQUAL} ANY (ARRAY[${listed.map(quoteLiteral).join(', ')}])`
    // Of those that are asked for, also where they are not set: no row at all means that the role may not see it.
    const where = all ? (listed.length > 0 ? `${set} OR ${named}` : set) : named
    if (all || listed.length > 0) {
      const suspended = limits.map(quoteLiteral).join(', ')
      const value = 'pg_catalog.current_setting(name)'
      parts.push(
        `SELECT CASE WHEN ${set} THEN 'set' ELSE 'unset' END, pg_catalog.lower(name), ${
          suspended === ''
            ? value
            : `CASE WHEN name ${EQUAL} ANY (ARRAY[${suspended}]) THEN reset_val ELSE ${value} END`
        } FROM pg_catalog.pg_settings WHERE ${where}`,
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
  for (const [kind, { effect, there }] of PINS) {
    if ((effects & effect) !== 0) parts.push(`SELECT 'pin', '${kind}', NULL WHERE ${there}`)
  }
  if (limits.length > 0 && parts.length > 0) return tellAndLiftSql(limits) + parts.join(' UNION ALL ')
  return parts.join(' UNION ALL ')
}

/**
 * The answer to a stateQuery.
 * @param wanted whether a limit of time is the client's wish even where it is as by default
 */
export function readState(
  rows: readonly (readonly (string | null)[])[],
  wanted: (limit: string) => boolean,
): SessionState {
  const state: SessionState = { settings: new Map(), shown: new Set(), pins: [] }
  const limits: [string, string][] = []
  for (const [kind, name, value] of rows) {
    if (name == null) continue
    if (kind === 'set' || kind === 'unset') state.shown.add(name)
    if (kind === 'limit') limits.push([name, value ?? ''])
    else if (kind === 'pin' && PINS.some(([pin]) => pin === name)) state.pins.push(name as PinKind)
    else if (kind === 'set' && value != null) state.settings.set(name, value)
  }
  for (const [name, value] of limits) readLifted(state.settings, name, value, wanted)
  return state
}

/**
 * A limit that did not hold while PostgreSQL was asked is `value`; `settings` has where RESET takes it, in milliseconds, if
 * it is set in the session. It is the client's where that set it, or where the two differ.
 */
function readLifted(
  settings: Map<string, string>,
  name: string,
  value: string,
  wanted: (limit: string) => boolean,
): void {
  if (!settings.has(name)) return
  const byDefault = milliseconds(value) === Number(settings.get(name))
  if (!byDefault || wanted(name)) settings.set(name, value)
  else settings.delete(name)
}
