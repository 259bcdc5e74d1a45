/**
 * `npm run failover-test`: a primary and two standbys under a load of tagged writes and reads, while hosts are killed,
 * promoted, frozen, cut off and brought back. Counts what was acknowledged and is lost, what was read that is older than promised,
 * errors, and how long nobody was served.
 *
 *   npm run failover-test -- --through pgbun --clients 20
 *   npm run failover-test -- --through haproxy
 *
 * `haproxy` is PgBouncer behind which HAProxy chooses the host by asking each for its role over HTTP, as with Patroni; both
 * programs must be installed. Prints figures as JSON. Exit code 1 where something was lost, or older than promised.
 */
import { parseArgs } from 'node:util'
import pg from 'pg'
import { Owner } from '../bench/owner.ts'
import { type Cluster, type Node, startCluster } from '../fixtures/cluster.ts'
import { startFailoverProxy, THROUGH } from './failover-proxy.ts'
import { FailoverTally } from './failover-tally.ts'
import { Line } from './line.ts'

const { values } = parseArgs({
  options: { through: { type: 'string', default: 'pgbun' }, clients: { type: 'string', default: '20' } },
})
const through = THROUGH.find((name) => name === values.through)
if (through === undefined) throw new Error(`--through is one of ${THROUGH.join(', ')}`)
const CLIENTS = Number(values.clients)
/** How old a read of a client that has not written may be, in ms: max_replica_lag of pgbun. */
const PROMISED_MS = 2000
/** Between two events, in ms. */
const CALM_MS = 4000
/** What whoever watches over the cluster takes to notice, in ms. */
const NOTICE_MS = 500

const owner = new Owner()
const tally = new FailoverTally(PROMISED_MS)
let over = false
try {
  const cluster: Cluster = await startCluster(owner, {
    bootstrapSql: ['CREATE TABLE load (writer int, number int, PRIMARY KEY (writer, number))'],
    settings: { max_connections: '200' },
  })
  for (const node of cluster.nodes) {
    // What is acknowledged is on one of the standbys.
    await node.query("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (a, b, c)'")
    await node.query('SELECT pg_reload_conf()')
  }
  const lines = await Promise.all(cluster.nodes.map((node) => Line.start(owner, node)))
  const proxy = await startFailoverProxy(owner, lines, through, {
    poolSize: CLIENTS,
    maxReplicaLag: `${PROMISED_MS}ms`,
  })
  const loads = Array.from({ length: CLIENTS }, (_, i) => (i % 2 === 0 ? write(i) : read()))
  await events(cluster, lines)
  over = true
  await Promise.all(loads)
  const primary = await cluster.primary()
  const rows = await primary.query('SELECT writer, number FROM load')
  const figures = { through, clients: CLIENTS, promised_ms: PROMISED_MS, ...tally.figures(rows) }
  process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`)
  process.exitCode = figures.lost > 0 || (through === 'pgbun' && figures.stale + figures.own_writes_unseen > 0) ? 1 : 0

  /** Write, and read what was written, again and again; who loses its connection makes another. */
  async function write(writer: number): Promise<void> {
    let number = 0
    await again(proxy.write, async (client, own) => {
      number++
      await tally.time('write', () => client.query('INSERT INTO load VALUES ($1, $2)', [writer, number]))
      tally.acknowledged(writer, number)
      const sql = 'SELECT max(number) AS number FROM load WHERE writer = $1'
      const found = await tally.time('read', () => own.query(sql, [writer]))
      tally.sawOwn(writer, found.rows[0].number ?? 0)
    })
  }

  async function read(): Promise<void> {
    await again(proxy.write, async (_, own) => {
      const at = performance.now()
      const sql = 'SELECT writer, max(number) AS number FROM load GROUP BY writer'
      const found = await tally.time('read', () => own.query(sql))
      tally.saw(at, found.rows)
    })
  }

  /** Do `step` until it is over, with a client for all and one for reads. */
  async function again(url: string, step: (client: pg.Client, reads: pg.Client) => Promise<void>): Promise<void> {
    while (!over) {
      const client = new pg.Client(url)
      const reads = proxy.read === url ? client : new pg.Client(proxy.read)
      const both = new Set([client, reads])
      for (const one of both) one.on('error', () => {})
      try {
        for (const one of both) await one.connect()
        while (!over) await step(client, reads)
      } catch (error) {
        tally.failed(error as Error & { code?: string })
        await pause(20)
      } finally {
        for (const one of both) void one.end().catch(() => {})
      }
    }
  }
} finally {
  await owner.end()
}

/** What happens, one after the other; each phase begins with its event and ends in calm. */
async function events(cluster: Cluster, lines: readonly Line[]): Promise<void> {
  const [a, b, c] = cluster.nodes as [Node, Node, Node]
  const [toA, toB] = lines as [Line, Line, Line]
  const phases: [string, () => Promise<void>][] = [
    ['nothing', async () => {}],
    ['a standby is killed', () => c.kill()],
    ['it comes back', () => c.start()],
    ['a standby hangs', () => b.freeze()],
    ['it goes on', async () => b.thaw()],
    ['the primary hangs', () => a.freeze()],
    ['it goes on', async () => a.thaw()],
    ['a standby is cut off', async () => toB.cut()],
    ['it is back', async () => toB.mend()],
    ['the primary is cut off', async () => toA.cut()],
    ['it is back', async () => toA.mend()],
    [
      'the primary is killed, a standby promoted',
      async () => {
        await a.kill()
        await pause(NOTICE_MS)
        await promote(b, c)
      },
    ],
    ['the old one comes back as a standby', () => a.demote(b)],
    [
      'the primary is shut down for another',
      async () => {
        await b.stop()
        await promote(c, a)
      },
    ],
    ['the old one comes back as a standby', () => b.demote(c)],
  ]
  for (const [name, happens] of phases) {
    process.stderr.write(`${name}\n`)
    tally.begin(name)
    await happens()
    await pause(CALM_MS)
  }
}

async function promote(next: Node, other: Node): Promise<void> {
  const promoted = next.promote()
  // With synchronous commits it can take none before somebody follows.
  await promoted
  await other.follow(next)
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
