/**
 * A client that closes its side of the connection behind its last request got no answer: PostgreSQL answers all that it
 * has read before the end. A client that is gone altogether still has its query canceled.
 */
import t, { type Test } from 'tap'
import { frontend, type Message } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { type Address, connectRaw, loginRaw, rowsOf } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const extended = (sql: string): Buffer[] => [frontend.parse(sql), frontend.bind(), frontend.execute()]
const copyIn = frontend.query('COPY numbers FROM STDIN')
const query = frontend.query('SELECT 1')

/** What is sent behind a login, in one piece with the end. */
const requests: Record<string, Buffer[]> = {
  nothing: [],
  'a query': [query],
  'two queries': [query, frontend.query('SELECT 2')],
  'a query that fails': [frontend.query('SELECT 1/0')],
  'a query that takes its time': [frontend.query("SELECT pg_sleep(0.4), 'slow'")],
  'an empty query': [frontend.query('')],
  'a transaction that is left open': [frontend.query('BEGIN'), frontend.query('INSERT INTO numbers VALUES (-1)')],
  'an extended query': [...extended('SELECT 1'), frontend.sync()],
  'an extended query without its Sync': [...extended('SELECT 1'), frontend.flush()],
  'an extended query that fails, without its Sync': [...extended('SELECT 1/0')],
  'a Sync': [frontend.sync()],
  'rows by the thousand': [frontend.query('SELECT generate_series(1, 20000)')],
  'a COPY to the client': [frontend.query('COPY (SELECT generate_series(1, 5000)) TO STDOUT')],
  'a COPY from the client': [copyIn, frontend.copyData('1\n2\n'), frontend.copyDone()],
  'half a message': [frontend.query('SELECT 1').subarray(0, 8)],
  'a query and half a message': [query, frontend.query('SELECT 2').subarray(0, 8)],
}

/** Types of all messages but the repeated parameters. */
const shape = (messages: Message[]): string => {
  return messages
    .filter(({ type }) => type !== 'S')
    .map(({ type, body }) => (type === 'Z' ? `Z${body}` : type))
    .join('')
}

async function play(t: Test, address: Address, request: Buffer[], params = {}): Promise<string> {
  const client = await loginRaw(t, address, params)
  client.socket.end(Buffer.concat(request))
  return shape(await client.expectClosed())
}

t.test('half-closed', async (t) => {
  const server = await startPostgres(t, {
    bootstrapSql: ['CREATE TABLE numbers (a int)'],
  })
  const modes = ['session', 'transaction', 'statement'] as const
  const poolers = await Promise.all(modes.map((mode) => startPgbun(t, { target: server, poolMode: mode, poolSize: 2 })))
  for (const [name, request] of Object.entries(requests)) {
    const direct = await play(t, server, request)
    for (const [at, mode] of modes.entries()) {
      if (mode === 'statement' && /transaction|BEGIN/.test(name)) continue
      t.equal(await play(t, poolers[at]!, request), direct, `${name}, ${mode} mode`)
    }
  }
  t.strictSame(await server.query('SELECT a FROM numbers WHERE a < 0'), [], 'nothing was committed that was not to be')

  await t.test('the end where a password is to come', async (t) => {
    const client = await connectRaw(t, poolers[0]!)
    client.send(frontend.startup({ user: 'postgres', database: 'postgres' }))
    await client.readMessage()
    client.socket.end()
    t.equal(shape(await client.expectClosed()), '')
  })

  await t.test('a request that waits for a server', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
    const holder = await loginRaw(t, pgbun)
    await holder.query('BEGIN')
    const client = await loginRaw(t, pgbun)
    client.socket.end(frontend.query("SELECT 'late'"))
    // Whoever waits behind it proves that it waits.
    const next = await loginRaw(t, pgbun)
    const answer = next.rows("SELECT 'later'")
    await holder.query('COMMIT')
    t.strictSame(rowsOf(await client.expectClosed()), [['late']])
    t.strictSame(await answer, [['later']])
  })

  await t.test('a client that is gone has its query canceled, also one that had closed its side before', async (t) => {
    const running = async (mark: string): Promise<boolean> => {
      const found = await server.query(
        `SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%${mark}%' AND pid <> pg_backend_pid()`,
      )
      return found.length > 0
    }
    for (const [at, mark] of ['gone', 'closed first'].entries()) {
      const client = await loginRaw(t, poolers[1]!)
      client.send(frontend.query(`SELECT pg_sleep(600) /* ${mark} */`))
      await waitFor(() => running(mark), { what: mark })
      if (at === 1) {
        client.socket.end()
        // It is told of a parameter once more, and still there.
        await client.readUntil('S')
      }
      client.destroy()
      await waitFor(async () => !(await running(mark)), { what: `the end of what was ${mark}` })
    }
    t.pass('both')
  })
})
