/**
 * Several hosts of one database: where connections lead, hosts that die, hang and come back, roles and failover, and how long
 * clients wait meanwhile. Real servers: a primary and two streaming standbys.
 */
import t from 'tap'
import { resolveConfig } from '../../lib/config/load.ts'
import type { PoolerOptions } from '../../lib/config/pooler-options.ts'
import { startDaemon } from '../../lib/daemon/daemon.ts'
import { createPooler } from '../../lib/index.ts'
import { createLogger } from '../../lib/util/logger.ts'
import { type Cluster, type Node, startCluster } from '../fixtures/cluster.ts'
import { PORT, portOf, startPooledHosts } from '../fixtures/pooled-hosts.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const APP = { user: 'postgres', password: 'postgres', database: 'postgres' }

/** Have `clients` work at the same time, each in a transaction of its own; where that leads, by port. */
async function spread(clients: readonly RawClient[]): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  for (const client of clients) {
    await client.query('BEGIN')
    const [[port]] = (await client.rows(PORT)) as [[string]]
    found[port] = (found[port] ?? 0) + 1
  }
  for (const client of clients) await client.query('COMMIT')
  return found
}

t.test('a name whose addresses change', async (t) => {
  const server = await startPostgres(t)
  const { config } = resolveConfig({
    options: {
      listenHost: '127.0.0.1',
      listenPort: 0,
      serverHost: 'db.test',
      serverPort: server.port,
      poolMode: 'transaction',
      dnsMaxTtl: 1000,
    },
  })
  let answer: string[] | Error = ['127.0.0.1']
  const lookup = async (): Promise<string[]> => {
    if (answer instanceof Error) throw answer
    return answer
  }
  const logger = createLogger({ level: 'error', format: 'text', write: () => {} })
  const daemon = await startDaemon(config, { logger, version: '0', lookup })
  t.teardown(() => daemon.close({ timeoutMs: 0 }))
  const { port } = daemon.addresses[0] as { port: number }
  const client = await loginRaw(t, { host: '127.0.0.1', port }, APP)
  const pid = async (): Promise<unknown> => (await client.rows('SELECT pg_backend_pid()'))[0]?.[0]
  const first = await pid()
  answer = new Error('nobody knows')
  await waitFor(() => daemon.snapshot().uptime > 2500)
  t.equal(await pid(), first, 'while nobody knows, the old ones are good')
  answer = ['127.0.0.9']
  await waitFor(() => daemon.snapshot().servers.length === 0)
  answer = ['127.0.0.1', '127.0.0.9']
  await waitFor(async () => /^\d+$/.test(String(await pid().catch(() => ''))))
  t.not(await pid(), first)
})

t.test('hosts', async (t) => {
  const cluster: Cluster = await startCluster(t, { bootstrapSql: ['CREATE TABLE notes (text text)'] })
  const [a, b, c] = cluster.nodes as [Node, Node, Node]
  const four = (login: () => Promise<RawClient>) => Promise.all([login(), login(), login(), login()])

  await t.test('connections are shared out', async (t) => {
    for (const [loadBalanceHosts, expected] of [
      ['round-robin', { [a.port]: 2, [b.port]: 2 }],
      ['least-connections', { [a.port]: 2, [b.port]: 2 }],
      ['disable', { [a.port]: 4 }],
    ] as const) {
      const { login, hostOf } = await startPooledHosts(t, [a, b], { loadBalanceHosts })
      t.same(await spread(await four(login)), expected, loadBalanceHosts)
      t.match(hostOf(a), { up: true, role: cluster.major >= 14 ? 'primary' : 'unknown' })
    }
  })

  await t.test('each connection leads where the role is right', async (t) => {
    const cases: [NonNullable<PoolerOptions['targetSessionAttrs']>, number[]][] = [
      ['primary', [a.port]],
      ['read-write', [a.port]],
      ['standby', [b.port, c.port]],
      ['read-only', [b.port, c.port]],
      ['prefer-standby', [b.port, c.port]],
      ['any', [a.port, b.port, c.port]],
    ]
    for (const [targetSessionAttrs, ports] of cases) {
      const { login } = await startPooledHosts(t, [a, b, c], { targetSessionAttrs, poolSize: 6 })
      const clients = [...(await four(login)), await login(), await login()]
      await spread(clients)
      const found = await spread(clients)
      t.same(Object.keys(found).map(Number).sort(), ports.sort(), targetSessionAttrs)
    }
    const { login } = await startPooledHosts(t, [b, c], { targetSessionAttrs: 'primary' })
    const refused = await login().then(
      (client) => client.query('SELECT 1').then(errorOf),
      ({ fields }) => fields,
    )
    t.match(refused, { C: '57P03', M: /is not primary \(target_session_attrs\)/ })
  })

  await t.test('a host that is dead is passed over, and gets connections when it is back', async (t) => {
    await c.kill()
    const { login, hostOf, lines } = await startPooledHosts(t, [c, b], { targetSessionAttrs: 'any' })
    const clients = await four(login)
    t.same(await spread(clients), { [b.port]: 4 }, 'no client hears of it')
    t.match(hostOf(c), { up: false, lastError: /refused/ })
    await c.start()
    await waitFor(() => hostOf(c).up)
    t.ok(lines.some((line) => line.startsWith('info host answers again')))
    await b.stop('immediate')
    await waitFor(async () => (await portOf(clients[0]!)) === c.port)
    t.match(await spread(clients), { [c.port]: 4 })
    await b.start()
    await waitFor(() => hostOf(b).up)
  })

  await t.test('a host that hangs is found out, and clients are served by others', async (t) => {
    const { login, hostOf, pooler } = await startPooledHosts(t, [b, c], {
      healthCheckInterval: 100,
      healthCheckTimeout: 300,
      loadBalanceHosts: 'round-robin',
    })
    const clients = await four(login)
    t.match(await spread(clients), { [b.port]: 2, [c.port]: 2 })
    await c.freeze()
    await waitFor(() => !hostOf(c).up)
    t.match(hostOf(c).lastError, /does not answer/)
    for (const client of clients) t.equal(await portOf(client), b.port, 'also where it had been idle')
    t.equal(pooler.snapshot().servers.filter(({ address }) => address.includes(String(c.port))).length, 0)
    c.thaw()
    await waitFor(() => hostOf(c).up)
  })

  await t.test('a host that is the only one is asked again when it has failed, though nobody needs it', async (t) => {
    const { login, hostOf } = await startPooledHosts(t, [c], { healthCheckInterval: 100, healthCheckTimeout: 300 })
    await (await login()).query('SELECT 1')
    await c.freeze()
    await waitFor(() => !hostOf(c).up)
    c.thaw()
    await waitFor(() => hostOf(c).up)
  })

  await t.test('another target_session_attrs retires the connections of the old one', async (t) => {
    const { login, pooler } = await startPooledHosts(t, [a, b, c], { targetSessionAttrs: 'primary' })
    const client = await login()
    t.equal(await portOf(client), a.port)
    await pooler.reload({ targetSessionAttrs: 'standby' })
    t.not(await portOf(client), a.port)
  })

  await t.test('clients wait for outage_grace while no host can be used', async (t) => {
    const patient = await startPooledHosts(t, [c], { outageGrace: '60s' })
    const impatient = await startPooledHosts(t, [c])
    const [waiting, refused] = [await patient.login(), await impatient.login()]
    for (const client of [waiting, refused]) await client.query('SELECT 1')
    await c.stop('immediate')
    await waitFor(() => patient.pooler.snapshot().servers.length + impatient.pooler.snapshot().servers.length === 0)
    const answer = waiting.rows('SELECT 42')
    const newcomer = patient.login()
    t.match(errorOf(await refused.query('SELECT 1')), { C: '57P03', M: /cannot connect to the server/ })
    await waitFor(() => patient.pooler.snapshot().pools[0]!.waiting === 1)
    await c.start()
    t.same(await answer, [['42']])
    t.same(await (await newcomer).rows('SELECT 43'), [['43']])
    const brief = await startPooledHosts(t, [c], { outageGrace: '500ms' })
    const client = await brief.login()
    await client.query('SELECT 1')
    await c.stop('immediate')
    await waitFor(() => brief.pooler.snapshot().servers.length === 0)
    t.match(errorOf(await client.query('SELECT 1')), { C: '57P03' }, 'and no longer')
    await c.start()
  })

  await t.test('a failover', async (t) => {
    const { login, pooler, lines } = await startPooledHosts(t, [a, b, c], {
      targetSessionAttrs: 'read-write',
      outageGrace: '60s',
      poolSize: 3,
    })
    const [idle, writer, inside] = [await login(), await login(), await login()]
    await writer.query("INSERT INTO notes VALUES ('before')")
    await idle.query('SELECT 1')
    await inside.query('BEGIN')
    await cluster.settled()
    await a.kill()
    await inside.expectClosed()
    t.match(lines.join('\n'), /client disconnected: .*sqlstate":"(08|57)/, 'a transaction that runs ends with an error')
    const written = writer.query("INSERT INTO notes VALUES ('after')")
    await waitFor(() => pooler.snapshot().pools[0]!.waiting > 0)
    await b.promote()
    const promoted = performance.now()
    t.same(errorOf(await written), {}, 'what waited is written')
    t.comment(`served ${Math.round(performance.now() - promoted)} ms after the promotion`)
    t.equal(await portOf(idle), b.port, 'an idle client has noticed nothing')
    t.ok(lines.some((line) => line.includes('is not read-write')))
    t.same(
      (await b.query('SELECT text FROM notes ORDER BY text')).map(({ text }) => text),
      ['after', 'before'],
    )

    await t.test('the old primary comes back as a standby, and gets no writes', async (t) => {
      await c.follow(b)
      await a.demote(b)
      const clients = [...(await four(login))]
      for (let round = 0; round < 5; round++) {
        const found = await spread(clients.slice(0, 3))
        t.same(Object.keys(found), [String(b.port)])
      }
    })
  })

  await t.test('a standby that is promoted serves no more reads', async (t) => {
    const primary = await cluster.primary()
    const [first, second] = cluster.nodes.filter((node) => node !== primary) as [Node, Node]
    const { login, hostOf } = await startPooledHosts(t, [first, second], { targetSessionAttrs: 'standby' })
    const clients = await four(login)
    await spread(clients)
    await cluster.settled()
    await primary.stop('immediate')
    await first.promote()
    // PostgreSQL tells a session of it with its next query, and before 14 not at all.
    if (cluster.major < 14) return
    const settled = async () => Object.keys(await spread(clients)).join() === String(second.port)
    t.ok(await waitFor(settled), 'all are on the other')
    t.equal(hostOf(first).role, 'primary')
  })
})

t.test('a health check with a query, and several answers that decide', async (t) => {
  const hosts = [await startPostgres(t), await startPostgres(t)]
  const [first] = hosts as [(typeof hosts)[0]]
  await first.query('CREATE TABLE health AS SELECT true AS well')
  await hosts[1]!.query('CREATE TABLE health AS SELECT true AS well')
  const pooler = await createPooler(
    {
      listenHost: '127.0.0.1',
      listenPort: 0,
      serverHost: hosts.map(({ host, port }) => `${host}:${port}`).join(','),
      poolMode: 'transaction',
      loadBalanceHosts: 'disable',
      healthCheckInterval: '100ms',
      healthCheckQuery: 'SELECT well FROM health',
      healthCheckFailures: 2,
      healthCheckSuccesses: 2,
    },
    { logger: createLogger({ level: 'error', format: 'text', write: () => {} }) },
  )
  t.teardown(() => pooler.close({ timeoutMs: 0 }))
  const { port } = pooler.address as { port: number }
  const client = await loginRaw(t, { host: '127.0.0.1', port }, APP)
  t.equal(await portOf(client), first.port)
  const firstHost = () => pooler.snapshot().hosts.find((host) => host.port === first.port)!
  await first.query('UPDATE health SET well = false')
  await waitFor(() => !firstHost().up)
  t.match(firstHost().lastError, /health_check_query: the answer is false/)
  await waitFor(async () => (await portOf(client)) === hosts[1]!.port)
  await first.query('ALTER TABLE health RENAME TO gone')
  await waitFor(() => /relation "health" does not exist/.test(firstHost().lastError))
  await first.query('ALTER TABLE gone RENAME TO health')
  await first.query('UPDATE health SET well = true')
  await waitFor(() => firstHost().up)
})

t.test('hosts by SRV records', async (t) => {
  const [one, two] = [await startPostgres(t), await startPostgres(t)]
  const { config } = resolveConfig({
    options: {
      listenHost: '127.0.0.1',
      listenPort: 0,
      serverHost: '_postgresql._tcp.db.test',
      poolMode: 'transaction',
      dnsMaxTtl: 1000,
    },
  })
  const record = ({ host, port }: { host: string; port: number }, priority: number) => ({
    host,
    port,
    priority,
    weight: 1,
  })
  let answer = [record(one, 1), record(two, 2)]
  const daemon = await startDaemon(config, {
    logger: createLogger({ level: 'error', format: 'text', write: () => {} }),
    version: '0',
    lookupSrv: async () => answer,
  })
  t.teardown(() => daemon.close({ timeoutMs: 0 }))
  const { port } = daemon.addresses[0] as { port: number }
  const client = await loginRaw(t, { host: '127.0.0.1', port }, APP)
  t.equal(await portOf(client), one.port)
  answer = [record(two, 1)]
  await waitFor(async () => (await portOf(client)) === two.port)
  await waitFor(() => daemon.snapshot().servers.every(({ address }) => address.includes(String(two.port))))
})
