/** Reads that go to standbys (`route_reads`): which do, what a client sees there, and what happens when hosts come and go. */
import t from 'tap'
import { type Cluster, type Node, startCluster } from '../fixtures/cluster.ts'
import { frontend } from '../fixtures/messages.ts'
import { portOf, startPooledHosts } from '../fixtures/pooled-hosts.ts'
import { errorOf, loginRaw, type RawClient, typesOf } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const bootstrapSql = [
  'CREATE TABLE notes (id int PRIMARY KEY, text text)',
  "INSERT INTO notes VALUES (0, 'first')",
  'CREATE SEQUENCE numbers',
  'CREATE UNLOGGED TABLE scratch (id int)',
  'CREATE TABLE parent (id int) PARTITION BY LIST (id)',
  'CREATE UNLOGGED TABLE child PARTITION OF parent DEFAULT',
  "CREATE VIEW numbered AS SELECT nextval('numbers') AS number",
  'CREATE VIEW "Outer" AS SELECT number FROM numbered',
  "CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS $$INSERT INTO notes VALUES (-1, 'written') RETURNING id$$",
  'CREATE FUNCTION reads() RETURNS bigint LANGUAGE sql STABLE AS $$SELECT count(*) FROM notes$$',
  "CREATE FUNCTION numbering(bigint DEFAULT nextval('numbers')) RETURNS bigint LANGUAGE sql STABLE AS $$SELECT $1$$",
  'CREATE FUNCTION "Again"(bigint DEFAULT numbering()) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$SELECT $1$$',
  'CREATE VIEW once_more AS SELECT "Again"()',
  'CREATE FUNCTION plain(bigint DEFAULT 1) RETURNS bigint LANGUAGE sql STABLE AS $$SELECT $1$$',
  'CREATE FUNCTION mine(notes) RETURNS int LANGUAGE sql AS $$SELECT 1$$',
]

t.test('reads', async (t) => {
  const cluster: Cluster = await startCluster(t, { bootstrapSql })
  const [a, b, c] = cluster.nodes as [Node, Node, Node]
  const standbys = [b.port, c.port]
  const ROUTED = { routeReads: 'replicas', maxReplicaLag: '60s' } as const

  /** Wait until reads of `client` are served by a standby, by one of `ports`. */
  const onStandby = (client: RawClient, ports = standbys) => waitFor(async () => ports.includes(await portOf(client)))
  const here = (from: string): string => `SELECT inet_server_port()::int FROM ${from}`

  await t.test('which statements go where', async (t) => {
    const { login, pooler, hostOf } = await startPooledHosts(t, [a, b, c], ROUTED)
    const client = await login()
    await onStandby(client)
    for (const sql of [
      here('notes'),
      here('reads()'),
      here('plain()'),
      `WITH x AS (SELECT 1) ${here('x')}`,
      `(${here('notes')}) LIMIT 1`,
    ]) {
      t.ok(standbys.includes(await portOf(client, sql)), sql)
    }
    for (const sql of [
      here("nextval('numbers')"),
      here('numbers'),
      here('scratch RIGHT JOIN notes ON true'),
      here('parent RIGHT JOIN notes ON true'),
      here('numbered'),
      here('"Outer"'),
      here('numbering()'),
      here('"Again"()'),
      here('once_more'),
      here('notes FOR SHARE'),
      here('(SELECT pg_sleep(0)) AS x'),
      `${here('notes')} WHERE (notes).mine = 1`,
      `${here('notes')}; SELECT 1`,
    ]) {
      await onStandby(client)
      t.equal(await portOf(client, sql), a.port, sql)
    }
    t.match(await client.rows('SELECT writes()'), [['-1']])
    await client.query('DELETE FROM notes WHERE id < 0')
    await onStandby(client)
    t.equal(errorOf(await client.query('BEGIN')).C, undefined)
    t.equal(await portOf(client), a.port, 'in a transaction')
    await client.query('COMMIT')
    const read = [b, c].map(hostOf).filter(({ answered }) => answered > 0)
    t.ok(read.length > 0 && read.every(({ lag }) => lag !== null && lag < 60_000))
    t.match(
      pooler
        .snapshot()
        .pools.map(({ reads }) => reads)
        .sort(),
      [false, true],
    )
  })

  await t.test('a client reads what it has written, by any protocol', async (t) => {
    const { login, hostOf } = await startPooledHosts(t, [a, b, c], ROUTED)
    const [client, other] = [await login(), await login()]
    await onStandby(client)
    client.send(frontend.parse('SELECT max(id)::text FROM notes', 'highest'), frontend.sync())
    await client.readUntil()
    const highest = async (): Promise<unknown> => {
      client.send(frontend.bind([], 'highest'), frontend.execute(), frontend.sync())
      const row = (await client.readUntil()).find(({ type }) => type === 'D')
      return row?.body.subarray(6).toString()
    }
    const before = hostOf(b).answered + hostOf(c).answered
    for (let id = 1; id <= 40; id++) {
      const writes =
        (id + 1) % 2 === 0
          ? `INSERT INTO notes VALUES (${id}, 'x')`
          : `BEGIN; INSERT INTO notes VALUES (${id}, 'x'); COMMIT`
      t.equal(errorOf(await client.query(writes)).C, undefined)
      t.equal(await highest(), String(id))
      t.same(await client.rows('SELECT max(id) FROM notes'), [[String(id)]])
      // Now and then it comes so far that a standby has it.
      if (id % 10 === 0) {
        await onStandby(client)
        t.equal(await highest(), String(id))
      }
    }
    t.ok(hostOf(b).answered + hostOf(c).answered > before)
    await onStandby(other)
    await client.query('DELETE FROM notes WHERE id > 0')
  })

  await t.test('requests behind a read wait for it', async (t) => {
    const { login } = await startPooledHosts(t, [a, b, c], ROUTED)
    const client = await login()
    await onStandby(client)
    const insert = "INSERT INTO notes VALUES (1, 'piped')"
    client.send(frontend.query('SELECT count(*) FROM notes'), frontend.query(insert))
    t.equal(errorOf(await client.readUntil()).C, undefined)
    t.equal(errorOf(await client.readUntil()).C, undefined)
    await onStandby(client)
    client.send(frontend.query('SELECT count(*), count(*) FROM generate_series(1, 10000000)'))
    await waitFor(async () => {
      const running =
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%10000000)' AND state = 'active' AND pid <> pg_backend_pid()"
      return (await b.query(running)).length + (await c.query(running)).length > 0
    })
    client.send(frontend.query('DELETE FROM notes WHERE id = 1'), frontend.query('SELECT count(*) FROM notes'))
    for (let i = 0; i < 2; i++) t.equal(errorOf(await client.readUntil()).C, undefined)
    t.match(await client.readUntil(), [{ type: 'T' }, { type: 'D' }, { type: 'C' }, { type: 'Z' }])
    t.same(await client.rows('SELECT count(*) FROM notes'), [['1']])
  })

  await t.test('settings and prepared statements are there as well, and in_hot_standby is no news', async (t) => {
    const { login } = await startPooledHosts(t, [a, b, c], ROUTED)
    const client = await login()
    await client.query("SET datestyle = 'German'; SET app.tenant = 'x'")
    await onStandby(client)
    const sql = "SELECT '2020-12-31'::date::text, current_setting('app.tenant'), inet_server_port()::int"
    for (let i = 0; i < 5; i++) {
      client.send(frontend.parse(sql, `s${i}`), frontend.describe('S', `s${i}`), frontend.sync())
      await client.readUntil()
    }
    await onStandby(client)
    for (let i = 0; i < 5; i++) {
      client.send(frontend.bind([], `s${i}`), frontend.execute(), frontend.sync())
      const messages = await client.readUntil()
      t.equal(messages.map(({ type }) => type).join(''), '2DCZ')
      const row = messages[1]!.body.toString('latin1')
      t.match(row, /31\.12\.2020.*x/s)
      t.ok(standbys.some((port) => row.includes(String(port))))
    }
    const onPrimary = await client.query('SELECT pg_backend_pid()')
    t.same(onPrimary.map(({ type }) => type).join(''), 'TDCZ', 'no ParameterStatus')
  })

  await t.test('the client chooses', async (t) => {
    const { login } = await startPooledHosts(t, [a, b, c], { ...ROUTED, readAfterWrite: '1h' })
    const client = await login()
    const watcher = await login()
    t.equal(await portOf(client), a.port, 'the login counts as a write')
    await waitFor(async () =>
      standbys.includes(await portOf(watcher, '/* pgbun: replica */ SELECT inet_server_port()::int')),
    )
    t.ok(standbys.includes(await portOf(client, '/* pgbun: replica */ SELECT inet_server_port()::int')))
    t.match(errorOf(await client.query("/* pgbun: replica */ INSERT INTO notes VALUES (7, 'x')")), { C: '25006' })
    await client.query("SET pgbun.route_reads = 'replica'")
    t.ok(standbys.includes(await portOf(client)))
    t.equal(await portOf(client, '/* pgbun: primary */ SELECT inet_server_port()::int'), a.port)
    t.equal(errorOf(await client.query('BEGIN')).C, undefined)
    t.ok(standbys.includes(await portOf(client)), 'a transaction as a whole')
    t.match(errorOf(await client.query("INSERT INTO notes VALUES (7, 'x')")), { C: '25006' })
    await client.query('ROLLBACK')
    await client.query('RESET pgbun.route_reads')
    t.equal(await portOf(client), a.port)
    t.equal(errorOf(await client.query("INSERT INTO notes VALUES (7, 'x')")).C, undefined)
    await client.query('DELETE FROM notes WHERE id = 7')
  })

  await t.test('what a standby refuses, the primary runs', async (t) => {
    const { login } = await startPooledHosts(t, [a, b, c], ROUTED)
    const [client, other] = [await login(), await login()]
    await onStandby(other)
    // Nobody has been asked for its name yet.
    await client.query('CREATE UNLOGGED TABLE fresh AS SELECT 1 AS one')
    await client.query(
      "CREATE OR REPLACE FUNCTION reads() RETURNS bigint LANGUAGE sql AS $$SELECT nextval('numbers')$$",
    )
    await cluster.settled()
    t.equal(await portOf(other, here('fresh')), a.port)
    await onStandby(other)
    other.send(
      frontend.parse(here('reads()')),
      frontend.bind(),
      frontend.describe('P'),
      frontend.execute(),
      frontend.sync(),
    )
    const answer = await other.readUntil()
    t.equal(answer.map(({ type }) => type).join(''), '12TDCZ')
    t.match(answer[3]?.body.toString('latin1'), new RegExp(String(a.port)))
    await onStandby(other)
    t.match(errorOf(await other.query('SELECT id / 0 FROM notes')), { C: '22012' }, 'what is wrong itself is told')
    t.match(errorOf(await other.query('SELECT nothing FROM notes')), { C: '42703' })
    await client.query('DROP TABLE fresh')
  })

  await t.test('a transaction on a standby, by messages in pieces', async (t) => {
    const { login } = await startPooledHosts(t, [a, b, c], ROUTED)
    const client = await login()
    await onStandby(client)
    t.equal(errorOf(await client.query('/* pgbun: replica */ BEGIN')).C, undefined)
    const sql = 'SELECT inet_server_port()::int'
    await client.sendBytewise(frontend.query(sql))
    t.match(await client.readUntil(), [{ type: 'T' }, { type: 'D' }, { type: 'C' }, { type: 'Z' }])
    client.send(frontend.parse(sql, 'mine'), frontend.describe('S', 'mine'), frontend.flush())
    await client.readUntil('T')
    client.send(frontend.bind([], 'mine'), frontend.execute())
    client.send(frontend.sync())
    const row = (await client.readUntil()).find(({ type }) => type === 'D')
    t.ok(standbys.includes(Number(row?.body.subarray(6).toString())))
    await client.query('COMMIT')
    t.equal(await portOf(client, '/* pgbun: primary */ SELECT inet_server_port()::int'), a.port)
  })

  await t.test('a standby that lags', async (t) => {
    const { login } = await startPooledHosts(t, [a, b, c], { ...ROUTED, maxReplicaLag: '1s' })
    const client = await login()
    await onStandby(client)
    await b.query('SELECT pg_wal_replay_pause()')
    t.teardown(() => b.query('SELECT pg_wal_replay_resume()'))
    await client.query("UPDATE notes SET text = 'second' WHERE id = 0")
    await onStandby(client, [c.port])
    for (let i = 0; i < 20; i++) t.same(await client.rows('SELECT text FROM notes WHERE id = 0'), [['second']])
    await c.query('SELECT pg_wal_replay_pause()')
    t.teardown(() => c.query('SELECT pg_wal_replay_resume()'))
    await client.query("UPDATE notes SET text = 'third' WHERE id = 0")
    const other = await login()
    t.same(await other.rows('SELECT text FROM notes WHERE id = 0'), [['third']])
    await waitFor(async () => (await portOf(other)) === a.port)
    await c.query('SELECT pg_wal_replay_resume()')
    await b.query('SELECT pg_wal_replay_resume()')
    await onStandby(client)
    t.same(await client.rows('SELECT text FROM notes WHERE id = 0'), [['third']])
  })

  await t.test('a function that becomes volatile', async (t) => {
    const { login } = await startPooledHosts(t, [a, b, c], { ...ROUTED, checkFunctions: true })
    const client = await login()
    const sql = here('changes()')
    await client.query('CREATE FUNCTION changes() RETURNS int LANGUAGE sql STABLE AS $$SELECT 1$$')
    await waitFor(async () => standbys.includes(await portOf(client, sql)))
    await client.query(
      "CREATE OR REPLACE FUNCTION changes() RETURNS int LANGUAGE sql AS $$UPDATE notes SET text = 'changed' RETURNING id$$",
    )
    const other = await login()
    await onStandby(other)
    t.equal(await portOf(other, sql), a.port)
    t.same(await other.rows('SELECT text FROM notes'), [['changed']], 'whoever ran it sees what it wrote')
  })

  await t.test('route_reads is switched off, and on', async (t) => {
    const { login, pooler } = await startPooledHosts(t, [a, b, c], { ...ROUTED, targetSessionAttrs: 'primary' })
    const client = await login()
    await onStandby(client)
    await pooler.reload({ routeReads: 'off' })
    t.equal(await portOf(client), a.port)
    await waitFor(() => pooler.snapshot().pools.length === 1)
    await pooler.reload({ routeReads: 'replicas' })
    await onStandby(client)
  })

  await t.test('PAUSE leaves no connection, not even one that only asks how far a standby is', async (t) => {
    const { login, pooler } = await startPooledHosts(t, [a, b, c], { ...ROUTED, adminUsers: 'postgres' })
    const client = await login()
    await onStandby(client)
    const admin = await loginRaw(t, pooler.address as { host: string; port: number }, {
      user: 'postgres',
      password: 'postgres',
      database: 'pgbouncer',
    })
    const OTHERS = "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    for (let i = 0; i < 3; i++) {
      t.equal(typesOf(await admin.query('PAUSE')), 'CZ')
      for (const node of [a, b, c]) await waitFor(async () => (await node.query(OTHERS)).length === 0)
      t.equal(typesOf(await admin.query('RESUME')), 'CZ')
      await onStandby(client)
    }
  })

  await t.test('a read on a standby that goes away is run by the primary', async (t) => {
    const { login } = await startPooledHosts(t, [a, b], { ...ROUTED, healthCheckTimeout: '1s' })
    const slow = 'SELECT inet_server_port()::int, count(*) FROM generate_series(1, 10000000)'
    for (const [end, back] of [
      [() => b.kill(), () => b.start()],
      [() => b.stop(), () => b.start()],
      [() => b.freeze(), async () => b.thaw()],
    ] as const) {
      const [client, extended] = [await login(), await login()]
      await onStandby(client, [b.port])
      await onStandby(extended, [b.port])
      client.send(frontend.query(slow))
      extended.send(frontend.parse(slow), frontend.bind(), frontend.execute(), frontend.sync())
      await waitFor(async () => {
        const running =
          "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%10000000)' AND state = 'active' AND pid <> pg_backend_pid()"
        return (await b.query(running)).length === 2
      })
      await end()
      t.match((await client.readUntil()).map(({ type }) => type).join(''), /^TDCZ$/)
      const answer = await extended.readUntil()
      t.match(answer.map(({ type }) => type).join(''), /^12DCZ$/)
      t.match(answer[2]?.body.toString('latin1'), new RegExp(`${a.port}.*10000000`, 's'), 'by the primary')
      t.equal(await portOf(client), a.port)
      await back()
    }
  })

  await t.test('standbys that die, and a failover', async (t) => {
    const { login, lines, hostOf } = await startPooledHosts(t, [a, b, c], { ...ROUTED, outageGrace: '30s' })
    const client = await login()
    await onStandby(client)
    await c.kill()
    // Who is read from at that moment is lost with it.
    const second = await login()
    await onStandby(second, [b.port])
    for (let i = 0; i < 10; i++) t.equal(await portOf(second), b.port)
    await c.start()
    await waitFor(() => hostOf(c).up)
    await cluster.settled()
    await a.kill()
    await b.promote()
    const third = await login()
    t.equal(errorOf(await third.query("INSERT INTO notes VALUES (100, 'new primary')")).C, undefined)
    t.same(await third.rows('SELECT count(*) FROM notes WHERE id = 100'), [['1']])
    // It still follows the old one.
    for (let i = 0; i < 10; i++) t.equal(await portOf(third), b.port)
    await c.follow(b)
    await onStandby(third, [c.port])
    t.same(await third.rows('SELECT count(*) FROM notes WHERE id = 100'), [['1']])
    t.notOk(lines.some((line) => line.startsWith('error')))
  })
})
