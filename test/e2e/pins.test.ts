/**
 * session_state = pin: a client keeps its server for as long as it has state there that cannot follow it, and everybody
 * can see it: in the snapshot, the counters and the log. pin_idle_timeout makes an end of it.
 */
import t from 'tap'
import { createPooler, type Snapshot } from '../../lib/index.ts'
import { createLogger } from '../../lib/util/logger.ts'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw, rowsOf } from '../fixtures/raw-client.ts'
import { PREPARE_STATES, STATE_SAMPLES } from '../fixtures/session-state.ts'
import { waitFor } from '../fixtures/wait.ts'

t.test('pins', async (t) => {
  const server = await startPostgres(t, { bootstrapSql: [...PREPARE_STATES, 'CREATE TABLE log (line text)'] })
  const lines: string[] = []
  const pooler = await createPooler(
    {
      listenHost: '127.0.0.1',
      listenPort: 0,
      serverHost: server.host,
      serverPort: server.port,
      poolMode: 'transaction',
      poolSize: 1,
    },
    { logger: createLogger({ level: 'debug', write: (line) => lines.push(line) }) },
  )
  t.teardown(() => pooler.close({ timeoutMs: 0 }))
  const address = { host: '127.0.0.1', port: (pooler.address as { port: number }).port }
  const said = (): string[] => lines.filter((line) => line.includes('client keeps its server connection'))
  const pool = (): Snapshot['pools'][number] => pooler.snapshot().pools[0]!

  for (const { create, drop, present, reason, kind } of STATE_SAMPLES) {
    await t.test(`${reason}: kept while it is there, and not a transaction longer`, async (t) => {
      await server.query('TRUNCATE log')
      lines.length = 0
      const client = await loginRaw(t, address)
      const other = await loginRaw(t, address)
      const before = pool()
      t.equal(before.pinned, 0)
      await client.query(`BEGIN; ${create}; COMMIT`)
      // One server for two: this runs when the other client gives it back, and not before.
      other.send(frontend.sync(), frontend.query("INSERT INTO log VALUES ('other')"))
      await other.readUntil('Z')
      t.same(await client.rows(present), [['t']])
      t.same(await client.rows('SELECT * FROM log'), [])
      const shown = pooler.snapshot()
      t.match(
        shown.clients.find(({ pinned }) => pinned !== ''),
        { pinned: reason },
      )
      await waitFor(() => pooler.snapshot().clients.some(({ pinnedFor }) => pinnedFor > 0), {
        what: 'an age of the pin',
      })
      t.equal(pool().pinned, 1)
      t.equal(pool().counters.pins, before.counters.pins + 1, 'counted once')
      t.equal(pool().pinCounts[kind], before.pinCounts[kind] + 1)
      t.equal(said().length, 1, 'and said once')
      t.match(said()[0], /info/i)
      t.match(said()[0], reason)
      if (drop === undefined) await client.end()
      else await client.query(drop)
      t.notOk(rowsOf(await other.readUntil('Z')).length)
      await waitFor(() => pool().pinned === 0)
      t.ok(pool().counters.pinTime > 0)
      if (drop === undefined) return
      t.same(await client.rows(present), [['f']])
      t.same(await client.rows('SELECT * FROM log'), [['other']])
      await client.query(`BEGIN; ${create}; COMMIT`)
      t.match(await waitFor(() => said()[1]), /debug/i, 'a further pin of the same client is nothing new')
      await client.query(drop)
      await client.query(`BEGIN; ${create}; ROLLBACK`)
      // Its answer comes after that to the question what the transaction left.
      await client.query('SELECT 1')
      if (!['advisoryLock', 'prepare'].includes(kind)) t.equal(pool().pinned, 0, 'nothing came of it')
      await client.end()
      await other.end()
      await waitFor(() => pool().clients === 0)
    })
  }

  await t.test('a table that is temporary because of search_path is one, too', async (t) => {
    const client = await loginRaw(t, address)
    const other = await loginRaw(t, address)
    await client.query('SET search_path = pg_temp, public')
    t.equal(pool().pinned, 0, 'the setting alone follows the client')
    t.match(await other.rows('SHOW search_path'), [[/public/]])
    await client.query('CREATE TABLE mine (a int)')
    await waitFor(() => pool().pinned === 1)
    other.send(frontend.query("SELECT to_regclass('pg_temp.mine')"))
    t.same(await client.rows('SELECT * FROM mine'), [])
    await client.query('DROP TABLE mine')
    t.same(rowsOf(await other.readUntil('Z')), [[null]])
  })

  await t.test('pin_idle_timeout', async (t) => {
    const args = ['--pin-idle-timeout', '300ms']
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1, args })
    const idle = await loginRaw(t, pgbun)
    for (const { create, present, reason } of STATE_SAMPLES) {
      const client = await loginRaw(t, pgbun)
      await client.query(create)
      const next = await loginRaw(t, pgbun)
      next.send(frontend.query(present))
      const error = await client.expectFatal()
      t.match(error, { S: 'FATAL', C: '57P05', M: /^pin_idle_timeout: /, H: /raise pin_idle_timeout/ }, create)
      t.ok(error.M!.includes(`(${reason})`), 'it says why')
      t.same(rowsOf(await next.readUntil('Z')), [['f']], 'whoever waits gets the server, clean')
      await next.end()
    }
    t.same(await idle.rows('SELECT 1'), [['1']], 'who keeps no server may be idle')
  })
})
