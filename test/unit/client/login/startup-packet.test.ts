/** Startup packets as pgbun understands them: remembered by their bytes, and never taken for one another. */
import t from 'tap'
import { readClientStartup } from '../../../../lib/client/login/startup-packet.ts'
import { PROTOCOL_3_0, PROTOCOL_3_2 } from '../../../../lib/protocol/startup.ts'
import { frontend } from '../../../fixtures/messages.ts'

function read(parameters: Record<string, string>, version?: number) {
  return readClientStartup(frontend.startup(parameters, version).subarray(4))
}

function understood(parameters: Record<string, string>, version?: number) {
  const startup = read(parameters, version)
  if (startup.kind !== 'client') throw new Error(`a client was expected, not ${startup.kind}`)
  return startup
}

t.test('user, database, name, settings', async (t) => {
  const startup = understood({ user: 'u', DateStyle: 'ISO', Application_Name: 'psql', '_pq_.x': '1' })
  t.match(startup, { version: PROTOCOL_3_0, user: 'u', database: 'u', applicationName: 'psql', replication: 'none' })
  t.strictSame(
    [...startup.settings.values],
    [
      ['datestyle', 'ISO'],
      ['application_name', 'psql'],
    ],
  )
  t.strictSame(startup.unknown, ['_pq_.x'])
})

t.test('options come first, whatever their place in the packet', async (t) => {
  const { settings } = understood({ user: 'u', work_mem: '2MB', options: '-c work_mem=1MB -c search_path=a' })
  t.strictSame(Object.fromEntries(settings.values), { work_mem: '2MB', search_path: 'a' })
})

t.test('the same packet is read once, and its settings are shared', async (t) => {
  const parameters = { user: 'same', application_name: 'a' }
  t.equal(understood(parameters), understood(parameters))
  t.not(understood({ ...parameters, application_name: 'b' }), understood(parameters))
  t.equal(understood({ ...parameters, application_name: 'b' }).applicationName, 'b')
  t.equal(understood(parameters, PROTOCOL_3_2).version, PROTOCOL_3_2)
  t.equal(understood(parameters).version, PROTOCOL_3_0)
  // Where one value ends and the next name begins is told by zero bytes alone.
  t.strictSame(Object.fromEntries(understood({ user: 'x', a: 'bc' }).settings.values), { a: 'bc' })
  t.strictSame(Object.fromEntries(understood({ user: 'x', ab: 'c' }).settings.values), { ab: 'c' })
})

t.test('a long packet is not remembered', async (t) => {
  const parameters = { user: 'u', application_name: 'x'.repeat(600) }
  t.not(understood(parameters), understood(parameters))
  t.strictSame(understood(parameters), understood(parameters))
})

t.test('a replication client has no settings of a session', async (t) => {
  const startup = understood({ user: 'u', replication: 'true', application_name: 'standby', options: '-x' })
  t.match(startup, { replication: 'physical', applicationName: 'standby' })
  t.equal(startup.settings.values.size, 0)
  t.equal(startup.parameters.get('options'), '-x')
})

t.test('what cannot be had is refused each time, with the name of who asked', async (t) => {
  for (let round = 0; round < 2; round++) {
    t.match(read({ database: 'd' }), { kind: 'refused', user: '', database: 'd', error: { name: 'no_user' } })
    t.match(read({ user: 'u', replication: 'maybe' }), { kind: 'refused', error: { name: 'replication_invalid' } })
    const what = 'invalid parameter name in startup packet'
    t.match(read({ user: 'u', 'a-b': '1' }), { kind: 'refused', user: 'u', error: { args: { args: { what } } } })
    t.match(read({ user: 'u', options: '-x' }), { kind: 'refused', error: { name: 'protocol_violation' } })
  }
})

t.test('other packets are passed on', async (t) => {
  for (let round = 0; round < 2; round++) {
    const cancel = readClientStartup(frontend.cancelRequest(7, Buffer.from('abcd')).subarray(4))
    t.match(cancel, { kind: 'cancel', pid: 7 })
  }
})
