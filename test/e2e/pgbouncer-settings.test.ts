/** Settings that people bring along from PgBouncer and that have no test of their own elsewhere. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { frontend, parse } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, LoginError, loginRaw } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

t.test('settings of PgBouncer', async (t) => {
  const server = await startPostgres(t, { bootstrapSql: ['CREATE TABLE resets (n int)'] })

  await t.test('query_wait_notify', async (t) => {
    const pgbun = await startPgbun(t, {
      target: server,
      poolMode: 'transaction',
      poolSize: 1,
      args: ['--query-wait-notify', '200ms'],
    })
    const holder = await loginRaw(t, pgbun)
    const waiting = await loginRaw(t, pgbun)
    await holder.query('BEGIN')
    waiting.send(frontend.query('SELECT 42'))
    const notice = await waiting.readMessage()
    t.equal(notice.type, 'N')
    t.match(parse.fields(notice.body), {
      S: 'NOTICE',
      C: '00000',
      M: 'No server connection available in postgres backend, client being queued',
    })
    await holder.query('COMMIT')
    t.equal((await waiting.readMessage()).type, 'T', 'once, and then the answer')
    await waiting.readUntil('Z')
  })

  await t.test('ignore_startup_parameters', async (t) => {
    const parameters = { not_a_parameter: 'x', Search_Path: 'pg_catalog' }
    const strict = await startPgbun(t, { target: server })
    const refused = await loginRaw(t, strict, { parameters }).catch((error) => error)
    t.ok(refused instanceof LoginError)
    t.match(refused, { code: '42704' })
    const args = ['--ignore-startup-parameters', 'NOT_a_parameter,search_path']
    const lenient = await startPgbun(t, { target: server, args })
    const client = await loginRaw(t, lenient, { parameters: { ...parameters, TimeZone: 'Asia/Tokyo' } })
    t.match(await client.rows("SELECT current_setting('TimeZone'), current_setting('search_path')"), [
      ['Asia/Tokyo', '"$user", public'],
    ])
  })

  await t.test('application_name_add_host', async (t) => {
    const args = ['--application-name-add-host']
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', args })
    for (const [name, expected] of [
      ['mine', /^mine - 127\.0\.0\.1:\d+$/],
      ['', /^app - 127\.0\.0\.1:\d+$/],
    ] as const) {
      const client = await loginRaw(t, pgbun, { parameters: name === '' ? {} : { application_name: name } })
      t.match(client.session.parameters.application_name, expected)
      const [[shown]] = (await client.rows(
        'SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()',
      )) as [[string]]
      t.equal(shown, client.session.parameters.application_name)
    }
  })

  await t.test('server_reset_query_always', async (t) => {
    const args = ['--server-reset-query', 'INSERT INTO resets VALUES (1)', '--server-reset-query-always']
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', args })
    const client = await loginRaw(t, pgbun)
    const resets = async (): Promise<number> => (await server.query('SELECT 1 FROM resets')).length
    await client.query('SELECT 1')
    await waitFor(async () => (await resets()) >= 1)
    const before = await resets()
    t.same(errorOf(await client.query('BEGIN')), {})
    await client.query('SELECT 1')
    t.equal(await resets(), before, 'not in the middle of a transaction')
    await client.query('COMMIT')
    await waitFor(async () => (await resets()) > before)
  })

  await t.test('server_fast_close', async (t) => {
    const text = (host: string): string =>
      `[databases.postgres]\nhost = "${host}"\nport = ${server.port}\n[pool]\nserver_fast_close = true\n`
    const file = join(t.testdir({ 'pgbun.toml': text('127.0.0.1') }), 'pgbun.toml')
    const pgbun = await startPgbun(t, { args: ['--config', file] })
    const [idle, busy] = [await loginRaw(t, pgbun), await loginRaw(t, pgbun)]
    await idle.query('SELECT 1')
    await busy.query('BEGIN')
    writeFileSync(file, text('localhost'))
    pgbun.signal('SIGHUP')
    t.match(await idle.expectFatal(), { C: '57P01', M: /server_fast_close/ })
    t.same(await busy.rows('SELECT 42'), [['42']], 'a transaction may end first')
    busy.send(frontend.query('COMMIT'))
    await busy.readUntil('Z')
    t.match(await busy.expectFatal(), { C: '57P01' })
  })

  await t.test('disable_pqexec', async (t) => {
    for (const poolMode of ['session', 'transaction'] as const) {
      const pgbun = await startPgbun(t, { target: server, poolMode, args: ['--disable-pqexec'] })
      const prepared = (sql: string): Buffer =>
        Buffer.concat([frontend.parse(sql), frontend.bind(), frontend.execute(), frontend.sync()])
      const idle = await loginRaw(t, pgbun)
      idle.send(frontend.query('SELECT 1'))
      t.match(await idle.expectFatal(), { C: '08P01', M: 'PQexec disallowed' }, poolMode)
      const client = await loginRaw(t, pgbun)
      client.send(prepared('BEGIN'))
      t.equal(errorOf(await client.readUntil()).C, undefined)
      client.send(prepared('SELECT 1'), frontend.query('SELECT 2'))
      t.match((await client.expectClosed()).map(({ type }) => type).join(''), /E$/)
      t.match(pgbun.logs(), /client disconnected: disable_pqexec refuses Query messages/)
    }
  })
})
