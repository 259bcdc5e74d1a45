/** What a server connection has set, as far as that shows and as far as it does not. */
import t from 'tap'
import { ServerSettings, UNKNOWN } from '../../../lib/settings/server-settings.ts'

const REPORTED = { TimeZone: 'UTC', DateStyle: 'ISO, MDY', session_authorization: 'alice' }

const fresh = (): ServerSettings => new ServerSettings(new Map(Object.entries(REPORTED)))
const applied = (settings: ServerSettings): Record<string, string | undefined> =>
  Object.fromEntries(Array.from(settings.appliedNames(), (name) => [name, settings.applied(name)]))

t.test('what is reported is told from what a new session has', async (t) => {
  const settings = fresh()
  settings.report('TimeZone', 'Asia/Tokyo')
  t.equal(settings.get('TimeZone'), 'Asia/Tokyo')
  t.notOk(settings.isDefault('TimeZone'))
  t.notOk(settings.isDefaultOf('timezone'))
  t.ok(settings.isDefaultOf('datestyle'))
  t.notOk(settings.isDefaultOf('statement_timeout'), 'not reported')
  settings.defaultBecame('TimeZone', 'Asia/Tokyo')
  t.ok(settings.isDefault('TimeZone'))
  t.equal(settings.defaults.get('TimeZone'), 'Asia/Tokyo')
})

t.test('a module that was loaded reports parameters of its own', async (t) => {
  const settings = fresh()
  t.notOk(settings.reports('my.level'))
  settings.report('My.Level', 'low')
  t.ok(settings.reports('my.level'))
  t.equal(settings.spelling('my.level'), 'My.Level')
})

t.test('servers with the same defaults share them', async (t) => {
  t.equal(fresh().defaults, fresh().defaults)
})

t.test('what was set and does not show is kept by name until it is reset', async (t) => {
  const settings = fresh()
  settings.wasSet('statement_timeout', '5s')
  settings.wasSet('role', 'bob')
  t.strictSame(applied(settings), { statement_timeout: '5s', role: 'bob' })
  settings.wasSet('role', undefined)
  settings.doubt('lock_timeout')
  t.strictSame(applied(settings), { statement_timeout: '5s', lock_timeout: UNKNOWN })
  settings.doubtAll()
  t.strictSame(applied(settings), { statement_timeout: UNKNOWN, lock_timeout: UNKNOWN })
  settings.wereReset()
  t.strictSame(applied(settings), {})
})

t.test('a reported parameter that was set to its default does not show it', async (t) => {
  const settings = fresh()
  settings.wasSet('timezone', 'utc')
  t.strictSame(applied(settings), { timezone: 'UTC' })
  settings.report('TimeZone', 'Asia/Tokyo')
  settings.wasSet('timezone', 'asia/tokyo')
  t.strictSame(applied(settings), {})
  settings.wasSet('session_authorization', 'alice')
  t.strictSame(applied(settings), {}, 'who the session is shows')
})
