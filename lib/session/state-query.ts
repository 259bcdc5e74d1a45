/**
 * Asks a server what its session holds that another would not: parameters, and what cannot be moved at all. Built of
 * what the statements of a lease were suspected of (state-effects), so that little is asked in the common case.
 * Everything is qualified: a client's search_path must not decide what is called.
 */

import { quoteLiteral } from './parameters.ts'
import { ADVISORY, CURSOR, LISTEN, PREPARED, SETTINGS, TEMPORARY } from './state-effects.ts'

/** What a session holds. */
export interface SessionState {
  /** Parameters asked for and set in this session, by lower-case name. */
  settings: Map<string, string>
  /** Kinds of state that keep a client on its server. */
  pins: string[]
}

/** What is looked for besides parameters: effect, name of the pin, SQL condition. */
const PINS: readonly (readonly [number, string, string])[] = [
  [
    TEMPORARY,
    'temporary tables',
    ['class', 'proc', 'type']
      .map((kind) => {
        const column = { class: 'relnamespace', proc: 'pronamespace', type: 'typnamespace' }[kind]
        return `EXISTS (SELECT 1 FROM pg_catalog.pg_${kind} WHERE ${column} = pg_catalog.pg_my_temp_schema())`
      })
      .join(' OR '),
  ],
  [CURSOR, 'cursor WITH HOLD', 'EXISTS (SELECT 1 FROM pg_catalog.pg_cursors WHERE is_holdable)'],
  [
    ADVISORY,
    'advisory lock',
    "EXISTS (SELECT 1 FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid())",
  ],
  [LISTEN, 'LISTEN', 'EXISTS (SELECT 1 FROM pg_catalog.pg_listening_channels())'],
  [PREPARED, 'SQL-level PREPARE', 'EXISTS (SELECT 1 FROM pg_catalog.pg_prepared_statements WHERE from_sql)'],
]

/** The pins that `effects` are asked about: effect and name. */
export function pinsOf(effects: number): [number, string][] {
  return PINS.filter(([effect]) => (effects & effect) !== 0).map(([effect, name]) => [effect, name])
}

/**
 * The query: rows of (kind, name, value).
 * @param effects what is suspected
 * @param names parameters to ask for by name; PostgreSQL's own or an application's
 * @param all ask for every parameter set in the session, too
 */
export function stateQuery(effects: number, names: readonly string[], all: boolean): string {
  const parts: string[] = []
  if ((effects & SETTINGS) !== 0) {
    const listed = names.filter((name) => !name.includes('.'))
    const where = all ? '' : ` AND pg_catalog.lower(name) IN (${listed.map(quoteLiteral).join(', ') || 'NULL'})`
    if (all || listed.length > 0) {
      parts.push(
        "SELECT 'set', pg_catalog.lower(name), pg_catalog.current_setting(name) FROM pg_catalog.pg_settings" +
          ` WHERE source = 'session'${where}`,
      )
    }
    // Not in pg_settings: the role, and what applications made up.
    const unlisted = names.filter((name) => name.includes('.'))
    if (all || names.includes('role')) unlisted.push('role')
    for (const name of unlisted) {
      parts.push(`SELECT 'set', ${quoteLiteral(name)}, pg_catalog.current_setting(${quoteLiteral(name)}, true)`)
    }
  }
  for (const [effect, pin, condition] of PINS) {
    if ((effects & effect) !== 0) parts.push(`SELECT 'pin', '${pin}', NULL WHERE ${condition}`)
  }
  return parts.join(' UNION ALL ')
}

/** The answer to a stateQuery. */
export function readState(rows: readonly (readonly (string | null)[])[]): SessionState {
  const state: SessionState = { settings: new Map(), pins: [] }
  for (const [kind, name, value] of rows) {
    if (name == null) continue
    if (kind === 'pin') state.pins.push(name)
    else if (value != null && !(name === 'role' && value === 'none')) state.settings.set(name, value)
  }
  return state
}
