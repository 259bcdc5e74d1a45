import t, { type Test } from 'tap'
import { backend, frontend, type Message } from '../../fixtures/messages.ts'
import { startPgbun } from '../../fixtures/pgbun.ts'
import { sharedPostgres } from '../../fixtures/postgres.ts'
import { type Address, connectRaw, errorOf, loginRaw, rowsOf, typesOf } from '../../fixtures/raw-client.ts'
import { answerQueries, type ScriptedConnection } from '../../fixtures/scripted-postgres.ts'
import { gate, waitFor } from '../../fixtures/wait.ts'
import {
  answering,
  type Client,
  type Lab,
  oneRow,
  queriesOf,
  received,
  silent,
  sqlOf,
  startLab,
} from '../../wire/lab.ts'

const postgres = sharedPostgres(t)

// Cancel requests had no effect where they were read before the query they were meant for, where another request
// towards the same server was on its way, and where PostgreSQL had not read the query yet. Protocol chapter
// "Canceling Requests in Progress".
t.test('a cancel request ends the query it is meant for, however the two meet', async (t) => {
  const canceled = [backend.error('57014', 'canceling statement due to user request'), backend.ready()]

  /** Answer what runs on the only server of `lab` as PostgreSQL does when it is canceled. */
  function end(lab: Lab): void {
    lab.server.connections[0]!.send(...canceled)
  }

  function key({ session }: Client): Buffer {
    return frontend.cancelRequest(session.pid, session.secret)
  }

  for (const poolMode of ['session', 'transaction'] as const) {
    await t.test(`read in one pass of the event loop with its query, and before it (${poolMode} mode)`, async (t) => {
      const lab: Lab = await startLab(t, {
        poolMode,
        poolSize: 1,
        script: { ...answering({ sleep() {} }), onCancel: () => end(lab) },
      })
      const client = await lab.client()
      await client.query('select 1')
      const canceller = await lab.connect()
      // The canceller is known to the event loop, too, when both become readable.
      canceller.send(frontend.gssEncRequest())
      await canceller.readBytes(1)
      // The kernel reports sockets in the order in which they became readable.
      canceller.send(key(client))
      client.send(frontend.query('sleep'))
      t.equal(errorOf(await client.readUntil('Z')).C, '57014')
      t.strictSame(await canceller.expectClosed(), [])
      t.equal(typesOf(await client.query('select 2')), 'TDCZ', 'what it sends afterwards is not hit')
    })
  }

  await t.test('a query that waits for a server is canceled by a request read together with it', async (t) => {
    const lab = await startLab(t, { poolSize: 1, script: silent })
    const holder = await lab.client()
    const client = await lab.client()
    holder.send(frontend.query('select 1'))
    await received(await lab.server.connection(0), 'Q')
    const canceller = await lab.connect()
    canceller.send(frontend.gssEncRequest())
    await canceller.readBytes(1)
    canceller.send(key(client))
    client.send(frontend.query('select 2'))
    t.equal(errorOf(await client.readUntil('Z')).C, '57014')
    await canceller.expectClosed()
    t.equal(lab.server.cancels.length, 0)
  })

  await t.test(
    'the next query of a client is canceled while the request for the query before is on its way',
    async (t) => {
      const closing = gate()
      const lab = await startLab(t, { poolMode: 'session', script: { ...silent, onCancel: () => closing.opened } })
      const client = await lab.client()
      const cancellers = [await lab.connect(), await lab.connect(), await lab.connect()]
      client.send(frontend.query('select 1'))
      const server = await lab.server.connection(0)
      await received(server, 'Q')
      cancellers[0]!.send(key(client))
      await waitFor(() => lab.server.cancels.length === 1, { what: 'the first cancel request' })
      server.send(...oneRow('1'))
      await client.readUntil('Z')
      client.send(frontend.query('select 2'))
      await received(server, 'QQ')
      cancellers[1]!.send(key(client))
      cancellers[2]!.send(key(client))
      await waitFor(() => lab.pooler.snapshot().clients.length === 4, { what: 'the others' })
      closing.open()
      await waitFor(() => lab.server.cancels.length === 2, { what: 'one more cancel request' })
      server.send(...canceled)
      t.equal(errorOf(await client.readUntil('Z')).C, '57014')
      for (const canceller of cancellers) t.strictSame(await canceller.expectClosed(), [])
      t.equal(lab.server.cancels.length, 2, 'the third joined the second')
    },
  )

  await t.test('a cancel request is not sent where its query has ended meanwhile', async (t) => {
    const closing = gate()
    const lab = await startLab(t, { poolMode: 'session', script: { ...silent, onCancel: () => closing.opened } })
    const client = await lab.client()
    const cancellers = [await lab.connect(), await lab.connect()]
    const server = await queryHeld(lab, client, 'select 1', 0)
    cancellers[0]!.send(key(client))
    await waitFor(() => lab.server.cancels.length === 1, { what: 'the first cancel request' })
    server.send(...oneRow('1'))
    await client.readUntil('Z')
    await queryHeld(lab, client, 'select 2', 0)
    cancellers[1]!.send(key(client))
    await waitFor(() => lab.pooler.snapshot().clients.length === 3, { what: 'the other' })
    server.send(...oneRow('2'))
    await client.readUntil('Z')
    await queryHeld(lab, client, 'select 3', 0)
    closing.open()
    for (const canceller of cancellers) t.strictSame(await canceller.expectClosed(), [])
    t.equal(lab.server.cancels.length, 1)
    server.send(...oneRow('3'))
    t.equal(typesOf(await client.readUntil('Z')), 'TDCZ')
  })

  async function queryHeld(lab: Lab, client: Client, sql: string, at: number): Promise<ScriptedConnection> {
    client.send(frontend.query(sql))
    const server = await lab.server.connection(at)
    await waitFor(() => queriesOf(server).includes(sql), { what: sql })
    return server
  }

  await t.test('a cancel request is repeated where PostgreSQL had not read the query yet', async (t) => {
    const lab: Lab = await startLab(t, {
      script: {
        ...silent,
        // The first is ignored, as by a backend that reads its next message.
        onCancel: () => {
          if (lab.server.cancels.length === 2) end(lab)
        },
      },
    })
    const client = await lab.client()
    const canceller = await lab.connect()
    client.send(frontend.query('select 1'))
    canceller.send(key(client))
    t.equal(errorOf(await client.readUntil('Z')).C, '57014')
    t.strictSame(await canceller.expectClosed(), [])
    t.equal(lab.server.cancels.length, 2)
  })

  await t.test('the query of the client is canceled, not the DISCARD SEQUENCES in front of it', async (t) => {
    const forgetting = gate()
    let held = false
    const lab: Lab = await startLab(t, {
      poolSize: 1,
      script: {
        async onMessage(connection, message) {
          const sql = message.type === 'Q' ? sqlOf(message) : ''
          if (sql === 'sleep') return
          if (held && sql === 'DISCARD SEQUENCES') await forgetting.opened
          answerQueries(connection, message)
        },
        onCancel: () => end(lab),
      },
    })
    const reader = await lab.client()
    await reader.query('select lastval()')
    await reader.end()
    const [other, client] = [await lab.client(), await lab.client()]
    await client.query('select 1')
    await other.query('select 1')
    held = true
    client.send(frontend.query('sleep'))
    const server = await lab.server.connection(0)
    await waitFor(() => queriesOf(server).at(-1) === 'DISCARD SEQUENCES', { what: 'the query of the pooler' })
    const canceller = await lab.connect()
    canceller.send(key(client))
    await waitFor(() => lab.pooler.snapshot().clients.length === 3, { what: 'the cancel request' })
    // Whoever comes now comes behind it.
    await (await lab.client()).end()
    t.equal(lab.server.cancels.length, 0)
    forgetting.open()
    t.equal(errorOf(await client.readUntil('Z')).C, '57014')
    await canceller.expectClosed()
  })
})

// PostgreSQL reads a Terminate when it has done what was sent before it; pgbun had canceled that. Held directly,
// too.
t.test('a query is done where its client sends Terminate right behind it', async (t) => {
  const server = await postgres.database(t)
  await server.query('CREATE TABLE done (mode text, line text)')
  const lines = async (mode: string): Promise<unknown[]> => {
    return (await server.query(`SELECT line FROM done WHERE mode = '${mode}' ORDER BY line`)).map(({ line }) => line)
  }
  for (const mode of ['direct', 'session', 'transaction'] as const) {
    const address = mode === 'direct' ? server : await startPgbun(t, { target: server, poolMode: mode, poolSize: 1 })
    const insert = (line: string): string => `INSERT INTO done SELECT '${mode}', '${line}' FROM pg_sleep(0.2)`
    for (const messages of [
      [frontend.query(insert('a'))],
      [frontend.query(insert('b')), frontend.query(insert('c'))],
      [frontend.parse(insert('d')), frontend.bind(), frontend.execute(), frontend.sync()],
      [frontend.query(`BEGIN; ${insert('rolled back')}`)],
      [frontend.parse(insert('not synced')), frontend.bind(), frontend.execute()],
    ]) {
      const client = await loginRaw(t, address)
      // Who leaves while it waits for a server has asked for nothing yet.
      await client.query('SELECT 1')
      client.send(...messages, frontend.terminate())
      client.socket.end()
      await client.expectClosed()
    }
    await waitFor(async () => (await lines(mode)).length === 4, { what: `all that was sent whole, ${mode}` })
    const next = await loginRaw(t, address)
    await next.query('SELECT 1')
    t.same(await lines(mode), ['a', 'b', 'c', 'd'], mode)
  }
})

// It got no answer: PostgreSQL answers all that it has read before the end. A client that is gone altogether still
// has its query canceled.
t.test('a client that closes its side behind its last request gets the answer', async (t) => {
  const extended = (sql: string): Buffer[] => [frontend.parse(sql), frontend.bind(), frontend.execute()]

  const copyIn = frontend.query('COPY numbers FROM STDIN')

  const query = frontend.query('SELECT 1')

  /** What is sent behind a login, in one piece with the end. */
  const requests: Record<string, Buffer[]> = {
    nothing: [],
    'a query': [query],
    'two queries': [query, frontend.query('SELECT 2')],
    'a query that fails': [frontend.query('SELECT 1/0')],
    'a query that takes its time': [frontend.query("SELECT pg_sleep(0.4), 'slow'")],
    'an empty query': [frontend.query('')],
    'a transaction that is left open': [frontend.query('BEGIN'), frontend.query('INSERT INTO numbers VALUES (-1)')],
    'an extended query': [...extended('SELECT 1'), frontend.sync()],
    'an extended query without its Sync': [...extended('SELECT 1'), frontend.flush()],
    'an extended query that fails, without its Sync': [...extended('SELECT 1/0')],
    'a Sync': [frontend.sync()],
    'rows by the thousand': [frontend.query('SELECT generate_series(1, 20000)')],
    'a COPY to the client': [frontend.query('COPY (SELECT generate_series(1, 5000)) TO STDOUT')],
    'a COPY from the client': [copyIn, frontend.copyData('1\n2\n'), frontend.copyDone()],
    'half a message': [frontend.query('SELECT 1').subarray(0, 8)],
    'a query and half a message': [query, frontend.query('SELECT 2').subarray(0, 8)],
  }

  /** Types of all messages but the repeated parameters. */
  const shape = (messages: Message[]): string => {
    return messages
      .filter(({ type }) => type !== 'S')
      .map(({ type, body }) => (type === 'Z' ? `Z${body}` : type))
      .join('')
  }

  async function play(t: Test, address: Address, request: Buffer[], params = {}): Promise<string> {
    const client = await loginRaw(t, address, params)
    client.socket.end(Buffer.concat(request))
    return shape(await client.expectClosed())
  }

  const server = await postgres.database(t, ['CREATE TABLE numbers (a int)'])
  const modes = ['session', 'transaction', 'statement'] as const
  const poolers = await Promise.all(modes.map((mode) => startPgbun(t, { target: server, poolMode: mode, poolSize: 2 })))
  for (const [name, request] of Object.entries(requests)) {
    const direct = await play(t, server, request)
    for (const [at, mode] of modes.entries()) {
      if (mode === 'statement' && /transaction|BEGIN/.test(name)) continue
      t.equal(await play(t, poolers[at]!, request), direct, `${name}, ${mode} mode`)
    }
  }
  t.strictSame(await server.query('SELECT a FROM numbers WHERE a < 0'), [], 'nothing was committed that was not to be')

  await t.test('a client that closes instead of a password hears nothing', async (t) => {
    const client = await connectRaw(t, poolers[0]!)
    client.send(frontend.startup({ user: 'postgres', database: 'postgres' }))
    await client.readMessage()
    client.socket.end()
    t.equal(shape(await client.expectClosed()), '')
  })

  await t.test('a request that waits for a server is answered', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
    const holder = await loginRaw(t, pgbun)
    await holder.query('BEGIN')
    const client = await loginRaw(t, pgbun)
    client.socket.end(frontend.query("SELECT 'late'"))
    // Whoever waits behind it proves that it waits.
    const next = await loginRaw(t, pgbun)
    const answer = next.rows("SELECT 'later'")
    await holder.query('COMMIT')
    t.strictSame(rowsOf(await client.expectClosed()), [['late']])
    t.strictSame(await answer, [['later']])
  })

  await t.test('a client that is gone has its query canceled, also one that had closed its side before', async (t) => {
    const running = async (mark: string): Promise<boolean> => {
      const found = await server.query(
        `SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%${mark}%' AND pid <> pg_backend_pid()`,
      )
      return found.length > 0
    }
    for (const [at, mark] of ['gone', 'closed first'].entries()) {
      const client = await loginRaw(t, poolers[1]!)
      client.send(frontend.query(`SELECT pg_sleep(600) /* ${mark} */`))
      await waitFor(() => running(mark), { what: mark })
      if (at === 1) {
        client.socket.end()
        // It is told of a parameter once more, and still there.
        await client.readUntil('S')
      }
      client.destroy()
      await waitFor(async () => !(await running(mark)), { what: `the end of what was ${mark}` })
    }
    t.pass('both')
  })
})
