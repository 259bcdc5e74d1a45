/** The harness against PostgreSQL itself: a test that fails through pgbun must not fail because of its own tools. */
import t from 'tap'
import { backend, frontend, parse } from '../fixtures/messages.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { cancel, connectRaw, errorOf, loginRaw, rowsOf, typesOf } from '../fixtures/raw-client.ts'
import { answerQueries, startScriptedPostgres } from '../fixtures/scripted-postgres.ts'
import { gate, waitFor } from '../fixtures/wait.ts'

t.test('the raw client and PostgreSQL', async (t) => {
  const server = await startPostgres(t, {
    bootstrapSql: [
      "SET password_encryption = 'md5'",
      "CREATE ROLE md LOGIN PASSWORD 'md'",
      "CREATE ROLE plain LOGIN PASSWORD 'plain'",
    ],
    hba: [
      'host all md 127.0.0.1/32 md5',
      'host all plain 127.0.0.1/32 password',
      'host all all 127.0.0.1/32 scram-sha-256',
      'local all all trust',
    ],
  })

  await t.test('every kind of password, and a wrong one', async (t) => {
    for (const user of ['postgres', 'md', 'plain']) {
      const { session } = await loginRaw(t, server, { user, password: user })
      t.equal(session.parameters.session_authorization, user)
      t.ok(session.pid > 0)
    }
    const client = await connectRaw(t, server)
    await t.rejects(client.login({ password: 'wrong' }), { code: '28P01' })
    await client.expectClosed()
  })

  await t.test('the extended protocol, in one piece and byte by byte', async (t) => {
    const client = await loginRaw(t, server)
    const request = Buffer.concat([
      frontend.parse('SELECT $1::text'),
      frontend.bind(['hello']),
      frontend.describe('P'),
      frontend.execute(),
      frontend.sync(),
    ])
    client.send(request)
    const messages = await client.readUntil('Z')
    t.equal(typesOf(messages), '12TDCZ')
    t.same(rowsOf(messages), [['hello']])
    await client.sendBytewise(request)
    t.equal(typesOf(await client.readUntil('Z')), '12TDCZ')
    await client.end()
  })

  await t.test('a large result arrives whole', async (t) => {
    const client = await loginRaw(t, server)
    const rows = await client.rows("SELECT repeat('x', 1000000) FROM generate_series(1, 5)")
    t.equal(rows.length, 5)
    t.equal(rows[4]?.[0]?.length, 1_000_000)
  })

  await t.test('a cancel request', async (t) => {
    const client = await loginRaw(t, server)
    client.send(frontend.query('SELECT pg_sleep(600)'))
    await waitFor(
      async () => (await server.query("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'")).length,
    )
    await cancel(t, server, client.session.pid, client.session.secret)
    t.match(errorOf(await client.readUntil('Z')), { C: '57014' })
  })

  await t.test('a unix socket', async (t) => {
    const client = await loginRaw(t, { path: `${server.socketDir}/.s.PGSQL.${server.port}` })
    t.same(await client.rows('SELECT 1'), [['1']])
  })

  await t.test('the end of a server is seen, and a restart brings it back on its port', async (t) => {
    const client = await loginRaw(t, server)
    await server.shutdown('fast')
    t.match(await client.expectFatal(), { S: 'FATAL', C: '57P01' })
    await server.start()
    t.same(await server.query('SELECT 1 AS one'), [{ one: 1 }])
    const other = await loginRaw(t, server)
    await server.kill9()
    t.same(typesOf(await other.expectClosed()), '')
    await server.start()
    t.same(await server.query('SELECT 2 AS two'), [{ two: 2 }])
  })
})

t.test('the scripted server', async (t) => {
  const held = gate()
  const server = await startScriptedPostgres(t, {
    async onMessage(connection, message) {
      if (message.type === 'Q' && parse.strings(message.body)[0] === 'hold') await held.opened
      if (message.type === 'Q' && parse.strings(message.body)[0] === 'cut') connection.cut()
      else answerQueries(connection, message)
    },
  })
  const client = await loginRaw(t, server, { user: 'someone', parameters: { application_name: 'test' } })
  const connection = await server.connection(0)
  t.match(connection.parameters, { user: 'someone', application_name: 'test' })
  t.same(await client.rows('select 1'), [['select 1']])
  t.equal(typesOf(await client.query('BEGIN')), 'CZ')
  client.send(frontend.parse('x'), frontend.bind(), frontend.describe('P'), frontend.execute(), frontend.sync())
  const messages = await client.readUntil('Z')
  t.equal(typesOf(messages), '12TDCZ')
  t.same(messages.at(-1)?.body, Buffer.from('T'), 'still in the transaction')

  await cancel(t, server, connection.pid, connection.secret)
  t.same(server.cancels, [{ pid: connection.pid, secret: connection.secret }])

  client.send(frontend.query('hold'), frontend.query('select 2'))
  await connection.message(7)
  t.equal(connection.types(), 'QQPBDESQ', 'the query behind the held one waits')
  held.open()
  t.equal(typesOf(await client.readUntil('Z')), 'CZ')
  t.same(rowsOf(await client.readUntil('Z')), [['select 2']])

  connection.send(backend.notice('hear'), backend.error('57P01', 'bye', 'FATAL'))
  t.equal(typesOf(await client.readUntil('E')), 'NE')
  client.send(frontend.query('cut'))
  t.same(await client.expectClosed(), [])
})
