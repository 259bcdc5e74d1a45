/**
 * A statement_timeout or transaction_timeout of one client stopped pgbun's own queries: the next client ended with 57014
 * while it was given its settings, or the client itself kept its server because it could not be asked.
 */
import t from 'tap'
import { backend, frontend, type Message, parse } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw, type RawClient } from '../fixtures/raw-client.ts'
import { answerQueries, type ScriptedConnection } from '../fixtures/scripted-postgres.ts'
import { startLab } from '../wire/lab.ts'

/**
 * Runs a text that may be too slow for its client's limit, on a machine that is busy with other tests, too: a
 * statement_timeout ends the statement, a transaction_timeout the connection, as PostgreSQL does without a pooler. Anything
 * else that ends the connection is thrown.
 */
async function survives(client: RawClient, sql: string): Promise<boolean> {
  client.send(frontend.query(sql))
  for (;;) {
    const { type, body } = await client.readMessage()
    if (type === 'Z') return true
    if (type === 'E' && parse.fields(body).C === '25P04') {
      await client.expectClosed()
      return false
    }
  }
}

t.test('short limits', async (t) => {
  const server = await startPostgres(t)
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const names = server.major >= 17 ? ['statement_timeout', 'transaction_timeout'] : ['statement_timeout']
  for (const name of names) {
    let client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    for (let round = 0; round < 50; round++) {
      if (!(await survives(client, `SET ${name} = 1; SELECT 1`))) client = await loginRaw(t, pgbun)
      await other.rows("SELECT set_config('app.x', 'x', false)")
      if (round % 10 === 0) t.strictSame(await other.rows(`SHOW ${name}`), [['0']])
      if (!(await survives(client, `RESET ${name}`))) client = await loginRaw(t, pgbun)
    }
    // The last RESET may have been too slow for a statement_timeout.
    await client.end()
    client = await loginRaw(t, pgbun)
    t.strictSame(await client.rows(`SET ${name} = 500; SHOW ${name}`), [['500ms']])
    t.strictSame(await other.rows(`SHOW ${name}`), [['0']])
    t.strictSame(await client.rows(`SHOW ${name}`), [['500ms']], 'they follow the client')
    await client.rows(`BEGIN; SET LOCAL ${name} = 700; COMMIT`)
    t.strictSame(await client.rows(`SHOW ${name}`), [['500ms']])
    await client.rows(`RESET ${name}; SELECT 100`)
    t.strictSame(await client.rows(`SHOW ${name}`), [['0']])
    await client.end()
    await other.end()
  }
  t.notMatch(pgbun.logs(), /keeps its server|ERROR/)
})

t.test('a limit of the startup packet that is switched off', async (t) => {
  const server = await startPostgres(t)
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const client = await loginRaw(t, pgbun, { parameters: { statement_timeout: '500' } })
  const other = await loginRaw(t, pgbun)
  await client.rows('SET statement_timeout = 0; SELECT 100')
  await other.rows('SELECT 1')
  t.strictSame(await client.rows('SHOW statement_timeout'), [['0']])
  await client.rows('RESET statement_timeout; SELECT 100')
  await other.rows('SELECT 1')
  t.strictSame(await client.rows('SHOW statement_timeout'), [['500ms']])
})

const setsSettings = (message: Message): boolean =>
  message.type === 'Q' && (parse.strings(message.body)[0] ?? '').includes('set_config')

t.test('a server that cannot be given the settings of a client is given up, not the client', async (t) => {
  for (const how of ['lost', 'limited']) {
    let failures = 0
    const script = {
      onMessage(connection: ScriptedConnection, message: Message): void {
        if (!setsSettings(message) || connection.received.length < 4 || failures === 3) {
          answerQueries(connection, message)
          return
        }
        failures = how === 'lost' ? 3 : failures + 1
        if (how === 'lost') connection.end(backend.error('25P04', 'limit', 'FATAL'))
        else connection.send(backend.error('57014', 'limit'), backend.ready())
      },
    }
    const lab = await startLab(t, { poolSize: 1, script })
    const client = await lab.client({ parameters: { search_path: 'a' } })
    await (await lab.client()).query('select 1')
    t.strictSame(await client.rows('select 2'), [['select 2']], how)
    t.equal(failures, 3)
  }
})

t.test('a client whose own limit ends every server is told so in PostgreSQL’s words', async (t) => {
  let working = true
  let failures = 0
  const script = {
    onMessage(connection: ScriptedConnection, message: Message): void {
      if (working || !setsSettings(message)) {
        answerQueries(connection, message)
        return
      }
      failures++
      connection.end(backend.error('25P04', 'terminating connection due to transaction timeout', 'FATAL'))
    },
  }
  const lab = await startLab(t, { poolSize: 1, script })
  const client = await lab.client({ parameters: { transaction_timeout: '1' } })
  await (await lab.client()).query('select 1')
  working = false
  client.send(frontend.query('select 2'))
  t.match(await client.expectFatal(), { S: 'FATAL', C: '25P04', M: /transaction timeout/ })
  t.ok(failures > 1)
})

t.test('nor is a client that keeps its server stopped by a limit of its own', async (t) => {
  const script = {
    onMessage(connection: ScriptedConnection, message: Message): void {
      const [sql = ''] = message.type === 'Q' ? parse.strings(message.body) : []
      if (sql === 'RESET TimeZone') connection.send(backend.parameterStatus('TimeZone', 'UTC'))
      else if (sql.includes('set_config')) connection.send(backend.parameterStatus('TimeZone', 'Asia/Tokyo'))
      answerQueries(connection, message)
    },
  }
  const lab = await startLab(t, { poolMode: 'session', script })
  const client = await lab.client({ parameters: { TimeZone: 'Asia/Tokyo' } })
  await client.query('RESET TimeZone')
  t.strictSame(await client.rows('select 1'), [['select 1']])
  const server = await lab.server.connection(0)
  t.ok(
    server.received.some(({ body }) =>
      /^SET LOCAL statement_timeout = 0;.*set_config\('timezone'/.test(body.toString()),
    ),
  )
})
