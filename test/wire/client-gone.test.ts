/**
 * A client that vanishes leaves its server as good as new: canceled, drained, rolled back, reused; or closed where it
 * has got half a message (T14). Its departure is noticed wherever it stands.
 */
import t, { type Test } from 'tap'
import { backend, frontend } from '../fixtures/messages.ts'
import { type ScriptedConnection, usualParameters } from '../fixtures/scripted-postgres.ts'
import { gate, waitFor } from '../fixtures/wait.ts'
import { type Client, type Lab, oneRow, queriesOf, received, silent, startLab } from './lab.ts'

/** Lets go of a client in the middle of what `begin` starts, and has the server answer as PostgreSQL would. */
async function abandon(
  lab: Lab,
  begin: (client: Client) => void,
  sent: string,
  meanwhile?: (server: ScriptedConnection, client: Client) => Promise<void> | void,
): Promise<ScriptedConnection> {
  const client = await lab.client()
  const server = await lab.server.connection(0)
  const before = server.received.length
  begin(client)
  await received(server, sent, before)
  await meanwhile?.(server, client)
  client.destroy()
  return server
}

async function canceled(lab: Lab, server: ScriptedConnection): Promise<void> {
  await waitFor(() => lab.server.cancels.length > 0, { what: 'a cancel request' })
  const [cancel] = lab.server.cancels.splice(0)
  if (cancel!.pid !== server.pid || !cancel!.secret.equals(server.secret)) throw new Error('another one was canceled')
}

/** A newcomer is served by that very connection. */
async function reused(t: Test, lab: Lab, server: ScriptedConnection): Promise<void> {
  const client = await lab.client()
  client.send(frontend.query('select 42'))
  await waitFor(() => queriesOf(server).at(-1) === 'select 42', { what: () => `a new query in ${queriesOf(server)}` })
  server.send(...oneRow('42'))
  await client.readUntil('Z')
  t.equal(lab.server.connections.length, 1, 'no other connection was opened')
  await client.end()
}

/** The answer to the Describe by which pgbun asks what a client's first unnamed statements are. */
const described = [backend.parameterDescription(), backend.rowDescription('a')]

const cancelError = backend.error('57014', 'canceling statement due to user request')

t.test('in the middle of a query', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const server = await abandon(lab, (client) => client.send(frontend.query('select pg_sleep(100)')), 'Q')
  await canceled(lab, server)
  t.equal(lab.servers().draining, 1)
  server.send(cancelError, backend.ready())
  await reused(t, lab, server)
})

t.test('in a transaction, nothing running: rolled back without a cancel', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const server = await abandon(
    lab,
    (client) => client.send(frontend.query('begin')),
    'Q',
    async (server, client) => {
      server.send(backend.commandComplete('BEGIN'), backend.ready('T'))
      await client.readUntil('Z')
    },
  )
  await waitFor(() => queriesOf(server).includes('ROLLBACK'), { what: 'a rollback' })
  t.strictSame(lab.server.cancels, [])
  await reused(t, lab, server)
})

t.test('in a query of a transaction: canceled, then rolled back', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const server = await abandon(lab, (client) => client.send(frontend.query('begin; select pg_sleep(100)')), 'Q')
  await canceled(lab, server)
  server.send(cancelError, backend.ready('E'))
  await waitFor(() => queriesOf(server).includes('ROLLBACK'), { what: 'a rollback' })
  await reused(t, lab, server)
})

t.test('between transactions: nothing is to be done', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const client = await lab.client()
  const server = await lab.server.connection(0)
  client.send(frontend.query('select 1'))
  await received(server, 'Q')
  server.send(...oneRow('1'))
  await client.readUntil('Z')
  client.destroy()
  await reused(t, lab, server)
  t.strictSame(queriesOf(server), ['select 1', 'select 42'])
  t.strictSame(lab.server.cancels, [])
})

t.test('behind a Flush: the batch is failed, because only its client may commit it, and synced', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const server = await abandon(
    lab,
    (client) => client.send(frontend.parse('select 1'), frontend.bind(), frontend.describe('P'), frontend.flush()),
    'PDBDH',
    async (server, client) => {
      server.send(backend.parseComplete(), ...described, backend.bindComplete(), backend.rowDescription('a'))
      await client.readUntil('T')
    },
  )
  await received(server, 'PDBDHES')
  t.strictSame(lab.server.cancels, [], 'nothing ran')
  server.send(backend.error('34000', 'portal does not exist'), backend.ready())
  await reused(t, lab, server)
})

t.test('behind an error in a batch without its Sync', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const server = await abandon(
    lab,
    (client) => client.send(frontend.parse('selec')),
    'P',
    async (server, client) => {
      server.send(backend.error('42601', 'syntax error'))
      await client.readUntil('E')
    },
  )
  await received(server, 'PS')
  server.send(backend.ready())
  await reused(t, lab, server)
})

t.test('with an Execute running and no Sync sent', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const server = await abandon(
    lab,
    (client) => client.send(frontend.parse('select 1'), frontend.bind(), frontend.execute(), frontend.flush()),
    'PDBEH',
  )
  await canceled(lab, server)
  await received(server, 'PDBEHES')
  server.send(backend.parseComplete(), ...described, backend.bindComplete(), cancelError, backend.ready())
  await reused(t, lab, server)
})

t.test('in a COPY IN: it is failed', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const server = await abandon(
    lab,
    (client) => client.send(frontend.query('copy t from stdin')),
    'Q',
    async (server, client) => {
      server.send(backend.copyIn())
      await client.readUntil('G')
      client.send(frontend.copyData('1\n'))
      await received(server, 'Qd')
    },
  )
  await received(server, 'Qdf')
  server.send(backend.error('57014', 'COPY from stdin failed: the client is gone'), backend.ready())
  await reused(t, lab, server)
})

t.test('in a COPY IN of the extended protocol: failed, then synced', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const server = await abandon(
    lab,
    (client) => client.send(frontend.parse('copy t from stdin'), frontend.bind(), frontend.execute(), frontend.sync()),
    'PDBES',
    async (server, client) => {
      const noColumns = [backend.parameterDescription(), backend.noData()]
      server.send(backend.parseComplete(), ...noColumns, backend.bindComplete(), backend.copyIn())
      await client.readUntil('G')
    },
  )
  await received(server, 'PDBESfS')
  server.send(backend.error('57014', 'COPY from stdin failed'), backend.ready())
  // PostgreSQL may or may not have read the Sync before the copy began: pgbun asks.
  await received(server, 'PDBESfSCS')
  server.send(backend.closeComplete(), backend.ready())
  await reused(t, lab, server)
})

t.test('a COPY IN that was queued and begins when the client is gone', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const server = await abandon(
    lab,
    (client) => client.send(frontend.query('select pg_sleep(1)'), frontend.query('copy t from stdin')),
    'QQ',
  )
  await canceled(lab, server)
  server.send(cancelError, backend.ready(), backend.copyIn())
  await received(server, 'QQf')
  server.send(backend.error('57014', 'COPY from stdin failed'), backend.ready())
  await reused(t, lab, server)
})

t.test('in a COPY OUT, and in the middle of a row', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const row = backend.copyData('x'.repeat(2000))
  const server = await abandon(
    lab,
    (client) => client.send(frontend.query('copy t to stdout')),
    'Q',
    async (server, client) => {
      server.send(backend.copyOut(), row, row.subarray(0, 700))
      await client.readUntil('d')
    },
  )
  await canceled(lab, server)
  server.send(row.subarray(700), cancelError, backend.ready())
  await reused(t, lab, server)
})

t.test('in the middle of a notice that came between two queries', async (t) => {
  const lab = await startLab(t, { poolMode: 'session', poolSize: 1, serverResetQuery: '', script: silent })
  const client = await lab.client()
  client.record()
  const server = await lab.server.connection(0)
  client.send(frontend.query('select 1'))
  await received(server, 'Q')
  const notice = backend.notice(`for one client's eyes only ${'x'.repeat(1000)}`)
  server.send(...oneRow('1'), notice.subarray(0, 300))
  await client.readUntil('Z')
  await waitFor(() => client.recorded().includes('for one client'), { what: 'a part of the notice' })
  client.destroy()
  const other = await lab.client()
  other.record()
  other.send(frontend.query('select 42'))
  await lab.waiting(1)
  server.send(notice.subarray(300))
  await received(server, 'QQ')
  server.send(...oneRow('42'))
  await other.readUntil('Z')
  t.notMatch(other.recorded().toString('latin1'), /xxx/)
})

t.test('with half a message sent: the server is closed, and nothing completes the message', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const client = await lab.client()
  const server = await lab.server.connection(0)
  let bytes = Buffer.alloc(0)
  server.socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
  })
  // Two bytes are missing: a Terminate behind it would make it `delete from tableX`.
  const query = frontend.query(`${' '.repeat(300_000)}delete from table2`)
  const half = query.subarray(0, -2)
  client.send(half)
  await waitFor(() => bytes.length === half.length, { what: 'half of the query at the server' })
  client.destroy()
  await waitFor(() => server.closed, { what: 'the end of the server connection' })
  t.equal(bytes.length, half.length, 'not a byte more')
  const other = await lab.client()
  other.send(frontend.query('select 1'))
  await received(await lab.server.connection(1), 'Q')
})

t.test('Terminate behind what is complete: that comes to its end, then the transaction is rolled back', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const batch = [frontend.parse('select 1'), frontend.bind(), frontend.execute(), frontend.sync()]
  const server = await abandon(
    lab,
    (client) => client.send(frontend.query('begin; select pg_sleep(100)'), ...batch, frontend.terminate()),
    'QPDBES',
  )
  server.send(backend.commandComplete('BEGIN'), ...oneRow('1').slice(0, -1), backend.ready('T'))
  const results = [backend.dataRow('1'), backend.commandComplete('SELECT 1')]
  server.send(backend.parseComplete(), ...described, backend.bindComplete(), ...results, backend.ready('T'))
  await received(server, 'QPDBESQ')
  t.equal(queriesOf(server).at(-1), 'ROLLBACK')
  t.strictSame(lab.server.cancels, [])
  await reused(t, lab, server)
})

t.test('Terminate in a batch without its Sync is the same as leaving', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const batch = [frontend.parse('select 1'), frontend.bind(), frontend.execute()]
  const server = await abandon(lab, (client) => client.send(...batch, frontend.terminate()), 'PDBEES')
  await canceled(lab, server)
  server.send(backend.parseComplete(), ...described, backend.bindComplete(), cancelError, backend.ready())
  await reused(t, lab, server)
})

t.test('Terminate behind a COPY that begins then: it is failed', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const copy = frontend.query('copy t from stdin')
  const server = await abandon(lab, (client) => client.send(copy, frontend.terminate()), 'Q')
  await waitFor(() => lab.servers().draining === 1, { what: 'the end of the client' })
  server.send(backend.copyIn())
  await received(server, 'Qf')
  t.strictSame(lab.server.cancels, [])
  server.send(backend.error('57014', 'COPY from stdin failed'), backend.ready())
  await reused(t, lab, server)
})

t.test('Terminate behind what does not end in time: the server is closed, not canceled', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent, cancelWaitTimeout: 50 })
  const query = frontend.query('select pg_sleep(100)')
  const server = await abandon(lab, (client) => client.send(query, frontend.terminate()), 'Q')
  await waitFor(() => server.closed, { what: 'the end of the server connection' })
  t.strictSame(lab.server.cancels, [])
})

t.test('what does not end in time is closed', async (t) => {
  // So long a cancel request may take, too.
  const lab = await startLab(t, { poolSize: 1, script: silent, cancelWaitTimeout: 1000 })
  const server = await abandon(lab, (client) => client.send(frontend.query('select pg_sleep(100)')), 'Q')
  await waitFor(() => server.closed, { what: 'the end of the server connection' })
  await lab.logged('did not end in time')
})

t.test('without a deadline it is waited for as long as it takes', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent, cancelWaitTimeout: 0 })
  const server = await abandon(lab, (client) => client.send(frontend.query('select pg_sleep(100)')), 'Q')
  await canceled(lab, server)
  // Two sweeps of the janitor, seen by what they do to something else.
  const idle = await lab.client({ user: 'sweep' })
  await lab.pooler.reload({ clientIdleTimeout: 1 })
  await idle.expectFatal()
  t.notOk(server.closed)
  await lab.pooler.reload({ clientIdleTimeout: 0 })
  server.send(cancelError, backend.ready())
  await waitFor(() => lab.servers().idle === 2, { what: 'idle servers' })
})

t.test('while its cancel request is under way the server goes to nobody', async (t) => {
  const closing = gate()
  const lab = await startLab(t, { poolSize: 1, script: { ...silent, onCancel: () => closing.opened } })
  const server = await abandon(lab, (client) => client.send(frontend.query('select pg_sleep(100)')), 'Q')
  await canceled(lab, server)
  server.send(cancelError, backend.ready())
  const other = await lab.client()
  other.send(frontend.query('select 2'))
  await lab.waiting(1)
  closing.open()
  await waitFor(() => queriesOf(server).includes('select 2'), { what: 'the next query' })
  server.send(...oneRow('2'))
  await other.readUntil('Z')
})

t.test('while it waits for a server it leaves the queue', async (t) => {
  const lab = await startLab(t, { poolSize: 1 })
  const [holder, leaver, stayer] = [await lab.client(), await lab.client(), await lab.client()]
  await holder.query('begin')
  leaver.send(frontend.query('select 1'))
  await lab.waiting(1)
  stayer.send(frontend.query('select 2'))
  await lab.waiting(2)
  leaver.destroy()
  await lab.waiting(1)
  await holder.query('commit')
  await stayer.readUntil('Z')
  t.notOk(queriesOf(await lab.server.connection(0)).includes('select 1'))
})

t.test('while its settings are applied', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const client = await lab.connect()
  client.send(
    frontend.startup({ user: 'postgres', database: 'postgres', TimeZone: 'Asia/Tokyo' }),
    frontend.query('select 1'),
  )
  const server = await lab.server.connection(0)
  await received(server, 'Q')
  client.destroy()
  await canceled(lab, server)
  server.send(cancelError, backend.ready())
  await reused(t, lab, server)
  t.notOk(queriesOf(server).includes('select 1'))
})

t.test('during its login, behind which nobody waits for an answer', async (t) => {
  const held = gate()
  const lab = await startLab(t, {
    authType: 'passthrough',
    script: {
      async onStartup(connection) {
        await held.opened
        connection.send(backend.authentication(0))
        for (const [name, value] of Object.entries(usualParameters)) {
          connection.send(backend.parameterStatus(name, value))
        }
        connection.send(backend.keyData(1, Buffer.alloc(4)), backend.ready())
      },
    },
  })
  const client = await lab.connect()
  client.send(frontend.startup({ user: 'u', database: 'd' }))
  await lab.server.connection(0)
  client.destroy()
  await waitFor(() => lab.pooler.snapshot().pools.length === 0, { what: 'the end of the pool' })
  held.open()
  // The pool is forgotten: what was opened for it must not stay behind.
  await waitFor(() => lab.server.connections.every((connection) => connection.closed), { what: 'no connection' })
})

t.test('the snapshot counts how sessions have ended, by reason', async (t) => {
  const lab = await startLab(t, { poolSize: 1 })
  await (await lab.client()).end()
  await (await lab.client()).end()
  const lost = await lab.client()
  lost.destroy()
  const wrong = await lab.connect()
  wrong.send(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
  await wrong.expectClosed()
  await waitFor(() => lab.pooler.snapshot().clients.length === 0, { what: 'all to be gone' })
  t.strictSame(lab.pooler.snapshot().ends, { terminated: 2, disconnected: 1, 'no-startup': 1 })
})
