/** Limits of time that pgbun's own queries run under. */
import t from 'tap'
import { ServerSettings } from '../../../lib/settings/server-settings.ts'
import { readState, stateQuery } from '../../../lib/settings/state-query.ts'
import { hasShortLimit, limitsOf, milliseconds } from '../../../lib/settings/time-limits.ts'
import { setsShortLimit } from '../../../lib/sql/short-limits.ts'
import { SETTINGS } from '../../../lib/sql/state-effects.ts'

function server(applied: Record<string, string>): ServerSettings {
  const settings = new ServerSettings(new Map())
  for (const [name, value] of Object.entries(applied)) settings.wasSet(name, value)
  return settings
}

t.test('limits that are short', async (t) => {
  for (const value of ['1', '999', '5ms', '20us', '\0']) t.ok(hasShortLimit(server({ lock_timeout: value })), value)
  for (const value of ['0', '1000', '30000ms', '5s', '1min', '2h', '1d']) {
    t.notOk(hasShortLimit(server({ statement_timeout: value })), value)
  }
  t.notOk(hasShortLimit(server({})))
  for (const text of [
    'SET statement_timeout = 1',
    "SET lock_timeout TO '20ms'",
    "set_config('transaction_timeout', $1",
  ]) {
    t.ok(setsShortLimit(text), text)
  }
  for (const text of ['SET statement_timeout = 5000', "SET statement_timeout = '5s'", 'SET work_mem = 64', '']) {
    t.notOk(setsShortLimit(text), text)
  }
})

t.test('which there are', async (t) => {
  for (const [version, count] of Object.entries({ '13.4': 2, '16.1 (Debian)': 2, '17beta1': 3, '18.0': 3 })) {
    t.equal(limitsOf(new ServerSettings(new Map([['server_version', version]]))).length, count, version)
  }
})

t.test('what they are is told where they are lifted for the question', async (t) => {
  const sql = stateQuery(SETTINGS, ['statement_timeout'], false, ['statement_timeout', 'lock_timeout'])
  t.match(
    sql,
    /^SELECT 'limit', 'statement_timeout', .* UNION ALL SELECT 'limit', 'lock_timeout', .*; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SELECT CASE /,
  )
  const rows = [
    ['limit', 'statement_timeout', '500ms'],
    ['limit', 'lock_timeout', '2s'],
    ['set', 'statement_timeout', '0'],
    ['set', 'lock_timeout', '2000'],
  ]
  const read = (wanted: boolean): [string, string][] => [...readState(rows, () => wanted).settings]
  t.strictSame(read(false), [['statement_timeout', '500ms']], 'what is as by default is no wish')
  t.strictSame(read(true).sort(), [
    ['lock_timeout', '2s'],
    ['statement_timeout', '500ms'],
  ])
})

t.test('what PostgreSQL shows of a limit, in milliseconds', async (t) => {
  const shown = { '0': 0, '1ms': 1, '5s': 5000, '2min': 120_000, '1h': 3_600_000, '1d': 86_400_000 }
  for (const [text, value] of Object.entries(shown)) t.equal(milliseconds(text), value)
})
