/**
 * What drivers and tools send by themselves, whatever they are connected to: it is answered so that they go on, and does
 * nothing. Pure.
 */

import type { ConsoleResult, ConsoleStatement } from '../client/lifecycle/console-backend.ts'
import { COMPATIBLE_VERSION } from './show/settings.ts'
import type { Token } from './tokens.ts'

/** Parameters of a session that PgBouncer's console answers for. */
const PARAMETERS = new Map([
  ['client_encoding', 'UTF-8'],
  ['default_transaction_isolation', 'read committed'],
  ['standard_conforming_strings', 'on'],
  ['datestyle', 'ISO'],
  ['timezone', 'GMT'],
  ['extra_float_digits', '2'],
])

/** Others that drivers set at the beginning of a session. */
const SET_IN_VAIN: ReadonlySet<string> = new Set([
  ...PARAMETERS.keys(),
  'application_name',
  'bytea_output',
  'client_min_messages',
  'idle_in_transaction_session_timeout',
  'intervalstyle',
  'local',
  'lock_timeout',
  'search_path',
  'session',
  'statement_timeout',
  'time',
  'transaction',
])

/** The value of a parameter that a SHOW of it answers; undefined for one that is none of a session's here. */
export function parameterShown(name: string): ConsoleStatement | undefined {
  const value = PARAMETERS.get(name)
  return value === undefined ? undefined : row(name, value, 'SHOW')
}

/** Whether a SET of `name` is taken and ignored. */
export function isIgnored(name: string): boolean {
  return SET_IN_VAIN.has(name)
}

/** What a statement of `tokens` is answered with that is no command of the console; undefined where it is nothing known. */
export function driverHabit(tokens: readonly Token[]): ConsoleStatement | undefined {
  const words = tokens.map(({ kind, text }) => (kind === 'word' ? text.toLowerCase() : text))
  const block = blockOf(words)
  if (block !== undefined) return block
  const [first, second] = words
  if (first === 'discard' || first === 'reset' || first === 'unlisten' || first === 'deallocate' || first === 'close') {
    return command(first === 'discard' && second === 'all' ? 'DISCARD ALL' : first.toUpperCase())
  }
  const text = words.join(' ')
  if (text === 'select version ( )') return row('version', `PgBouncer ${COMPATIBLE_VERSION}`, 'SELECT 1')
  if (text === 'select current_database ( )') return row('current_database', 'pgbouncer', 'SELECT 1')
  // postgres.js asks for array types before its first query, in the extended protocol; there are none here.
  if (text.startsWith('select b.oid , b.typarray from pg_catalog.pg_type a')) {
    const columns = [
      { name: 'oid', type: 'int4' },
      { name: 'typarray', type: 'int4' },
    ] as const
    return { columns, parameters: [], run: () => ({ tag: 'SELECT 0', rows: [] }) }
  }
  return undefined
}

function blockOf([first, second]: readonly string[]): ConsoleStatement | undefined {
  switch (first) {
    case 'begin':
      return command('BEGIN', true)
    case 'start':
      return second === 'transaction' ? command('START TRANSACTION', true) : undefined
    case 'commit':
    case 'end':
      return command('COMMIT', false)
    case 'rollback':
    case 'abort':
      return second === 'to' ? undefined : command('ROLLBACK', false)
    default:
      return undefined
  }
}

function command(tag: string, inBlock?: boolean): ConsoleStatement {
  const result: ConsoleResult = { tag, inBlock }
  return { columns: undefined, parameters: [], run: () => result }
}

function row(name: string, value: string, tag: string): ConsoleStatement {
  return { columns: [{ name, type: 'text' }], parameters: [], run: () => ({ tag, rows: [[value]] }) }
}
