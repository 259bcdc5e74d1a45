/**
 * A server that shuts down may say so right behind the ReadyForQuery of a login, in the same chunk. Nobody heard of it:
 * the connection went into the pool, and whoever got it waited for ever.
 */
import t from 'tap'
import { backend } from '../fixtures/messages.ts'
import { type ScriptedConnection, usualParameters } from '../fixtures/scripted-postgres.ts'
import { startLab } from '../wire/lab.ts'

const FATAL = backend.error('57P01', 'terminating connection due to administrator command', 'FATAL')

/** Greets, and says `more` in the same breath. */
function greetAnd(connection: ScriptedConnection, more: Buffer): void {
  connection.end(
    backend.authentication(0),
    ...Object.entries(usualParameters).map(([name, value]) => backend.parameterStatus(name, value)),
    backend.keyData(connection.pid, connection.secret),
    backend.ready('I'),
    more,
  )
}

t.test('the first connection of a pool: its login has failed', async (t) => {
  let count = 0
  const lab = await startLab(t, {
    poolSize: 1,
    serverLoginRetry: 1,
    script: { onStartup: (connection) => (count++ === 0 ? greetAnd(connection, FATAL) : connection.greet()) },
  })
  await t.rejects(lab.client(), /terminating connection due to administrator command/)
  await lab.logged('server connection failed')
  const client = await lab.client()
  t.strictSame(await client.rows('select 1'), [['select 1']])
})

t.test('a further one: whoever waits goes on waiting', async (t) => {
  let count = 0
  const lab = await startLab(t, {
    serverLoginRetry: 1,
    script: { onStartup: (connection) => (count++ === 1 ? greetAnd(connection, FATAL) : connection.greet()) },
  })
  const [holder, client] = [await lab.client(), await lab.client()]
  await holder.query('begin')
  t.strictSame(await client.rows('select 1'), [['select 1']])
  t.equal(count, 3)
})

t.test('what breaks the protocol there fails the login, too', async (t) => {
  for (const more of [backend.ready('I'), backend.authentication(0), backend.dataRow('1')]) {
    const lab = await startLab(t, { poolSize: 1, script: { onStartup: (connection) => greetAnd(connection, more) } })
    await t.rejects(lab.client(), /protocol error of the server during login/)
  }
})

t.test('with auth_type passthrough, whose login proves a password', async (t) => {
  const lab = await startLab(t, {
    authType: 'passthrough',
    script: { onStartup: (connection) => greetAnd(connection, FATAL) },
  })
  await t.rejects(lab.client(), /terminating connection due to administrator command/)
})
