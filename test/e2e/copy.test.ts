/**
 * Large data in both directions: COPY and big results arrive whole, one side that does not keep up slows the other down
 * instead of filling memory, and a client that dies in the middle leaves nothing behind.
 * Protocol chapter "COPY Operations".
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient, typesOf } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const MB = 1_000_000
/** One message of COPY data: a hundred lines that say which they are, about 64 kB. */
function chunk(at: number): Buffer {
  const lines = Array.from({ length: 100 }, (_, line) => `${at * 100 + line}\t${'x'.repeat(632)}\n`)
  return frontend.copyData(lines.join(''))
}

/** Hashes the results of a query message by message, so that the test holds none of it. */
async function checksum(client: RawClient): Promise<{ hash: string; bytes: number; rows: number }> {
  const hash = createHash('md5')
  let bytes = 0
  let rows = 0
  for (;;) {
    const { type, body } = await client.readMessage()
    if (type === 'E') throw new Error(JSON.stringify(errorOf([{ type, body }])))
    if (type === 'Z') return { hash: hash.digest('hex'), bytes, rows }
    if (type !== 'D' && type !== 'd') continue
    hash.update(body)
    bytes += body.length
    rows++
  }
}

t.test('large data', async (t) => {
  const server = await startPostgres(t, {
    bootstrapSql: [
      'CREATE TABLE sink (id int, line text)',
      'CREATE TABLE gated (id int, line text)',
      // The first row waits for whoever holds the gate.
      'CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS' +
        ' $$ BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NEW; END $$',
      'CREATE TRIGGER gate BEFORE INSERT ON gated FOR EACH ROW EXECUTE FUNCTION gate()',
    ],
  })
  const waiting = (event: string): Promise<number> =>
    server
      .query('SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = $1', [event])
      .then(([row]) => row.n as number)

  for (const mode of ['session', 'transaction'] as const) {
    await t.test(`pool mode ${mode}: 50 MB in, and out again`, async (t) => {
      const pgbun = await startPgbun(t, { target: server, poolMode: mode, poolSize: 1 })
      const client = await loginRaw(t, pgbun)
      client.send(frontend.query('COPY sink FROM STDIN'))
      t.equal(typesOf(await client.readUntil('G')), 'G')
      for (let at = 0; at < 800; at++) {
        if (!client.socket.write(chunk(at))) await once(client.socket, 'drain')
      }
      client.send(frontend.copyDone())
      t.equal(typesOf(await client.readUntil('Z')), 'CZ')
      const [sum] = await client.rows('SELECT count(*), sum(id), sum(length(line)) FROM sink')
      t.same(sum, ['80000', String((79_999 * 80_000) / 2), String(80_000 * 632)])

      client.send(frontend.query('COPY (SELECT * FROM sink ORDER BY id) TO STDOUT'))
      const out = await checksum(client)
      const expected = createHash('md5')
      for (let at = 0; at < 800; at++) expected.update(chunk(at).subarray(5))
      t.equal(out.hash, expected.digest('hex'), 'byte for byte')
      t.equal(out.rows, 80_000)
      await client.query('TRUNCATE sink')
    })
  }

  await t.test('a COPY that fails, is given up, or gets data too late', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    client.send(frontend.query('COPY sink FROM STDIN'), frontend.copyData('no number\tx\n'))
    client.send(...Array.from({ length: 50 }, (_, at) => chunk(at)), frontend.copyDone())
    const failed = await client.readUntil('Z')
    t.match(errorOf(failed), { C: '22P02' })
    t.same(await other.rows('SELECT count(*) FROM sink'), [['0']], 'the data behind the error are nobody else’s')
    client.send(frontend.query('COPY sink FROM STDIN'), chunk(0), frontend.copyFail('changed my mind'))
    t.match(errorOf(await client.readUntil('Z')), { C: '57014', M: /changed my mind/ })
    client.send(frontend.query('COPY sink FROM STDIN; SELECT 1'), chunk(0), frontend.copyDone())
    t.equal(typesOf(await client.readUntil('Z')), 'GCTDCZ', 'in the middle of several statements')
    t.same(await other.rows('SELECT count(*) FROM sink'), [['100']])
    await other.query('TRUNCATE sink')
  })

  await t.test('ten readers that stop reading cost bounded memory, and lose nothing', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolSize: 10 })
    const readers = await Promise.all(Array.from({ length: 10 }, () => loginRaw(t, pgbun)))
    const sql = 'SELECT n, repeat(md5(n::text), 300) FROM generate_series(1, 3000) n'
    await readers[0]!.query('SELECT 1')
    const before = pgbun.rss()
    for (const reader of readers) {
      reader.pause()
      reader.send(frontend.query(sql))
    }
    await waitFor(async () => (await waiting('ClientWrite')) === 10, { what: 'PostgreSQL to be held up' })
    const grown = (pgbun.rss() - before) / MB
    t.ok(grown < 100, `300 MB are on their way, memory grew by ${Math.round(grown)} MB`)
    const direct = await loginRaw(t, server)
    direct.send(frontend.query(sql))
    const expected = await checksum(direct)
    t.ok(expected.bytes > 28 * MB)
    for (const reader of readers) {
      reader.resume()
      t.same(await checksum(reader), expected)
    }
  })

  await t.test('one row of 80 MB to a reader that stops in the middle of it', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
    const reader = await loginRaw(t, pgbun)
    await reader.query('SELECT 1')
    const before = pgbun.rss()
    reader.pause()
    reader.send(frontend.query("SELECT repeat('0123456789', 8000000)"))
    await waitFor(async () => (await waiting('ClientWrite')) === 1, { what: 'PostgreSQL to be held up' })
    const grown = (pgbun.rss() - before) / MB
    t.ok(grown < 40, `memory grew by ${Math.round(grown)} MB`)
    reader.resume()
    const messages = await reader.readUntil('Z')
    t.equal(typesOf(messages), 'TDCZ')
    t.equal(messages[1]!.body.length, 80 * MB + 6)
    t.same(await reader.rows('SELECT 1'), [['1']])
  })

  await t.test('a sender that is faster than PostgreSQL is slowed down', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 2 })
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    const keeper = await server.connect()
    await keeper.query('SELECT pg_advisory_lock(7)')
    client.send(frontend.query('COPY gated FROM STDIN'))
    await client.readUntil('G')
    const before = pgbun.rss()
    const data = chunk(0)
    let sent = 0
    const sending = (async () => {
      for (; sent < 1200; sent++) if (!client.socket.write(data)) await once(client.socket, 'drain')
    })()
    await waitFor(async () => (await waiting('advisory')) === 1, { what: 'PostgreSQL to stop reading' })
    let seen = -1
    let still = 0
    await waitFor(() => {
      still = sent === seen ? still + 1 : 0
      seen = sent
      return still > 40
    })
    t.ok(
      sent < 600,
      `${Math.round((sent * data.length) / MB)} MB of ${Math.round((1200 * data.length) / MB)} MB were taken`,
    )
    t.ok((pgbun.rss() - before) / MB < 60, `memory grew by ${Math.round((pgbun.rss() - before) / MB)} MB`)
    t.same(await other.rows('SELECT 1'), [['1']], 'nobody else is held up')
    await keeper.query('SELECT pg_advisory_unlock(7)')
    await sending
    client.send(frontend.copyDone())
    t.equal(typesOf(await client.readUntil('Z')), 'CZ')
    t.same(await client.rows('SELECT count(*) FROM gated'), [['120000']])
  })

  await t.test('a client that dies in a COPY leaves no row, no lock, and its server to the next', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
    const [pid] = await (await loginRaw(t, pgbun)).rows('SELECT pg_backend_pid()')
    const dying: ((client: RawClient) => Promise<void>)[] = [
      async (client) => {
        client.send(frontend.query('COPY sink FROM STDIN'))
        await client.readUntil('G')
        client.send(chunk(0))
      },
      async (client) => {
        // In the middle of a message the server cannot be kept; everything else holds.
        client.send(frontend.query('COPY sink FROM STDIN'))
        await client.readUntil('G')
        client.send(chunk(0), chunk(1).subarray(0, 30_000))
      },
      async (client) => {
        client.send(frontend.query('COPY (SELECT generate_series(1, 100000000)) TO STDOUT'))
        for (let at = 0; at < 1000; at++) await client.readUntil('d')
      },
      async (client) => {
        await client.query('BEGIN; INSERT INTO sink VALUES (1)')
        client.send(frontend.parse('COPY sink FROM STDIN'), frontend.bind(), frontend.execute(), frontend.sync())
        await client.readUntil('G')
        client.send(chunk(0))
      },
    ]
    for (const [at, die] of dying.entries()) {
      const client = await loginRaw(t, pgbun)
      await die(client)
      client.destroy()
      const next = await loginRaw(t, pgbun)
      const [row] = await next.rows('SELECT pg_backend_pid(), (SELECT count(*) FROM sink)')
      t.equal(row![1], '0', `case ${at}: only what was there before`)
      if (at === 0) t.same(row![0], pid![0], 'the same server')
      const locks = "SELECT 1 FROM pg_locks WHERE relation = 'sink'::regclass AND pid <> pg_backend_pid()"
      await waitFor(async () => (await server.query(locks)).length === 0, { what: 'locks to be gone' })
      await next.end()
    }
    t.notMatch(pgbun.logs(), /lost synchronization|internal error/)
  })
})
