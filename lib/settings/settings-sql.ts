/**
 * The statements that give a server a client's settings, in an order in which PostgreSQL permits each: who the session
 * is decides what may be set. Pure.
 */

import { quoteLiteral } from '../sql/quote.ts'
import { BoundedMap } from '../util/bounded-map.ts'
import type { ClientSettings, Setting } from './client-settings.ts'
import type { ServerSettings } from './server-settings.ts'
import { TIME_LIMITS } from './time-limits.ts'

const ROLE = 'role'
const USER = 'session_authorization'

/**
 * `settings`, and the user and role of the session with them where what is to be set depends on them: the server may be
 * under a role that may not do it.
 */
export function withIdentity(
  settings: readonly Setting[],
  parameters: ClientSettings,
  server: ServerSettings,
): readonly Setting[] {
  const has = (wanted: string): boolean => settings.some(({ name }) => name === wanted)
  const otherUser = !server.isDefault(USER)
  const user = has(USER) || otherUser
  if (!user && !has(ROLE) && server.applied(ROLE) === undefined) return settings
  const all = [...settings]
  if (user && !has(USER)) all.push({ name: USER, value: parameters.get(USER) })
  if (!has(ROLE)) all.push({ name: ROLE, value: parameters.get(ROLE) })
  return all
}

/**
 * In front of a query of pgbun's own: it takes its snapshot at once, whatever the session's transactions begin with. One
 * that is serializable, read-only and deferrable waits for all others of its kind; on a standby, a serializable one fails.
 */
export const OWN_TRANSACTION = 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED; '
/** The same in front of what has to be alone, and resets it. */
export const OWN_TRANSACTIONS = "SET default_transaction_isolation = 'read committed'"

/** True where a query on `server` may need that: as long as transactions write by default, none waits. */
export function mayWait(server: ServerSettings): boolean {
  return server.get('default_transaction_read_only') !== 'off' || server.get('in_hot_standby') === 'on'
}

/** Texts remembered, and UTF-16 units of the settings in one that is. */
const REMEMBERED = 256
const MEMORABLE = 1024
/** By settings. The clients of an application want one of a few sets of them, and servers go from one to another. */
const remembered = new BoundedMap<string>(REMEMBERED)

/**
 * The statements that apply `settings`, in one simple query.
 * @param plainly without set_config(), which a database may keep from its users
 */
export function settingsSql(settings: readonly Setting[], plainly = false): string {
  if (plainly) return writeSql(settings, setPlainly)
  let key = ''
  for (const { name, value } of settings) {
    // Parameters of applications are as many as tenants, and nobody's business.
    if (name.includes('.')) return writeSql(settings)
    key += value === undefined ? `${name}\0-\0` : `${name}\0=${value}\0`
  }
  if (key.length > MEMORABLE) return writeSql(settings)
  let sql = remembered.get(key)
  if (sql === undefined) remembered.set(key, (sql = writeSql(settings)))
  return sql
}

function writeSql(settings: readonly Setting[], write = setSql): string {
  const find = (wanted: string): Setting | undefined => settings.find(({ name }) => name === wanted)
  const user = find(USER)
  const role = find(ROLE)
  const others = settings.filter(({ name }) => name !== USER && name !== ROLE).sort(limitsBehind)
  const sql: string[] = []
  if (user) sql.push(resetSql(USER))
  if ((user || role) && others.length > 0) sql.push('SET ROLE NONE')
  // Those that limit what comes behind them go first.
  for (const { name, value } of others.toReversed()) if (value === undefined) sql.push(resetSql(name))
  const set = others.filter(({ value }) => value !== undefined)
  if (user?.value !== undefined) set.push(user)
  if (role?.value !== undefined) set.push(role)
  if (set.length > 0) sql.push(write(set))
  if (role && role.value === undefined) sql.push(resetSql(ROLE))
  return sql.join('; ')
}

/**
 * The same from the beginning, for a client whose role may set more than its user: RESET ALL asks for no privilege.
 * @param settings all that is wanted
 */
export function freshSettingsSql(settings: readonly Setting[], plainly = false): string {
  const rank = ({ name }: Setting): number => (name === USER ? 0 : name === ROLE ? 1 : 2)
  const sql = [resetSql(USER), resetSql(ROLE), 'RESET ALL']
  const sorted = [...settings].sort((a, b) => rank(a) - rank(b) || limitsBehind(a, b))
  if (sorted.length > 0) sql.push(plainly ? setPlainly(sorted) : setSql(sorted))
  return sql.join('; ')
}

function limitsBehind(a: Setting, b: Setting): number {
  return Number(TIME_LIMITS.includes(a.name)) - Number(TIME_LIMITS.includes(b.name))
}

function setSql(settings: readonly Setting[]): string {
  const calls = settings.map(({ name, value = '' }) => {
    return `pg_catalog.set_config(${quoteLiteral(name)}, ${quoteLiteral(value)}, false)`
  })
  return `SELECT ${calls.join(', ')}`
}

/** Parameters whose value is a list of names. To set_config() it is one text, to SET a list. */
const LISTS = new Set(['local_preload_libraries', 'search_path', 'session_preload_libraries', 'temp_tablespaces'])
const LIST_ITEM = /\s*(?:"((?:[^"]|"")*)"|([^\s",]+))\s*(,|$)/y

function setPlainly(settings: readonly Setting[]): string {
  const statements = settings.map(({ name, value = '' }) => {
    const values = (LISTS.has(name) && listItems(value)) || [value]
    return `SET ${identifier(name)} TO ${values.map(quoteLiteral).join(', ')}`
  })
  return statements.join('; ')
}

/** The names in `value`; undefined where it is no list, which PostgreSQL will say. */
function listItems(value: string): string[] | undefined {
  const items: string[] = []
  LIST_ITEM.lastIndex = 0
  for (let found = LIST_ITEM.exec(value); found !== null; found = LIST_ITEM.exec(value)) {
    const [, quoted, plain, more] = found
    items.push(
      quoted === undefined
        ? plain!.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
        : quoted.replaceAll('""', '"'),
    )
    if (more === '') return items
  }
  return undefined
}

function resetSql(name: string): string {
  return `RESET ${identifier(name)}`
}

/** `name` of a parameter, as an identifier that is no keyword. */
function identifier(name: string): string {
  return name
    .split('.')
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join('.')
}
