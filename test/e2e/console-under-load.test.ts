/**
 * What operators do while a hundred clients go on with their transactions: PAUSE, a restart of PostgreSQL and RESUME; RELOAD;
 * RECONNECT; SUSPEND. No client sees anything of it but that some answers take longer.
 */
import t from 'tap'
import { createPooler } from '../../lib/index.ts'
import { type Node, startCluster } from '../fixtures/cluster.ts'
import { errorOf, loginRaw, typesOf } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const CLIENTS = 100

t.test('a hundred clients in transactions notice nothing', async (t) => {
  const cluster = await startCluster(t, {
    standbys: 0,
    bootstrapSql: [
      "CREATE ROLE app LOGIN PASSWORD 'app'",
      'CREATE TABLE done (client int)',
      'GRANT ALL ON done TO app',
    ],
  })
  const [node] = cluster.nodes as [Node]
  const options = {
    listenPort: 0,
    listenHost: ['127.0.0.1'],
    serverHost: node.host,
    serverPort: node.port,
    poolMode: 'transaction',
    poolSize: 10,
    maxClientConn: CLIENTS,
    queryWaitTimeout: 0,
    adminUsers: [node.user],
  } as const
  const pooler = await createPooler(options, { logger: false })
  t.teardown(() => pooler.close({ timeoutMs: 0 }))
  const address = pooler.address as { host: string; port: number }
  const admin = await loginRaw(t, address, { user: node.user, password: node.password, database: 'pgbouncer' })
  const command = async (sql: string): Promise<void> => {
    const messages = await admin.query(sql)
    t.equal(typesOf(messages), 'CZ', `${sql} ${errorOf(messages).M ?? ''}`)
  }

  const failures: string[] = []
  let [over, transactions] = [false, 0]
  const work = async (id: number): Promise<number> => {
    const client = await loginRaw(t, address, { user: 'app', password: 'app', database: 'postgres' })
    let committed = 0
    while (!over) {
      for (const sql of ['BEGIN', `INSERT INTO done VALUES (${id})`, 'SELECT 1', 'COMMIT']) {
        const messages = await client.query(sql)
        const error = errorOf(messages).M
        if (error !== undefined) failures.push(`${sql}: ${error}`)
      }
      committed++
      transactions++
    }
    await client.end()
    return committed
  }
  const workers = Array.from({ length: CLIENTS }, (_, id) =>
    work(id).catch((error: Error) => {
      failures.push(error.message)
      return 0
    }),
  )
  /** Each of them has gone on since. */
  const goesOn = async (): Promise<void> => {
    const from = transactions
    await waitFor(() => failures.length > 0 || transactions >= from + 3 * CLIENTS)
  }

  await goesOn()
  await command('PAUSE')
  const before = node.pid
  await node.stop()
  await node.start()
  t.not(node.pid, before)
  await command('RESUME')
  await goesOn()
  for (let i = 0; i < 10; i++) await pooler.reload({ poolSize: 10 + (i % 3), queryWaitTimeout: i % 2 })
  await pooler.reload({ queryWaitTimeout: 0 })
  await goesOn()
  await command('RECONNECT')
  await command('WAIT_CLOSE')
  await goesOn()
  await command('SUSPEND')
  await command('RESUME')
  await goesOn()
  over = true
  const committed = await Promise.all(workers)
  t.same(failures, [])
  const rows = await node.query('SELECT count(*)::int AS n FROM done')
  t.equal(
    rows[0].n,
    committed.reduce((sum, count) => sum + count),
    'every transaction that was committed is there, once',
  )
})
