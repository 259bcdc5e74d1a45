/**
 * What works on a direct connection works through pgbun, byte for byte: random conversations are held with PostgreSQL
 * and with pgbun, and the answers compared; then the cases by name that poolers get wrong.
 * Protocol chapters "Simple Query", "Extended Query", "Pipelining", "COPY Operations", "Asynchronous Operations".
 */
import t from 'tap'
import { frontend, int32, type Message, message, parse } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { randomWords } from '../fixtures/random.ts'
import { connectRaw, errorOf, loginRaw, type RawClient, rowsOf, typesOf } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const seed = Number(process.env.PGBUN_TEST_SEED ?? Date.now() % 2 ** 31)

/** The same seed gives the same conversations. */
function random(seed: number): (limit: number) => number {
  const word = randomWords(seed)
  return (limit) => word() % limit
}

const TEXTS = [
  'SELECT 1',
  'SELECT $1::int + 1',
  'SELECT n, repeat($1::text, n) FROM generate_series(1, 5) n',
  'SELECT 1/n FROM generate_series(0, $1::int) n',
  'SELECT 1/0',
  'SELEC',
  '',
  'BEGIN',
  'COMMIT',
  'ROLLBACK',
  'SAVEPOINT here',
  'ROLLBACK TO here',
  'INSERT INTO sink VALUES (1) RETURNING x',
  'COPY (SELECT generate_series(1, 3)) TO STDOUT',
  "DO $$ BEGIN RAISE NOTICE 'noticed'; END $$",
]
const SIMPLE = [...TEXTS, 'SELECT 1; SELECT 2; SELECT 3', 'SELECT 1; SELECT 1/0; SELECT 2', 'BEGIN; SELECT 1; COMMIT']

/** A few messages of any kind, valid or not in this order, closed by what brings any session back to its idle state. */
function conversation(pick: (limit: number) => number, mark: string): Buffer {
  const of = <T>(list: readonly T[]): T => list[pick(list.length)]!
  const name = (): string => of(['', '', 'a', 'b'])
  const portal = (): string => of(['', '', '', 'p'])
  const parts: Buffer[] = []
  for (let count = 1 + pick(10); count > 0; count--) {
    switch (pick(16)) {
      case 0:
      case 1:
        parts.push(frontend.query(of(SIMPLE)))
        break
      case 2:
      case 3:
      case 4:
        parts.push(frontend.parse(of(TEXTS), name()))
        break
      case 5:
      case 6:
      case 7:
        parts.push(frontend.bind(of([[], ['1'], ['0'], ['1', '2'], [null]]), name(), portal(), of([0, 0, 1])))
        break
      case 8:
      case 9:
        parts.push(frontend.execute(of([0, 0, 2]), portal()))
        break
      case 10:
        parts.push(of([frontend.describe('P', portal()), frontend.describe('S', name())]))
        break
      case 11:
        parts.push(of([frontend.close('P', portal()), frontend.close('S', name())]))
        break
      case 12:
        parts.push(of([frontend.flush(), frontend.sync(), frontend.sync()]))
        break
      case 13:
        // abs(int4), once with a number and once with nonsense.
        parts.push(frontend.functionCall(1397, [of(['-7', 'x'])]))
        break
      case 14:
        parts.push(frontend.query('COPY sink FROM STDIN'), frontend.copyData(of(['1\n2\n', 'x\n'])))
        parts.push(of([frontend.copyDone(), frontend.copyFail('changed my mind')]))
        break
      case 15:
        parts.push(
          ...[frontend.parse('SELECT $1::int', 'a'), frontend.bind(['4'], 'a'), frontend.execute(), frontend.sync()],
        )
    }
  }
  // An extended COPY FROM has no part in this: a Sync inside it is ignored, so both ends would wait for each other.
  parts.push(frontend.sync(), frontend.query('ROLLBACK'))
  // Which statements there are now: a difference shows in the conversation that made it.
  for (const name of ['a', 'b']) parts.push(frontend.describe('S', name), frontend.sync())
  parts.push(frontend.query(`SELECT '${mark}'`))
  return Buffer.concat(parts)
}

/** Everything up to the answer of the last query of a conversation. */
async function answers(client: RawClient, mark: string): Promise<Message[]> {
  const all: Message[] = []
  for (;;) {
    const messages = await client.readUntil('Z')
    all.push(...messages)
    if (rowsOf(messages).some(([value]) => value === mark)) return all
  }
}

/**
 * Messages as text. In an aborted transaction PostgreSQL refuses a Bind, and pgbun's Parse in front of one, with different
 * words: there only the refusal counts.
 */
function comparable(messages: Message[]): string[] {
  const lines = messages.map(readable)
  return lines.map((line, at) => (/25P02|bind message/.test(line) && lines[at + 1] === 'Z E' ? 'refused' : line))
}

/** A message as text. Errors by their fields. */
function readable({ type, body }: Message): string {
  if (type !== 'E' && type !== 'N') return `${type} ${body.toString('latin1')}`
  const { L, M = '', ...fields } = parse.fields(body)
  // The one place where the name of a statement shared by clients is seen.
  fields.M = M.replace(/(bind message .*prepared statement ")[^"]+/, '$1…')
  return `${type} ${JSON.stringify(fields)}`
}

t.test('through pgbun as without it', async (t) => {
  const server = await startPostgres(t, {
    bootstrapSql: ['CREATE TABLE sink (x int)', "CREATE ROLE app LOGIN PASSWORD 'app'", 'GRANT ALL ON sink TO app'],
  })

  for (const mode of ['session', 'transaction'] as const) {
    await t.test(`random conversations, pool mode ${mode}, seed ${seed}`, async (t) => {
      const pgbun = await startPgbun(t, { target: server, poolMode: mode, poolSize: 2 })
      const pairs = mode === 'session' ? 2 : 5
      await Promise.all(
        Array.from({ length: pairs }, async (_, pair) => {
          const direct = await loginRaw(t, server)
          const pooled = await loginRaw(t, pgbun)
          const pick = random(seed + pair)
          for (let round = 0; round < 120; round++) {
            const mark = `end ${pair}/${round}`
            const bytes = conversation(pick, mark)
            direct.send(bytes)
            // In two pieces, cut anywhere.
            const cut = pick(bytes.length)
            pooled.send(bytes.subarray(0, cut))
            if (cut % 4 === 0) await new Promise(setImmediate)
            pooled.send(bytes.subarray(cut))
            let expected = comparable(await answers(direct, mark))
            let found = comparable(await answers(pooled, mark))
            const refusals = [expected.indexOf('refused'), found.indexOf('refused')].filter((at) => at >= 0)
            if (refusals.length > 0) {
              // In an aborted transaction the Parse of what the server has already succeeds, and what it does not have
              // cannot be described. All else is the same.
              const refusal = Math.min(...refusals)
              expected = expected.slice(0, refusal)
              found = found.slice(0, refusal)
              for (const client of [direct, pooled]) {
                client.send(frontend.close('S', 'a'), frontend.close('S', 'b'), frontend.sync())
                await client.readUntil('Z')
              }
            }
            if (expected.join('\n') === found.join('\n')) continue
            t.same(found, expected, `${mark}: ${bytes.toString('latin1')}`)
            return
          }
        }),
      )
      t.notMatch(pgbun.logs(), /lost synchronization|internal error/)
    })
  }

  await t.test('named statements of many clients over two servers are never mixed up', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 2 })
    const clients = await Promise.all(Array.from({ length: 16 }, () => pgbun.connect()))
    await Promise.all(
      clients.map(async (client, at) => {
        for (let round = 0; round < 30; round++) {
          // The same name for other texts in each client, and a text that all have in common.
          const own = { name: 'own', text: `SELECT ${at} AS client, $1::int AS round`, values: [round] }
          const { rows } = await client.query(own)
          if (rows[0].client !== at || rows[0].round !== round) throw new Error(`client ${at}: ${JSON.stringify(rows)}`)
          const shared = { name: `shared${round % 3}`, text: `SELECT $1::text || '/${round % 3}' AS tag`, values: [at] }
          const answer = await client.query(shared)
          if (answer.rows[0].tag !== `${at}/${round % 3}`)
            throw new Error(`client ${at}: ${JSON.stringify(answer.rows)}`)
        }
      }),
    )
    const direct = await loginRaw(t, pgbun)
    const statements = await direct.rows('SELECT count(*) FROM pg_prepared_statements')
    t.ok(Number(statements[0]![0]) <= 19, `shared on the server: ${statements[0]![0]} statements`)
  })

  await t.test('a thousand queries in one packet, and one query byte by byte', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    client.send(...Array.from({ length: 1000 }, (_, at) => frontend.query(`SELECT ${at}`)))
    const between = other.rows('SELECT -1')
    for (let at = 0; at < 1000; at++) {
      const rows = rowsOf(await client.readUntil('Z'))
      if (rows[0]?.[0] !== String(at)) t.same(rows, [[String(at)]])
    }
    t.same(await between, [['-1']], 'the neighbour got its own')
    const batch = [frontend.parse('SELECT $1::int'), frontend.bind(['5']), frontend.describe('P'), frontend.execute()]
    await client.sendBytewise(Buffer.concat([...batch, frontend.sync(), frontend.query('SELECT 6')]))
    t.equal(typesOf(await client.readUntil('Z')), '12TDCZ')
    t.same(rowsOf(await client.readUntil('Z')), [['6']])
  })

  await t.test('a cursor read with Flush keeps its server until Sync', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    client.send(frontend.parse('SELECT generate_series(1, 5)'), frontend.bind(), frontend.describe('P'))
    client.send(frontend.flush())
    t.equal(typesOf(await client.readUntil('T')), '12T', 'answers without a Sync')
    other.send(frontend.sync(), frontend.query("SELECT 'other'"))
    t.equal(typesOf(await other.readUntil('Z')), 'Z')
    const seen: string[] = []
    for (let left = 2; left > 0; left--) {
      client.send(frontend.execute(2), frontend.flush())
      seen.push(...rowsOf(await client.readUntil('s')).map((row) => row[0]!))
    }
    client.send(frontend.execute(2), frontend.close('P'), frontend.sync())
    const last = await client.readUntil('Z')
    t.equal(typesOf(last), 'DC3Z')
    t.same([...seen, ...rowsOf(last).map((row) => row[0]!)], ['1', '2', '3', '4', '5'])
    t.same(rowsOf(await other.readUntil('Z')), [['other']])
  })

  await t.test('an error arrives before its Sync is sent, and what follows is skipped up to it', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
    const client = await loginRaw(t, pgbun)
    client.send(frontend.parse('SELECT nothing'), frontend.bind(), frontend.execute(), frontend.flush())
    t.match(errorOf(await client.readUntil('E')), { C: '42703' })
    client.send(frontend.query('SELECT 1'), frontend.parse('SELECT 2'), frontend.sync(), frontend.query('SELECT 3'))
    t.equal(typesOf(await client.readUntil('Z')), 'Z', 'the query behind the error is discarded by PostgreSQL')
    t.same(rowsOf(await client.readUntil('Z')), [['3']])
  })

  await t.test('notices, changed settings and notifications reach the client they belong to', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolSize: 2 })
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    await other.query('SELECT 1')
    const noticed = await client.query("DO $$ BEGIN RAISE NOTICE 'hear, hear'; END $$")
    t.equal(typesOf(noticed), 'NCZ')
    t.match(parse.fields(noticed[0]!.body), { M: 'hear, hear' })
    const changed = await client.query("SET TimeZone = 'Europe/Berlin'")
    t.same(
      changed.filter(({ type }) => type === 'S').map(({ body }) => parse.strings(body)),
      [['TimeZone', 'Europe/Berlin']],
    )
    await client.query('LISTEN channel')
    await server.query("NOTIFY channel, 'payload'")
    const [notification] = await client.readUntil('A')
    t.same(parse.strings(notification!.body.subarray(4)), ['channel', 'payload'], 'while the client is idle')
    t.equal(typesOf(await other.query('SELECT 2')), 'TDCZ')
  })

  await t.test('a setting changed in the configuration of the server greets the next clients', async (t) => {
    // Each server learns of it once: one of them, so that a single RESET can be told from one after the other.
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
    const before = await loginRaw(t, pgbun)
    await before.query('SELECT 1')
    await server.query("ALTER SYSTEM SET TimeZone = 'Asia/Tokyo'")
    await server.query("ALTER SYSTEM SET log_statement = 'all'")
    await server.query('SELECT pg_reload_conf()')
    const greeting = async (): Promise<string | undefined> => {
      const client = await loginRaw(t, pgbun)
      // An idle PostgreSQL process looks at its configuration when it is asked something.
      await client.query('SELECT 1')
      await client.end()
      return client.session.parameters.TimeZone
    }
    await waitFor(async () => (await greeting()) === 'Asia/Tokyo', { what: 'the new setting in a greeting' })
    for (let round = 0; round < 10; round++) await greeting()
    await server.query('SELECT 1 AS last')
    await server.waitForLog(/SELECT 1 AS last/)
    const resets = server.logs().match(/statement: .*RESET "timezone"/g) ?? []
    t.ok(resets.length <= 1, `nobody is set back to it again and again: ${resets.length} times`)
    await server.query('ALTER SYSTEM RESET ALL')
    await server.query('SELECT pg_reload_conf()')
  })

  await t.test('requests and values of many megabytes', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    const long = 'x'.repeat(8_000_000)
    t.same(await client.rows(`SELECT length('${long}')`), [['8000000']])
    const request = [frontend.parse('SELECT length($1)'), frontend.bind([long]), frontend.execute(), frontend.sync()]
    client.send(...request)
    t.same(rowsOf(await client.readUntil('Z')), [['8000000']])
    client.send(frontend.parse(`SELECT length('${long}')`, 'huge'), frontend.sync())
    t.equal(typesOf(await client.readUntil('Z')), '1Z')
    client.send(frontend.bind([], 'huge'), frontend.execute(), frontend.sync())
    t.same(rowsOf(await client.readUntil('Z')), [['8000000']], 'a prepared statement of 8 MB')
    await client.end()
    t.same(await other.rows('SELECT count(*) FROM pg_prepared_statements'), [['0']], 'which its client took along')
  })

  await t.test('protocol versions', async (t) => {
    const pgbun = await startPgbun(t, { target: server })
    const newest = await loginRaw(t, pgbun, { version: 0x30002 })
    t.equal(newest.session.secret.length, 32, '3.2 has long cancel keys')
    t.notMatch(typesOf(newest.session.messages), /v/)
    const future = await loginRaw(t, pgbun, { version: 0x3270f, parameters: { '_pq_.test_protocol': '1' } })
    t.equal(typesOf(future.session.messages).split('v').length, 2, 'negotiated once')
    const [negotiated] = future.session.messages.filter(({ type }) => type === 'v')
    t.equal(negotiated?.body.readInt32BE(0), 0x30002)
    t.same(parse.strings(negotiated!.body.subarray(8)), ['_pq_.test_protocol'])
    t.same(await future.rows('SELECT 1'), [['1']])
    for (const version of [0x20000, 0x40000]) {
      const client = await connectRaw(t, pgbun)
      client.send(frontend.startup({ user: 'postgres' }, version))
      t.match(await client.expectFatal(), { S: 'FATAL', C: '0A000', M: /unsupported frontend protocol/ })
    }
    const off = await loginRaw(t, pgbun, { parameters: { replication: 'off' } })
    t.same(await off.rows('SELECT 1'), [['1']])
  })

  await t.test('FunctionCall', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    client.send(frontend.functionCall(1397, ['-7']))
    const messages = await client.readUntil('Z')
    t.equal(typesOf(messages), 'VZ')
    t.equal(messages[0]!.body.toString('latin1', 4), '7')
    t.same(await other.rows('SELECT 1'), [['1']])
  })

  await t.test('COPY FROM with the extended protocol, a Sync inside it ignored', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    client.send(frontend.parse('COPY sink FROM STDIN'), frontend.bind(), frontend.execute(), frontend.sync())
    t.equal(typesOf(await client.readUntil('G')), '12G')
    other.send(frontend.sync(), frontend.query("SELECT 'other'"))
    await other.readUntil('Z')
    client.send(frontend.copyData('11\n'), frontend.flush(), frontend.sync(), frontend.copyData('12\n'))
    client.send(frontend.copyDone(), frontend.sync())
    t.equal(typesOf(await client.readUntil('Z')), 'CZ')
    t.same(rowsOf(await other.readUntil('Z')), [['other']])
    t.same(await client.rows('SELECT x FROM sink WHERE x IN (11, 12) ORDER BY x'), [['11'], ['12']])
  })

  await t.test('what a client may not send ends its session and nobody else’s', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
    const other = await loginRaw(t, pgbun)
    for (const bytes of [message('p', 'password\0'), message('\x00', 'zero'), message('R', int32(0))]) {
      const client = await loginRaw(t, pgbun)
      client.send(bytes)
      t.match(await client.expectFatal(), { S: 'FATAL', C: '08P01' })
      t.same(await other.rows('SELECT 1'), [['1']])
    }
  })
})
