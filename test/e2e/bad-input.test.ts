/**
 * Whatever a client sends, it is told so or closed, and nobody else notices: a healthy client of the same pool works
 * through all of it, memory stays where it was, and no server connection is lost track of.
 */
import t, { type Test } from 'tap'
import { cstring, frontend, int32, message, untyped } from '../fixtures/messages.ts'
import { type Pgbun, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { randomWords } from '../fixtures/random.ts'
import { connectRaw, errorOf, loginRaw, type RawClient, typesOf } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const MB = 1_000_000
const seed = Number(process.env.PGBUN_TEST_SEED ?? Date.now() % 2 ** 31)
const word = randomWords(seed)
/** A whole number below `limit`. */
const pick = (limit: number): number => word() % limit
const noise = (length: number): Buffer => Buffer.from(Array.from({ length }, () => pick(256)))

/** Runs `task` for each item, `width` at a time. */
async function each<T>(items: Iterable<T>, width: number, task: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items]
  const work = async (): Promise<void> => {
    while (queue.length > 0) await task(queue.shift()!)
  }
  await Promise.all(Array.from({ length: width }, work))
}

/** A client that works all the time. `stop` ends it, and tells how many right answers it has got. */
async function healthyClient(t: Test, pgbun: Pgbun): Promise<{ stop(): Promise<number> }> {
  const client = await loginRaw(t, pgbun)
  let running = true
  let answers = 0
  const work = (async () => {
    for (; running; answers++) {
      const rows = await client.rows(`SELECT ${answers}, 'healthy'`)
      if (rows[0]?.[0] !== String(answers) || rows[0]?.[1] !== 'healthy') throw new Error(JSON.stringify(rows))
    }
  })()
  return {
    async stop() {
      await waitFor(() => answers > 10 || !running)
      running = false
      await work
      return answers
    },
  }
}

t.test(`bad input, seed ${seed}`, async (t) => {
  const server = await startPostgres(t, { settings: { max_connections: '30' } })
  const args = ['--client-login-timeout', '6s']
  const pgbun = await startPgbun(t, {
    target: server,
    poolMode: 'transaction',
    poolSize: 2,
    args: [...args, '--max-client-conn', '60'],
  })
  const healthy = await healthyClient(t, pgbun)
  const before = pgbun.rss()
  const startup = frontend.startup({ user: 'postgres', database: 'postgres', application_name: 'x' })
  /** Every message a client can send. */
  const valid: Record<string, Buffer> = {
    query: frontend.query('SELECT 1'),
    parse: frontend.parse('SELECT $1::text', 'name', [25]),
    bind: frontend.bind(['value', null], 'name', 'portal'),
    describe: frontend.describe('S', 'name'),
    execute: frontend.execute(5, 'portal'),
    close: frontend.close('P', 'portal'),
    sync: frontend.sync(),
    flush: frontend.flush(),
    functionCall: frontend.functionCall(1397, ['-7']),
    copyData: frontend.copyData('data'),
    copyDone: frontend.copyDone(),
    copyFail: frontend.copyFail('reason'),
    password: frontend.password('password'),
    terminate: frontend.terminate(),
  }
  /** Sends something instead of a login and waits for the end; the FATAL that came, if one did. */
  async function refused(bytes: Buffer, end = true): Promise<Record<string, string>> {
    const client = await connectRaw(t, pgbun)
    client.send(bytes)
    if (end) client.socket.end()
    return errorOf(await client.expectClosed())
  }

  await t.test('random bytes', async (t) => {
    await each(
      Array.from({ length: 400 }, () => noise(1 + pick(200))),
      20,
      async (bytes) => {
        const client = await connectRaw(t, pgbun)
        client.send(bytes)
        client.socket.end()
        await waitFor(() => client.closed, { what: `${bytes.toString('hex')} to be closed` })
      },
    )
    await each(
      Array.from({ length: 100 }, () => noise(1 + pick(200))),
      20,
      async (bytes) => {
        const client = await loginRaw(t, pgbun)
        client.send(bytes)
        client.socket.end()
        await waitFor(() => client.closed, { what: `${bytes.toString('hex')} behind a login to be closed` })
      },
    )
    t.pass('all were closed')
  })

  await t.test('every message cut at every byte', async (t) => {
    const packets = [
      startup,
      frontend.sslRequest(),
      frontend.gssEncRequest(),
      frontend.cancelRequest(7, Buffer.alloc(4)),
    ]
    const cutsOf = (bytes: Buffer): Buffer[] => Array.from(bytes, (_, at) => bytes.subarray(0, at))
    const cuts = packets.flatMap(cutsOf).filter((bytes) => bytes.length > 0)
    await each(cuts, 20, async (bytes) => void (await refused(bytes)))
    const pieces = Object.values(valid).flatMap(cutsOf)
    await each(pieces, 20, async (bytes) => {
      const client = await loginRaw(t, pgbun)
      client.send(bytes)
      if (pick(2) === 0) client.destroy()
      else {
        client.socket.end()
        await client.expectClosed()
      }
    })
    t.pass(`${cuts.length + pieces.length} pieces`)
  })

  await t.test('impossible lengths', async (t) => {
    const lengths = [0, 3, -1, -2147483648, 2147483647, 2 ** 30]
    for (const length of lengths) {
      const error = await refused(Buffer.concat([int32(length), int32(196608)]), false)
      t.match(error.C ?? '08P01', '08P01', `a startup packet of length ${length}`)
    }
    await each(Object.keys(valid), 10, async (name) => {
      for (const length of lengths) {
        const client = await loginRaw(t, pgbun)
        client.send(valid[name]!.subarray(0, 1), int32(length), Buffer.alloc(40))
        const error = await client.expectFatal()
        if (error.S !== 'FATAL' || error.C !== '08P01') t.match(error, { S: 'FATAL', C: '08P01' }, `${name} ${length}`)
      }
    })
    // What may not be long, may not be.
    for (const type of ['S', 'H', 'X', 'C', 'D', 'E', 'c', 'f']) {
      const client = await loginRaw(t, pgbun)
      client.send(Buffer.from(type), int32(200_000), Buffer.alloc(100_000))
      t.match(await client.expectFatal(), { S: 'FATAL', C: '08P01' }, `a ${type} of 200 kB`)
    }
  })

  await t.test('types that do not exist', async (t) => {
    const known = new Set(Object.values(valid).map((bytes) => bytes[0]!))
    const unknown = Array.from({ length: 256 }, (_, type) => type).filter((type) => !known.has(type))
    await each(unknown, 20, async (type) => {
      const client = await loginRaw(t, pgbun)
      client.send(Buffer.from([type, 0, 0, 0, 8, 1, 2, 3, 4]))
      const error = await client.expectFatal()
      if (error.S !== 'FATAL' || error.C !== '08P01') t.match(error, { S: 'FATAL', C: '08P01' }, `type ${type}`)
    })
    t.pass(`${unknown.length} types`)
  })

  await t.test('startup packets that make no sense', async (t) => {
    const version = int32(0x30000)
    const packets: [string, Buffer, RegExp][] = [
      ['100 kB', frontend.startup({ user: 'x'.repeat(100_000) }), /^(08P01|)$/],
      ['100 kB promised', Buffer.concat([int32(100_000), version]), /^(08P01|)$/],
      ['no user', frontend.startup({ database: 'postgres' }), /^28000$/],
      ['an empty user', frontend.startup({ user: '', database: 'postgres' }), /^28000$/],
      ['nothing but a version', untyped(version), /^(28000|08P01)$/],
      ['no end', untyped(version, Buffer.from('user\0postgres')), /^08P01$/],
      [
        'a name without a value',
        untyped(version, cstring('user'), cstring('postgres'), cstring('database')),
        /^08P01$/,
      ],
      ['something behind the end', untyped(version, cstring('user'), cstring('a'), Buffer.from([0, 1, 2])), /^08P01$/],
      ['a name that is none', frontend.startup({ user: 'postgres', 'x; DROP TABLE': '1' }), /^08P01$/],
      ['options that are none', frontend.startup({ user: 'postgres', options: '-f -W' }), /^08P01$/],
      ['protocol 1', frontend.startup({ user: 'postgres' }, 0x10000), /^0A000$/],
      ['an unknown request', untyped(int32(80877100)), /^(0A000|08P01)$/],
    ]
    for (const [what, bytes, code] of packets) t.match((await refused(bytes)).C ?? '', code, what)
  })

  await t.test('instead of a password', async (t) => {
    const answers: [string, Buffer, RegExp][] = [
      ['a query', frontend.query('SELECT 1'), /^08P01$/],
      ['one without an end', message('p', 'password'), /^08P01$/],
      ['an empty message', message('p'), /^08P01$/],
      ['an empty one', frontend.password(''), /^28P01$/],
      ['200 kB', frontend.password('x'.repeat(200_000)), /^(08P01|28P01)$/],
      ['bytes that are no text', message('p', Buffer.from([0xff, 0xfe, 0x80, 0])), /^28P01$/],
      ['a SASL message', frontend.saslInitial('SCRAM-SHA-256', 'n,,n=,r=x'), /^(08P01|28P01)$/],
    ]
    for (const [what, bytes, code] of answers) {
      const client = await connectRaw(t, pgbun)
      client.send(frontend.startup({ user: 'postgres', database: 'postgres' }))
      await client.readUntil('R')
      client.send(bytes)
      t.match((await client.expectFatal()).C, code, what)
    }
  })

  await t.test('messages whose inside makes no sense', async (t) => {
    // On one server connection, which the healthy client needs as well.
    const kinds = Object.keys(valid).filter((name) => !['password', 'terminate'].includes(name))
    const bodies = Array.from({ length: 300 }, () => {
      const bytes = Buffer.from(valid[kinds[pick(kinds.length)]!]!)
      const length = bytes.length - 5
      const body = [
        () => noise(length + pick(20)),
        () => bytes.subarray(5, 5 + pick(length + 1)),
        () => bytes.subarray(5).map((byte) => (pick(4) === 0 ? pick(256) : byte)),
        () => Buffer.concat([bytes.subarray(5), noise(pick(30))]),
      ][pick(4)]!()
      return message(String.fromCharCode(bytes[0]!), Buffer.from(body))
    })
    await each(bodies, 6, async (bytes) => {
      const client = await loginRaw(t, pgbun)
      client.send(bytes, frontend.copyFail('x'), frontend.sync(), frontend.query("SELECT 'end'"))
      const answer = await answerOf(client)
      if (!/(TDCZ|closed)$/.test(answer)) t.fail(`${bytes.toString('hex')}: ${answer}`)
      await client.end().catch(() => {})
    })
    t.pass('all were answered or closed')
  })

  await t.test('a thousand silent clients', async (t) => {
    const silent: RawClient[] = []
    await each(Array.from({ length: 1000 }).keys(), 50, async () => void silent.push(await connectRaw(t, pgbun)))
    const client = await loginRaw(t, pgbun)
    t.same(await client.rows('SELECT 1'), [['1']], 'they do not count as clients')
    await waitFor(() => silent.every(({ closed }) => closed), { what: 'all to be closed' })
    t.pass('client_login_timeout has closed all of them')
  })

  t.ok((await healthy.stop()) > 10, 'the healthy client got every answer')
  const grown = (pgbun.rss() - before) / MB
  t.ok(grown < 120, `memory grew by ${Math.round(grown)} MB`)
  const backends = await server.query("SELECT 1 FROM pg_stat_activity WHERE backend_type = 'client backend'")
  t.ok(backends.length <= 3, 'no server connection too many')
  t.notMatch(pgbun.logs(), /lost synchronization|internal error/)
  const fresh = await loginRaw(t, pgbun)
  t.same(await fresh.rows('SELECT 1'), [['1']])
})

/** The types of messages up to the answer of the last query, or `closed`. */
async function answerOf(client: RawClient): Promise<string> {
  let types = ''
  try {
    for (;;) {
      const messages = await client.readUntil('Z')
      types += typesOf(messages)
      if (types.endsWith('TDCZ')) return types
    }
  } catch (error) {
    if (client.closed) return `${types} closed`
    throw error
  }
}
