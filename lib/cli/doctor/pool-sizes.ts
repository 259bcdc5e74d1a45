/**
 * Whether the connections that pgbun may open to a host fit into its max_connections. Pure: the arithmetic is shown as a
 * sum, so that it can be followed.
 */

import type { Config } from '../../config/options.ts'
import { Routes } from '../../routing/routes.ts'
import type { Level } from './finding.ts'
import type { Place } from './places.ts'

/** One pool that there may be, or one of a kind of which nobody knows how many there may be. */
export interface PlannedPool {
  /** The section, or 'each other database'. */
  database: string
  /** The user that PostgreSQL sees; undefined for each user that is not known. */
  user: string | undefined
  size: number
  reserve: number
  /** 0 is none. */
  databaseLimit: number
  userLimit: number
  /** There may be any number of such databases. */
  anyDatabase: boolean
}

/** What a host has room for. */
export interface Capacity {
  maxConnections: number
  reserved: number
  /** Sessions of others now. */
  others: number
}

/** What is to be told of a host. */
export interface SizeVerdict {
  level: Level
  message: string
  remedy?: string
}

/** The pools that lead to the same host. @param users those of auth_file; undefined where they are not known */
export function plannedPools(
  config: Config,
  places: readonly Place[],
  users: readonly string[] | undefined,
): PlannedPool[] {
  const routes = new Routes(config)
  return places.flatMap(({ name, label, any, target }) => {
    const one = target.user?.name
    // Those with a section of their own are known to have other sizes.
    const names = one !== undefined ? [one] : (users ?? [...config.users.keys(), undefined])
    return names.map((user): PlannedPool => {
      // A user without a section has the sizes of the database.
      const { size, reserveSize, reserveTimeoutMs } = routes.settings(name, user ?? '')
      const limits = routes.serverLimits(name, user ?? '')
      return {
        database: any ? `each of ${label}` : label,
        user,
        size,
        reserve: reserveTimeoutMs === 0 ? 0 : reserveSize,
        databaseLimit: limits.database,
        userLimit: limits.user,
        anyDatabase: any,
      }
    })
  })
}

/** Compare `pools`, which lead to one host, with what it has room for. */
export function compareSizes(pools: readonly PlannedPool[], hostLimit: number, capacity: Capacity): SizeVerdict {
  const { maxConnections, reserved, others } = capacity
  const room = maxConnections - reserved
  const sum = bounded(pools)
  const known = Math.min(sum, hostLimit)
  const most = Math.min(mostOf(pools), hostLimit)
  const message =
    `${sumText(pools, sum, hostLimit)}; PostgreSQL has room for ${room} ` +
    `(max_connections ${maxConnections} - ${reserved} reserved), ${others} in use by others now`
  const lower = `lower pool_size, or set max_server_connections to ${Math.max(1, room)} or less`
  const remedy = `${lower}, or raise max_connections of PostgreSQL`
  if (known > room) return { level: 'problem', message, remedy }
  if (most > room)
    return { level: 'warning', message: `${message}. More databases or users need up to ${most}`, remedy }
  if (known > room - others) {
    const doubt = 'are the others connections of a pgbun that runs? Otherwise '
    return { level: 'warning', message, remedy: doubt + remedy }
  }
  return { level: 'ok', message }
}

/** What the pools can have together, each once: bounded by database, and by user. */
function bounded(pools: readonly PlannedPool[]): number {
  const byDatabase = groups(
    pools,
    ({ database }) => database,
    ({ databaseLimit }) => databaseLimit,
  )
  const byUser = groups(
    pools,
    ({ user }) => user,
    ({ userLimit }) => userLimit,
  )
  return Math.min(byDatabase, byUser)
}

function groups(
  pools: readonly PlannedPool[],
  keyOf: (pool: PlannedPool) => string | undefined,
  limitOf: (pool: PlannedPool) => number,
): number {
  let total = 0
  for (const key of new Set(pools.map(keyOf))) {
    const those = pools.filter((pool) => keyOf(pool) === key)
    total += Math.min(sumOf(those), highest(those.map(limitOf)))
  }
  return total
}

/** The limit that counts for a group: its members may have different ones, and 0 is none. */
function highest(limits: readonly number[]): number {
  return limits.includes(0) ? Number.POSITIVE_INFINITY : Math.max(...limits)
}

function sumOf(pools: readonly PlannedPool[]): number {
  return pools.reduce((sum, { size, reserve }) => sum + size + reserve, 0)
}

/** What there may be where it is not known how many databases or users there are. */
function mostOf(pools: readonly PlannedPool[]): number {
  const open = pools.filter(({ anyDatabase, user }) => anyDatabase || user === undefined)
  if (open.length === 0) return bounded(pools)
  if (open.some(({ anyDatabase }) => anyDatabase)) return Number.POSITIVE_INFINITY
  const names = new Set(open.map(({ database }) => database))
  const closed = pools.filter(({ database }) => !names.has(database))
  const limits = [...names].map((name) =>
    highest(pools.filter(({ database }) => database === name).map(({ databaseLimit }) => databaseLimit)),
  )
  return limits.reduce((sum, limit) => sum + limit, bounded(closed))
}

/** The sum in words: `database "app": 2 users x (20 + 5) = 50`. */
function sumText(pools: readonly PlannedPool[], sum: number, hostLimit: number): string {
  const terms: { text: string; amount: number }[] = []
  for (const database of new Set(pools.map((pool) => pool.database))) {
    const those = pools.filter((pool) => pool.database === database)
    for (const { size, reserve } of distinct(those)) {
      const same = those.filter((pool) => pool.size === size && pool.reserve === reserve)
      const each = reserve === 0 ? `${size}` : `(${size} + ${reserve})`
      const who = same.length === 1 ? userText(same[0]!) : `${same.length} users x `
      const amount = same.length * (size + reserve)
      terms.push({ text: `${database}, ${who}${each}${each === `${amount}` ? '' : ` = ${amount}`}`, amount })
    }
  }
  const total = terms.reduce((all, { amount }) => all + amount, 0)
  const shown = terms.slice(0, MOST_TERMS).map(({ text }) => text)
  if (terms.length > MOST_TERMS) shown.push(`${terms.length - MOST_TERMS} more`)
  const together = terms.length > 1 ? ` = ${total}` : ''
  const bounds = [
    ...(sum < total ? [`max_db_connections and max_user_connections allow ${sum}`] : []),
    ...(hostLimit < sum ? [`max_server_connections allows ${hostLimit}`] : []),
  ]
  return `at most ${[shown.join(' + ') + together, ...bounds].join('; ')}`
}

const MOST_TERMS = 6

function userText({ user }: PlannedPool): string {
  return user === undefined ? 'each user: ' : `user "${user}": `
}

function distinct(pools: readonly PlannedPool[]): PlannedPool[] {
  const seen = new Map(pools.map((pool) => [`${pool.size} ${pool.reserve}`, pool]))
  return [...seen.values()]
}
