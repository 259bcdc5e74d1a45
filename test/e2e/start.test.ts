/** The program from its start to its end: ready, a query in each pool mode, and both ways to be asked to stop. */
import t from 'tap'
import { runPgbun, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'

t.test('in front of a server', async (t) => {
  const server = await startPostgres(t)

  for (const mode of ['session', 'transaction', 'statement'] as const) {
    await t.test(`pool mode ${mode}`, async (t) => {
      const pgbun = await startPgbun(t, { target: server, poolMode: mode })
      t.match(pgbun.logs(), new RegExp(`listening on 127.0.0.1:${pgbun.port}.*${server.port}.*${mode}`))
      const client = await pgbun.connect()
      t.same((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }])
      t.same((await client.query('SELECT $1::text AS name', ['pgbun'])).rows, [{ name: 'pgbun' }])
      await t.rejects(client.query('SELECT * FROM nowhere'), { code: '42P01' })
      t.same((await client.query('SELECT 2 AS two')).rows, [{ two: 2 }])
      await t.rejects(pgbun.connect({ password: 'wrong' }), { code: '28P01' })
    })
  }

  await t.test('settings from a file', async (t) => {
    const pgbun = await startPgbun(t, {
      config: { pool: { pool_mode: 'transaction' }, server: { server_host: server.host, server_port: server.port } },
    })
    t.match(pgbun.logs(), /transaction/)
    const client = await pgbun.connect()
    t.same((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }])
    t.ok(pgbun.rss() > 1_000_000, 'its memory can be measured')
  })

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    await t.test(`${signal} ends it with exit code 0 and tells the client`, async (t) => {
      const pgbun = await startPgbun(t, { target: server })
      const client = await loginRaw(t, pgbun)
      t.same(await client.rows('SELECT 1'), [['1']])
      t.same(await pgbun.stop(signal), { code: 0, signal: null })
      t.match(await client.expectFatal(), { S: 'FATAL', C: '57P01' })
    })
  }
})

t.test('a mistake on the command line', async (t) => {
  const { code, stderr } = await runPgbun(t, ['--listen-port', '99999'])
  t.not(code, 0)
  t.match(stderr, /99999/)
})

t.test('a port that is taken', async (t) => {
  const server = await startPostgres(t)
  const first = await startPgbun(t, { target: server })
  await t.rejects(startPgbun(t, { target: server, listenPort: first.port }), {
    message: new RegExp(`${first.port}`),
  })
})
