/** Slow readers: memory stays bounded, nobody else waits for them, and those that never read are closed (T26, R8). */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { backend, frontend, type Message } from '../fixtures/messages.ts'
import { loginRaw, typesOf } from '../fixtures/raw-client.ts'
import type { ScriptedConnection } from '../fixtures/scripted-postgres.ts'
import { waitFor } from '../fixtures/wait.ts'
import { answering, oneRow, queriesOf, silent, sqlOf, startLab } from './lab.ts'

const row = backend.dataRow('x'.repeat(64 * 1024))
const MEGABYTES = 200

/** Sends a large result, as fast as it is taken. */
async function large(connection: ScriptedConnection): Promise<void> {
  const gone = new AbortController()
  connection.socket.once('close', () => gone.abort())
  connection.send(backend.rowDescription('a'))
  for (let sent = 0; sent < MEGABYTES * 16; sent++) {
    if (connection.socket.destroyed) return
    if (connection.socket.write(row)) continue
    // Ends with an error where the connection does.
    await once(connection.socket, 'drain', { signal: gone.signal }).catch(() => {})
  }
  connection.send(backend.commandComplete(`SELECT ${MEGABYTES * 16}`), backend.ready())
}

/** Waits until a number does not change any more. */
async function settled(value: () => number): Promise<number> {
  let last = -1
  let same = 0
  await waitFor(
    () => {
      const next = value()
      same = next === last ? same + 1 : 0
      last = next
      return same > 30
    },
    { what: 'a number to stop changing' },
  )
  return last
}

t.test('who reads nothing of small answers keeps no server from others', async (t) => {
  const piecewise = async (connection: ScriptedConnection): Promise<void> => {
    connection.send(backend.rowDescription('a'), backend.dataRow('x'.repeat(50_000)))
    // So that its end is read apart.
    await new Promise((resolve) => setTimeout(resolve, 2))
    connection.send(backend.commandComplete('SELECT 1'), backend.ready())
  }
  const lab = await startLab(t, { poolSize: 1, script: answering({ 'select small': piecewise }) })
  const [lazy, other] = [await lab.client(), await lab.client()]
  lazy.pause()
  let sent = -1
  // As much as the kernel takes, then as much as pgbun keeps, then nothing is begun any more.
  for (let same = 0; same < 20; ) {
    lazy.send(frontend.query('select small'))
    t.strictSame(await other.rows('select 1'), [['select 1']])
    const now = lab.pooler.snapshot().pools[0]!.counters.sent
    same = now - sent < 50_000 ? same + 1 : 0
    sent = now
  }
  t.match(lab.pooler.snapshot().pools[0], { servers: { idle: 1 } })
  lazy.resume()
  for (let rows = 0; rows < 20; ) if ((await lazy.readMessage()).type === 'D') rows++
})

t.test('a reader that stops stops the server, and gets everything when it goes on', async (t) => {
  const lab = await startLab(t, { poolSize: 2, script: answering({ 'select large': large }) })
  const client = await lab.client()
  client.pause()
  client.send(frontend.query('select large'))
  await lab.server.connection(0)
  const counters = () => lab.pooler.snapshot().pools[0]!.counters
  const sent = await settled(() => counters().sent)
  t.ok(sent > 0 && sent < 30 * 2 ** 20, `${Math.round(sent / 2 ** 20)} MB are on their way, not ${MEGABYTES}`)
  const other = await lab.client()
  t.strictSame(await other.rows('select 1'), [['select 1']], 'others are served')
  client.resume()
  let rows = 0
  for (;;) {
    const { type } = await client.readMessage()
    if (type === 'D') rows++
    if (type === 'Z') break
  }
  t.equal(rows, MEGABYTES * 16)
  await waitFor(() => lab.servers().idle === 2, { what: 'idle servers' })
  // The server was paused; whoever gets it next must not notice.
  await client.query('begin')
  t.strictSame(await other.rows('select 2'), [['select 2']])
})

t.test('client_stall_timeout closes who never reads; the server is drained and used again', async (t) => {
  const lab = await startLab(t, { poolSize: 1, clientStallTimeout: 50, script: answering({ 'select large': large }) })
  const client = await lab.client()
  client.pause()
  client.send(frontend.query('select large'))
  await lab.logged('client_stall_timeout')
  const other = await lab.client()
  t.strictSame(await other.rows('select 1'), [['select 1']])
  t.equal(lab.server.connections.length, 1)
  t.ok(lab.server.cancels.length >= 1)
})

t.test('who sends requests and reads no answers gets no more answers', async (t) => {
  const answer = (connection: ScriptedConnection, message: Message): void => {
    if (message.type === 'Q') connection.send(...oneRow('x'.repeat(40_000)))
  }
  const lab = await startLab(t, { poolSize: 1, script: { onMessage: answer }, clientStallTimeout: 2000 })
  const client = await lab.client()
  client.pause()
  const count = 3000
  for (let i = 0; i < count; i++) client.send(frontend.query('select x'))
  const counters = () => lab.pooler.snapshot().pools[0]!.counters
  const sent = await settled(() => counters().sent)
  t.ok(sent < 30 * 2 ** 20, `${Math.round(sent / 2 ** 20)} MB of ${Math.round((count * 40_000) / 2 ** 20)}`)
  const other = await lab.client()
  t.equal(typesOf(await other.query('select 1')), 'TDCZ', 'others are served')
  await lab.logged('client_stall_timeout')
})

t.test('requests and no reading, resumed in time: every answer is there', async (t) => {
  const answer = (connection: ScriptedConnection, message: Message): void => {
    if (message.type === 'Q') connection.send(...oneRow(sqlOf(message).padEnd(40_000)))
  }
  const lab = await startLab(t, { poolSize: 1, script: { onMessage: answer } })
  const client = await lab.client()
  client.pause()
  for (let i = 0; i < 1000; i++) client.send(frontend.query(`select ${i}`))
  await settled(() => lab.pooler.snapshot().pools[0]!.counters.sent)
  client.resume()
  const got: string[] = []
  for (let i = 0; i < 1000; i++) {
    const row = (await client.readUntil('Z')).find((message) => message.type === 'D')
    got.push(row!.body.toString('latin1', 6, 26).trim())
  }
  t.strictSame(
    got,
    Array.from({ length: 1000 }, (_, i) => `select ${i}`),
  )
})

t.test('who floods with what is answered without a server gets no more answers either', async (t) => {
  for (const bytes of [frontend.sync(), frontend.query('')]) {
    const lab = await startLab(t, { queryWaitTimeout: 1 })
    const client = await lab.client()
    if (bytes.length > 5) {
      // Every query is refused.
      await lab.server.close()
      await waitFor(() => lab.pooler.snapshot().servers.length === 0, { what: 'no server' })
    }
    client.pause()
    const before = process.memoryUsage().rss
    const flood = Buffer.concat(Array.from({ length: 20_000 }, () => bytes))
    // More than all the kernel's buffers on the way there and back.
    for (let i = 0; i < 600; i++) client.socket.write(flood)
    const left = await settled(() => client.socket.writableLength)
    t.ok(left > 0, 'it is not read to the end')
    const grown = process.memoryUsage().rss - before
    t.ok(grown < 150 * 2 ** 20, `${Math.round(grown / 2 ** 20)} MB`)
    client.destroy()
    await waitFor(() => lab.pooler.snapshot().clients.length === 0, { what: 'its end' })
  }
})

t.test('a server that does not read stops the client, and nothing is lost', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const client = await lab.client()
  const server = await lab.server.connection(0)
  server.socket.pause()
  client.send(frontend.query('copy t from stdin'))
  const data = frontend.copyData('x'.repeat(64 * 1024))
  for (let i = 0; i < 800; i++) client.send(data)
  const counters = () => lab.pooler.snapshot().pools[0]!.counters
  const taken = await settled(() => counters().received)
  t.ok(taken < 30 * 2 ** 20, `${Math.round(taken / 2 ** 20)} MB were taken of 50`)
  server.send(backend.copyIn())
  server.socket.resume()
  client.send(frontend.copyDone())
  await waitFor(() => server.types().endsWith('c'), { what: 'the end of the copy' })
  t.equal(server.received.filter((message) => message.type === 'd').length, 800)
  server.send(backend.commandComplete('COPY 800'), backend.ready())
  await client.readUntil('Z')
  t.strictSame(queriesOf(server), ['copy t from stdin'])
})

t.test('a client that waits with much to say is paused, and loses nothing', async (t) => {
  const lab = await startLab(t, { poolSize: 1 })
  const [holder, client] = [await lab.client(), await lab.client()]
  await holder.query('begin')
  const sql = `select '${'x'.repeat(3_000_000)}'`
  client.send(frontend.query(sql), frontend.query('select 2'))
  await lab.waiting(1)
  await holder.query('commit')
  await client.readUntil('Z')
  await client.readUntil('Z')
  const asked = queriesOf(await lab.server.connection(0)).slice(2)
  t.ok(asked.length === 2 && asked[0] === sql && asked[1] === 'select 2')
})

t.test('a client that does not read what is answered without the server is read no further', async (t) => {
  // The buffers of a unix socket are small: few messages are needed to fill them.
  const unixSocketDir = mkdtempSync(join(os.tmpdir(), 'pgbun-'))
  t.teardown(() => rmSync(unixSocketDir, { recursive: true }))
  const lab = await startLab(t, { poolSize: 1, unixSocketDir })
  const client = await loginRaw(t, { path: String(lab.pooler.addresses[1]) })
  client.send(frontend.parse('select 1', 's'), frontend.sync(), frontend.query('begin'))
  await client.readUntil('Z')
  await client.readUntil('Z')
  client.pause()
  const pair = [frontend.close('S', 's'), frontend.parse('select 1', 's')]
  const block = Buffer.concat(Array.from({ length: 2000 }, () => pair).flat())
  let blocks = 0
  // Each block is answered with 20 kB; what pgbun, and the sockets on the way, hold is far less than this.
  while (blocks < 2000 && client.socket.writableLength < 1_000_000) {
    client.socket.write(block)
    blocks++
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.ok(blocks < 2000, `it takes no more after ${blocks} blocks`)
  client.resume()
  client.send(frontend.sync())
  const answers = await client.readUntil('Z')
  t.equal(answers.length, blocks * 4000 + 1, 'nothing is lost')
})
