/**
 * Connections that sent no startup packet counted nowhere: a stranger could take all file descriptors with them, and
 * newcomers were reset without a word in the log.
 */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import type { RawClient } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'
import { startLab } from '../wire/lab.ts'

const startup = frontend.startup({ user: 'postgres', database: 'postgres' })

for (const [name, bytes] of [
  ['nothing', undefined],
  ['a part of a request for TLS', frontend.sslRequest().subarray(0, 5)],
  ['a part of a startup packet', startup.subarray(0, 12)],
] as const) {
  t.test(`of connections that sent ${name} the oldest goes`, async (t) => {
    const lab = await startLab(t, { maxSilentConnections: 3 })
    const member = await lab.client()
    const silent: RawClient[] = []
    for (let at = 0; at < 8; at++) {
      const client = await lab.connect()
      if (bytes) client.send(bytes)
      silent.push(client)
      // One after the other: the order is what this is about.
      await waitFor(() => silent.filter(({ closed }) => closed).length === Math.max(0, at - 2), {
        what: 'the oldest to go',
      })
    }
    t.strictSame(
      silent.map(({ closed }) => closed),
      [true, true, true, true, true, false, false, false],
    )
    const next = await lab.client()
    t.strictSame(await next.rows('select 1'), [['select 1']], 'whoever is in earnest gets in')
    t.strictSame(await member.rows('select 2'), [['select 2']], 'and who was in stays')
    t.equal(lab.log.filter((line) => line.includes('too many have sent no startup packet')).length, 1, 'said once')
  })
}

t.test('a login under way, or a client that was let in, is not silent', async (t) => {
  const lab = await startLab(t, { maxSilentConnections: 1 })
  const members = []
  for (let at = 0; at < 5; at++) members.push(await lab.client())
  for (const member of members) t.strictSame(await member.rows('select 1'), [['select 1']])
})
