/**
 * Requests of many clients on two server connections (server_pipelining): each answer is its client's own, and each statement
 * runs once, whatever happens to the others meanwhile: errors, cancel requests, slow neighbours, transactions, clients that
 * vanish, servers that are killed.
 */
import t, { type Test } from 'tap'
import { frontend, type Message } from '../fixtures/messages.ts'
import { type Pgbun, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { randomFractions } from '../fixtures/random.ts'
import { cancel, errorOf, loginRaw, type RawClient, rowsOf, typesOf } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

type Client = Awaited<ReturnType<typeof loginRaw>>

/** Forgets at once what it is to tear down: there are thousands of these. */
const forget = { teardown: () => {} }

/** One row of SHOW PIPELINING, or of another command. */
async function pipelining(pgbun: Pgbun, command = 'SHOW PIPELINING'): Promise<Record<string, string>> {
  const client = await pgbun.connect({ database: 'pgbouncer' })
  const { rows } = await client.query(command)
  await client.end()
  return rows.find((row) => row.database === pgbun.database)
}

/** How many clients wait for a server. */
const waiting = async (pgbun: Pgbun): Promise<number> => Number((await pipelining(pgbun, 'SHOW POOLS')).cl_waiting)

/** A worker of the test: sends what it knows the answer of, and knows what its own row counts. */
class Worker {
  client: Client
  readonly id: number
  readonly #t: Test
  readonly #pgbun: Pgbun
  readonly #random: () => number
  /** What its row of the table `counters` says; undefined where that is not known. */
  #count: number | undefined = 0
  #number = 0
  /** The last request was not answered: its client has another connection. */
  #gone = false
  /** A cancel request for it is under way. */
  aimed = 0
  served = 0
  /** It has sent all that it had to. */
  done = false
  canceled = 0
  lost = 0

  constructor(t: Test, pgbun: Pgbun, client: Client, id: number, random: () => number) {
    this.#t = t
    this.#pgbun = pgbun
    this.client = client
    this.id = id
    this.#random = random
  }

  async prepare(): Promise<void> {
    for (;;) {
      this.client.send(frontend.parse('SELECT $1::int * 2, $2::text', 'double'), frontend.sync())
      const messages = await this.client.readUntil('Z')
      if (typesOf(messages) === '1Z') return
      if (errorOf(messages).C !== '57014') throw new Error(`prepare: ${JSON.stringify(errorOf(messages))}`)
    }
  }

  /** One request, of many kinds; throws where the answer is another's. */
  async step(): Promise<void> {
    const kind = Math.floor(this.#random() * 16)
    const mark = `${this.id}/${this.#number++}`
    switch (kind) {
      case 0:
      case 1:
      case 2:
        await this.#expect([frontend.query(`SELECT '${mark}'`)], [[mark]])
        return
      case 3:
      case 4:
        await this.#expect(
          [frontend.parse('SELECT $1::text'), frontend.bind([mark]), frontend.describe('P'), ...RUN],
          [[mark]],
        )
        return
      case 5:
      case 6:
      case 7:
        await this.#expect([frontend.bind(['21', mark], 'double'), ...RUN], [['42', mark]])
        return
      case 8:
      case 9:
        await this.#counted(frontend.query(`UPDATE counters SET n = n + 1 WHERE id = ${this.id} RETURNING n`))
        return
      case 10:
        await this.#expect([frontend.query(`SELECT 1 / (${this.id} - ${this.id})`)], '22012')
        return
      case 11:
        await this.#expect([frontend.bind(['not a number', mark], 'double'), ...RUN], '22P02')
        return
      case 12:
        await this.#transaction(mark)
        return
      case 13:
        await this.#expect([frontend.query(`SELECT '${mark}', pg_sleep(0.02)`)], [[mark, '']])
        return
      case 14:
        // An answer of 200 kB.
        await this.#expect([frontend.query(`SELECT '${mark}', length(repeat('x', 200000))`)], [[mark, '200000']])
        return
      default:
        // What has settings of its own shares nothing from then on.
        if (this.id % 8 !== 3) {
          await this.#expect([frontend.query(`VALUES ('${mark}')`)], [[mark]])
          return
        }
        if (!(await this.#expect([frontend.query(`SET app.mark = '${mark}'`)], []))) return
        await this.#expect([frontend.query("SELECT current_setting('app.mark')")], [[mark]])
    }
  }

  async #transaction(mark: string): Promise<void> {
    if (!(await this.#expect([frontend.query('BEGIN')], []))) return
    const before = this.#count
    await this.#counted(frontend.query(`UPDATE counters SET n = n + 1 WHERE id = ${this.id} RETURNING n`))
    await this.#expect([frontend.query(`SELECT '${mark}'`)], [[mark]])
    if (this.#gone) return
    await this.#ask([frontend.query('ROLLBACK')])
    if (this.#count !== undefined) this.#count = before
  }

  /** Adds one to its row, once. */
  async #counted(request: Buffer): Promise<void> {
    if (this.#count === undefined) {
      const rows = rowsOf(await this.#ask([frontend.query(`SELECT n FROM counters WHERE id = ${this.id}`)]))
      if (rows.length === 0) return
      this.#count = Number(rows[0]![0])
    }
    const count = this.#count
    const messages = await this.#ask([request])
    const rows = rowsOf(messages)
    if (rows.length > 0) {
      this.#count = Number(rows[0]![0])
      if (this.#count !== count + 1) throw new Error(`client ${this.id}: ${count} became ${this.#count}`)
    } else if (errorOf(messages).C !== '57014' && errorOf(messages).C !== '25P02') this.#count = undefined
  }

  async #expect(request: Buffer[], expected: string[][] | string): Promise<boolean> {
    const messages = await this.#ask(request)
    const { C: code } = errorOf(messages)
    // Canceled by its own client, or its server was killed; in a transaction that failed for that.
    if (code === '57014' || code === '57P01' || code === '08006' || code === '25P02' || this.#gone) return false
    const found = typeof expected === 'string' ? code : JSON.stringify(rowsOf(messages))
    const wanted = typeof expected === 'string' ? expected : JSON.stringify(expected)
    if (found !== wanted) throw new Error(`client ${this.id} expected ${wanted} and got ${found} ${code ?? ''}`)
    return true
  }

  async #ask(request: Buffer[]): Promise<Message[]> {
    const aimed = this.aimed > 0
    this.#gone = false
    this.client.send(...request)
    const messages = await this.#read()
    const { C: code } = errorOf(messages)
    if (code === '57014') {
      if (!aimed && this.aimed === 0) throw new Error(`client ${this.id} was canceled, and nobody had asked for it`)
      this.canceled++
    } else if (this.client.closed) await this.#again()
    else this.served++
    return messages
  }

  /** Up to ReadyForQuery, or to the end of the connection. */
  async #read(): Promise<Message[]> {
    const { client } = this
    try {
      return await client.readUntil('Z')
    } catch (error) {
      if (!client.closed) throw error
      return []
    }
  }

  /** Its server was killed, or it has vanished: a new connection. */
  async #again(): Promise<void> {
    this.lost++
    this.#gone = true
    this.#count = undefined
    for (;;) {
      this.client = await loginRaw(this.#t, this.#pgbun)
      try {
        await this.prepare()
        return
      } catch (error) {
        // Its server was killed once more.
        if (!this.client.closed) throw error
      }
    }
  }

  /** Sends a request, and is gone. */
  async vanish(): Promise<void> {
    this.client.send(frontend.query(`SELECT '${this.id} is gone'`))
    this.client.socket.destroy()
    await this.#again()
  }
}

const RUN = [frontend.execute(), frontend.sync()]

t.test('requests of several clients on one server', async (t) => {
  const CLIENTS = 24
  const bootstrapSql = [
    'CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)',
    `INSERT INTO counters SELECT generate_series(0, ${CLIENTS}), 0`,
  ]
  const server = await startPostgres(t, { bootstrapSql, settings: { max_connections: '60', fsync: 'off' } })
  const args = ['--server-pipelining', 'auto', '--server-pipelining-budget', '2s', '--admin-users', 'postgres']
  // A busy machine takes its time, and requests are to be shared there, too.
  const patient = [...args, '--server-pipelining-max-wait', '2s']
  const begin = (t: Test, poolSize: number, args: string[]): Promise<Pgbun> =>
    startPgbun(t, { target: server, poolMode: 'transaction', poolSize, args })

  await t.test('nobody gets what is another’s, and nothing runs twice', async (t) => {
    const pgbun = await begin(t, 2, patient)
    const seed = Number(process.env.PGBUN_TEST_SEED ?? Date.now() % 2 ** 31)
    const pick = randomFractions(seed)
    const workers: Worker[] = []
    for (let id = 0; id < CLIENTS; id++) {
      workers.push(new Worker(t, pgbun, await loginRaw(t, pgbun), id, randomFractions(seed + id)))
      await workers[id]!.prepare()
    }
    await server.query('UPDATE counters SET n = 0')
    await waitFor(
      async () => {
        await Promise.all(workers.map(({ client }) => client.query("SELECT 'all at once'")))
        return Number((await pipelining(pgbun)).shared) > 0
      },
      { what: 'requests that are sent behind others' },
    )
    let going = true
    let failure: unknown
    const run = async (worker: Worker): Promise<void> => {
      try {
        for (let step = 0; step < 200 && going; step++) {
          if (worker.id % 8 === 7 && step % 40 === 39) await worker.vanish()
          else await worker.step()
        }
      } catch (error) {
        failure ??= error
        going = false
      }
      worker.done = true
    }
    const all = Promise.all(workers.map(run))
    const troubles = (async () => {
      for (let round = 0; going && round < 150; round++) {
        const worker = workers[Math.floor(pick() * CLIENTS)]!
        const { pid, secret } = worker.client.session
        worker.aimed++
        await cancel(forget, pgbun, pid, secret)
        // What was sent before that may still be answered with it.
        await new Promise(setImmediate)
        const { served, canceled, lost } = worker
        const answered = (): boolean =>
          worker.done || worker.served + worker.canceled + worker.lost > served + canceled + lost
        await waitFor(() => answered() || !going, { what: `client ${worker.id} to go on` })
        worker.aimed--
        if (round % 50 === 25) {
          await server.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY backend_start LIMIT 1",
          )
        }
      }
    })()
    void all.then(() => {
      going = false
    })
    await Promise.all([all, troubles])
    if (failure !== undefined) throw failure
    const sum = (name: 'served' | 'canceled' | 'lost'): number => workers.reduce((n, worker) => n + worker[name], 0)
    const state = await pipelining(pgbun)
    t.pass(
      `${sum('served')} served, ${sum('canceled')} canceled, ${sum('lost')} lost their server: ${JSON.stringify(state)}`,
    )
    t.ok(Number(state.shared) > 0, `${state.shared} requests were sent behind others (seed ${seed})`)
    const counted = await pipelining(
      pgbun,
      "SHOW QUERIES (database, query, shared) WHERE query = 'select $1' ORDER BY shared DESC",
    )
    t.ok(
      Number(counted.shared) > 0 && Number(counted.shared) <= Number(state.shared),
      `${counted.shared} of one statement`,
    )
    t.equal(state.wrong, '0')
    t.notMatch(pgbun.logs(), /lost synchronization|internal error/, `seed ${seed}`)
  })

  await t.test(
    'a statement whose columns have changed is refused to each client, with PostgreSQL’s words',
    async (t) => {
      const pgbun = await begin(t, 1, patient)
      await server.query('CREATE TABLE changing (id int, email text, secret text)')
      await server.query("INSERT INTO changing VALUES (1, 'mail', 'secret')")
      const clients = await Promise.all(Array.from({ length: 8 }, () => loginRaw(t, pgbun)))
      const asked = [frontend.bind(['1'], 's'), ...RUN]
      for (const client of clients) {
        client.send(
          frontend.parse('SELECT * FROM changing WHERE id = $1', 's'),
          frontend.describe('S', 's'),
          frontend.sync(),
        )
        await client.readUntil('Z')
      }
      const all = (): Promise<Message[][]> => {
        for (const client of clients) client.send(...asked)
        return Promise.all(clients.map((client) => client.readUntil('Z')))
      }
      const shared = async (): Promise<number> => Number((await pipelining(pgbun)).shared)
      const before = await shared()
      await waitFor(async () => {
        await all()
        return (await shared()) > before
      })
      await server.query("ALTER TABLE changing DROP COLUMN email, ADD COLUMN phone text DEFAULT '555'")
      for (let round = 0; round < 3; round++) {
        for (const messages of await all()) t.match(errorOf(messages), { C: '0A000', R: 'RevalidateCachedQuery' })
      }
      const [first] = clients
      first!.send(
        frontend.close('S', 's'),
        frontend.parse('SELECT * FROM changing WHERE id = $1', 's'),
        frontend.sync(),
      )
      await first!.readUntil('Z')
      first!.send(...asked)
      t.same(rowsOf(await first!.readUntil('Z')), [['1', 'secret', '555']], 'until it is prepared anew')
    },
  )

  await t.test('who asks for the columns gets the new ones, also where others are ahead or behind', async (t) => {
    const pgbun = await begin(t, 1, patient)
    await server.query('CREATE TABLE growing (n int)')
    await server.query('INSERT INTO growing VALUES (1)')
    const [a, b] = [await loginRaw(t, pgbun), await loginRaw(t, pgbun)]
    for (const client of [a, b]) {
      client.send(frontend.parse('SELECT * FROM growing', 's'), frontend.sync())
      await client.readUntil('Z')
    }
    const asked = [frontend.bind([], 's'), frontend.describe('P'), ...RUN]
    const shared = async (): Promise<number> => Number((await pipelining(pgbun)).shared)
    const owner = await server.connect()
    let behind = false
    let row = ['1']
    // On a busy machine the statement may not have shown to be short.
    for (let attempt = 0; attempt < 20 && !behind; attempt++) {
      for (let run = 0; run < 10; run++) {
        for (const client of [a, b]) {
          client.send(...asked)
          t.same(rowsOf(await client.readUntil('Z')), [row])
        }
      }
      const before = await shared()
      row = [...row, `${attempt}`]
      await owner.query('BEGIN')
      await owner.query(`ALTER TABLE growing ADD COLUMN c${attempt} int DEFAULT ${attempt}`)
      a.send(...asked)
      await waitFor(async () => {
        const { rows } = await owner.query(
          "SELECT 1 FROM pg_locks WHERE relation = 'growing'::regclass AND NOT granted",
        )
        return rows.length === 1
      })
      b.send(...asked)
      // It is behind the other, or waits for the server.
      await waitFor(async () => (behind = (await shared()) > before) || (await waiting(pgbun)) > 0)
      await owner.query('COMMIT')
      for (const [client, name] of [
        [a, 'a'],
        [b, 'b'],
      ] as const) {
        const messages = await client.readUntil('Z')
        t.equal(typesOf(messages), '2TDCZ', `${name} is told of the columns`)
        t.same(rowsOf(messages), [row], `${name} has got the new one`)
      }
    }
    t.ok(behind, 'one was sent behind the other')
  })

  await t.test('a lock that one waits for does not hold up the others', async (t) => {
    const pgbun = await begin(t, 3, args)
    const [a, b, c] = [await loginRaw(t, pgbun), await loginRaw(t, pgbun), await loginRaw(t, pgbun)]
    const update = `UPDATE counters SET n = n + 1 WHERE id = ${CLIENTS} RETURNING n`
    const count = async (): Promise<number> =>
      Number(rowsOf(await b.query(`SELECT n FROM counters WHERE id = ${CLIENTS}`))[0]![0])
    // On a busy machine it may not have shown to be short, and nobody is sent behind it.
    for (let attempt = 0, rerun = 0; attempt < 20 && rerun === 0; attempt++) {
      for (let run = 0; run < 10; run++) {
        await a.query(update)
        await b.query("SELECT 'b'")
      }
      const before = await count()
      // The lock is that of a client whose program waits for the answer to another's request.
      await c.query('BEGIN')
      await c.query(`SELECT n FROM counters WHERE id = ${CLIENTS} FOR UPDATE`)
      a.send(frontend.query(update))
      await waitFor(async () => {
        const rows = await server.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return rows.length === 1
      })
      t.same(rowsOf(await b.query("SELECT 'b'")), [['b']], 'while the lock is held')
      await c.query('COMMIT')
      t.same(rowsOf(await a.readUntil('Z')), [[String(before + 1)]], 'the update ran once')
      rerun = Number((await pipelining(pgbun)).rerun)
    }
  })
})

/** Whoever reads nothing is no reason for others to wait. */
t.test('a client that does not read its answers', async (t) => {
  const server = await startPostgres(t)
  const args = ['--server-pipelining', 'auto', '--server-pipelining-budget', '2s', '--admin-users', 'postgres']
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1, args })
  const lazy: RawClient = await loginRaw(t, pgbun)
  const other = await loginRaw(t, pgbun)
  await waitFor(async () => {
    await other.query("SELECT repeat('x', 10000)")
    return Number((await pipelining(pgbun)).texts) >= 1
  })
  lazy.socket.pause()
  for (let round = 0; round < 500; round++) {
    lazy.send(frontend.query("SELECT repeat('x', 10000)"))
    t.equal(rowsOf(await other.query("SELECT repeat('x', 10000)"))[0]![0]!.length, 10_000)
  }
})
