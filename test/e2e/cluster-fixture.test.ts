/** The cluster fixture against itself: what a test does to a primary and its standbys takes place as its words say. */
import { existsSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { startCluster } from '../fixtures/cluster.ts'
import { loginRaw } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

t.test('a primary and two standbys', async (t) => {
  const cluster = await startCluster(t, {
    bootstrapSql: ['CREATE TABLE numbers (number int)', "CREATE ROLE app LOGIN PASSWORD 'app'"],
    settings: { max_connections: '30' },
  })
  const [a, b, c] = cluster.nodes as [Node, Node, Node]
  type Node = (typeof cluster.nodes)[number]
  const numbers = async (node: Node): Promise<number[]> =>
    (await node.query('SELECT number FROM numbers ORDER BY number')).map(({ number }) => number)

  await t.test('a write is seen on both standbys', async (t) => {
    t.equal(await cluster.primary(), a)
    await a.query('INSERT INTO numbers VALUES (1)')
    await cluster.settled()
    t.same(await numbers(b), [1])
    t.same(await numbers(c), [1])
    await a.query('SET synchronous_commit = off; INSERT INTO numbers VALUES (2)')
    await cluster.settled()
    t.same(await numbers(b), [1, 2])
    t.same(await numbers(c), [1, 2])
  })

  await t.test('the standbys refuse writes, and say at the login what they are', async (t) => {
    for (const standby of [b, c]) {
      await t.rejects(standby.query('INSERT INTO numbers VALUES (0)'), { code: '25006' })
      t.equal(await standby.isInRecovery(), true)
      t.same(await standby.query('SHOW max_connections'), [{ max_connections: '30' }])
    }
    if (cluster.major < 14) return
    for (const node of cluster.nodes) {
      const { session } = await loginRaw(t, node, { user: 'app', password: 'app' })
      t.equal(session.parameters.in_hot_standby, node === a ? 'off' : 'on')
    }
  })

  await t.test('a frozen standby answers nobody until it is thawed', async (t) => {
    const client = await c.connect()
    await c.freeze()
    t.equal(c.isFrozen, true)
    let answers = 0
    const old = client.query('SELECT 1').then(() => answers++)
    const fresh = numbers(c).finally(() => answers++)
    await a.query('INSERT INTO numbers VALUES (3)')
    await cluster.settled()
    t.same(await numbers(b), [1, 2, 3], 'the others go on')
    t.equal(answers, 0)
    c.thaw()
    await old
    await fresh
    t.equal(answers, 2)
    await cluster.settled()
    t.same(await numbers(c), [1, 2, 3])
  })

  await t.test('after the death of the primary another one is promoted', async (t) => {
    const client = await a.connect()
    const ended = new Promise((resolve) => client.once('end', resolve))
    await a.kill()
    await ended
    t.equal(a.pid, undefined)
    await t.rejects(a.query('SELECT 1'), { code: 'ECONNREFUSED' })
    await b.promote()
    t.equal(await b.isInRecovery(), false)
    t.equal(await cluster.primary(), b)
    await c.follow(b)
    await b.query('INSERT INTO numbers VALUES (4)')
    await cluster.settled()
    t.same(await numbers(c), [1, 2, 3, 4])
  })

  await t.test('the old primary comes back, first as what it was and then as a standby', async (t) => {
    await a.start()
    await a.query('INSERT INTO numbers VALUES (99)')
    await t.rejects(cluster.primary(), { message: '2 primaries: a, b' })
    await t.rejects(a.demote(b), /is to be stopped/)
    await a.stop('immediate')
    await a.demote(b)
    await b.query('INSERT INTO numbers VALUES (5)')
    await cluster.settled()
    t.same(await numbers(a), [1, 2, 3, 4, 5])
    await t.rejects(a.query('INSERT INTO numbers VALUES (0)'), { code: '25006' })
  })

  await t.test('a standby that was away catches up', async (t) => {
    await c.stop()
    await b.query('INSERT INTO numbers VALUES (6)')
    await c.start()
    await cluster.settled()
    t.same(await numbers(c), [1, 2, 3, 4, 5, 6])
  })

  await t.test('a switchover: the primary is shut down and comes back as a standby', async (t) => {
    await b.stop('fast')
    await a.promote()
    await c.follow(a)
    await b.demote(a)
    await a.query('INSERT INTO numbers VALUES (7)')
    await cluster.settled()
    for (const node of cluster.nodes) t.same(await numbers(node), [1, 2, 3, 4, 5, 6, 7])
  })
})

t.test('a cluster ends with its test, frozen or not', async (t) => {
  let directory = ''
  const pids: number[] = []
  await t.test('one that is left frozen, with an open client', async (t) => {
    const { nodes } = await startCluster(t, { standbys: 1 })
    directory = path.dirname(path.dirname(nodes[0]!.dataDir))
    for (const node of nodes) {
      pids.push(node.pid!)
      await node.connect()
      await node.freeze()
    }
  })
  t.notOk(existsSync(directory), 'its directory is removed')
  for (const pid of pids) {
    await waitFor(() => !existsSync(`/proc/${pid}`), { what: `the end of process ${pid}` })
  }
})
