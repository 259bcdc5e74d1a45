/**
 * Limits of time that a client has set for its session, and that pgbun's own queries must not end by: where one is known
 * to be short, or has ended a query, they are lifted for the transaction of that query (server/internal-query). Pure.
 */

import type { ServerSettings } from './server-settings.ts'

/** Their names. The last is there from PostgreSQL 17 on. */
export const TIME_LIMITS: readonly string[] = ['statement_timeout', 'lock_timeout', 'transaction_timeout']

/** A limit of a second or more, or none. */
const GENEROUS = /^(?:0|\d{4,}(?:ms)?|\d+(?:s|min|h|d))$/

/** True where a limit on `server` may be too short for what pgbun asks. */
export function hasShortLimit(server: ServerSettings): boolean {
  for (const name of TIME_LIMITS) {
    const value = server.applied(name)
    if (value !== undefined && !GENEROUS.test(value)) return true
  }
  return false
}

/** Limits of `server`'s session, by name. */
export function limitsOf(server: ServerSettings): readonly string[] {
  return majorOf(server) >= 17 ? TIME_LIMITS : TIME_LIMITS.slice(0, 2)
}

/** The major version of `server`. */
export function majorOf(server: ServerSettings): number {
  return Number.parseInt(server.get('server_version') ?? '0', 10)
}

/** In front of other statements of a simple query: these limits do not hold for those, and hold again afterwards. */
export function liftSql(limits: readonly string[]): string {
  return limits.map((name) => `SET LOCAL ${name} = 0; `).join('')
}

/** The same, answered by rows of 'limit', its name and what it is. */
export function tellAndLiftSql(limits: readonly string[]): string {
  const told = limits.map((name) => `SELECT 'limit', '${name}', pg_catalog.current_setting('${name}')`)
  return `${told.join(' UNION ALL ')}; ${liftSql(limits)}`
}

const UNITS: Record<string, number> = { us: 0.001, '': 1, ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 }

/** A limit as PostgreSQL shows it, in milliseconds. */
export function milliseconds(shown: string): number {
  const [, number = '', unit = ''] = /^(\d+)([a-z]*)$/.exec(shown) ?? []
  return Number(number) * (UNITS[unit] ?? Number.NaN)
}
