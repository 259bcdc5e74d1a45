import t, { type Test } from 'tap'
import { frontend } from '../../fixtures/messages.ts'
import { type Pgbun, startPgbun } from '../../fixtures/pgbun.ts'
import { sharedPostgres } from '../../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient, rowsOf, typesOf } from '../../fixtures/raw-client.ts'

const postgres = sharedPostgres(t)

// A statement that was prepared under the name its client uses, for the sake of SQL, stayed there when the client
// had closed it, or given the name to another; and one that SQL had prepared did not keep a Parse from giving its
// name again. Every conversation is held directly, too, and must go the same way.
t.test('EXECUTE and the protocol mean the same statement by a name', async (t) => {
  const { parse, query, sync, close, bind, describe, execute, flush } = frontend

  const run = (name: string): Buffer[] => [bind([], name), execute()]

  /** What is sent in each step, up to its last ReadyForQuery. */
  const conversations: Record<string, Buffer[][]> = {
    'closed, and given to another statement': [
      [parse("SELECT 'new'", 'q'), parse("SELECT 'old'", 'p'), sync()],
      [query('EXECUTE p')],
      [close('S', 'p'), parse("SELECT 'new'", 'p'), sync()],
      [query('EXECUTE p')],
      [...run('p'), sync()],
    ],
    'closed by the protocol': [
      [parse("SELECT 'old'", 'p'), sync()],
      [query('EXECUTE p')],
      [close('S', 'p'), sync()],
      [query('EXECUTE p')],
    ],
    'deallocated, and prepared by SQL': [
      [parse("SELECT 'old'", 'p'), sync()],
      [query('EXECUTE p')],
      [query('DEALLOCATE p')],
      [query('EXECUTE p')],
      [query("PREPARE p AS SELECT 'sql'")],
      // What makes room on the server must leave it alone.
      [parse("SELECT 'other'", 'o'), ...run('o'), sync()],
      [query('EXECUTE p')],
      [...run('p'), sync()],
    ],
    'prepared by SQL, then by the protocol': [
      [query("PREPARE p AS SELECT 'sql'")],
      [...run('p'), sync()],
      [parse("SELECT 'proto'", 'p'), sync()],
      [...run('p'), sync()],
      [parse("SELECT 'other'", 'o'), ...run('o'), sync()],
      [query('EXECUTE p')],
      [close('S', 'p'), sync()],
      [parse("SELECT 'proto'", 'p'), sync()],
      [query('EXECUTE p')],
      [query("PREPARE p AS SELECT 'sql'")],
      [...run('p'), sync()],
    ],
    'prepared by SQL and the protocol in one go': [
      [query("PREPARE p AS SELECT 'sql'"), parse("SELECT 'proto'", 'p'), parse("SELECT 'other'", 'o'), sync()],
      [...run('p'), sync()],
      [...run('o'), sync()],
      [parse("SELECT 'proto'", 'n'), ...run('n'), parse("SELECT 'dup'", 'n'), sync()],
      [query('EXECUTE n')],
    ],
    'closed behind the Bind of an EXECUTE': [
      [parse("SELECT 'old'", 'p'), sync()],
      [query('BEGIN')],
      [query('EXECUTE p')],
      [parse('EXECUTE p'), bind(), parse("SELECT 'other'", 'o'), execute(), sync()],
      [close('S', 'p'), parse('EXECUTE p'), bind(), execute(), sync()],
      [query('ROLLBACK')],
      [query('EXECUTE p')],
    ],
    'lent in a batch that failed': [
      [parse("SELECT 'one'", 'p'), parse('EXECUTE p', 'x'), parse('SELECT 1/0', 'f'), sync()],
      [...run('f'), bind([], 'x'), sync(), ...run('x'), sync()],
      [query('DEALLOCATE p'), parse('EXECUTE p'), sync()],
    ],
    'lent in a batch that failed, to the unnamed statement': [
      [parse("SELECT 'one'", 'p'), parse('SELECT 1/0', 'f'), sync()],
      [...run('f'), parse('EXECUTE p'), bind(), sync(), parse('EXECUTE p'), bind(), execute(), sync()],
    ],
    'closed to be lent anew in a batch that failed': [
      [parse("SELECT 'old'", 'p'), parse('EXECUTE p', 'x'), parse('SELECT 1/0', 'f'), sync()],
      [query('EXECUTE p')],
      [close('S', 'p'), parse("SELECT 'new'", 'p'), sync()],
      [...run('f'), bind([], 'x'), sync(), ...run('x'), sync()],
      [query('EXECUTE p')],
    ],
    'closed to make room in a batch that failed': [
      [parse("SELECT 'old'", 'p'), parse('EXECUTE p', 'x'), parse('SELECT 1/0', 'f'), sync()],
      [query('EXECUTE p')],
      [close('S', 'p'), parse("SELECT 'new'", 'p'), sync()],
      [...run('f'), parse("SELECT 'other'", 'o'), sync(), ...run('x'), sync()],
      [query('EXECUTE p')],
    ],
    'deallocated and prepared by SQL in one text': [
      [parse("SELECT 'old'", 'p'), sync()],
      [query('EXECUTE p')],
      [query("DEALLOCATE p; PREPARE p AS SELECT 'sql'")],
      [parse("SELECT 'other'", 'o'), ...run('o'), sync()],
      [query('EXECUTE p')],
    ],
    'deallocated with all others and prepared by SQL in one text': [
      [parse("SELECT 'old'", 'p'), sync()],
      [query('EXECUTE p')],
      [query("DEALLOCATE ALL; PREPARE p AS SELECT 'sql'"), sync()],
      [parse("SELECT 'other'", 'o'), ...run('o'), sync()],
      [query('EXECUTE p')],
    ],
    'lent in a batch that failed, and prepared by SQL': [
      [query("PREPARE p AS SELECT 'sql'"), parse('EXECUTE p', 'x'), sync()],
      [parse('SELECT 1', 'p'), ...run('x'), sync()],
      [parse("SELECT 'other'", 'o'), ...run('o'), sync()],
      [...run('x'), sync()],
      [query('EXECUTE p')],
    ],
    'wanted in a transaction that failed, in a batch': [
      [parse("SELECT 'one'", 'p'), sync()],
      [query('BEGIN'), query('SELECT 1/0')],
      [close('P', 'x'), query('EXECUTE p'), sync()],
      [query('ROLLBACK')],
      [query('EXECUTE p')],
    ],
    'wanted in a transaction that is about to fail, in a batch': [
      [parse("SELECT 'one'", 'p'), sync()],
      [query('BEGIN'), query('SELECT 1/0'), close('P', 'x'), query('EXECUTE p'), sync()],
      [query('ROLLBACK')],
      [query('EXECUTE p')],
    ],
    'executed and deallocated by SQL': [
      [parse("SELECT 'old'", 'p'), sync()],
      [query('EXECUTE p')],
      [query('DEALLOCATE p')],
      [...run('p'), sync()],
      [parse("SELECT 'again'", 'p'), sync()],
      [query('BEGIN')],
      [query('EXECUTE p')],
      [query('DEALLOCATE p')],
      [describe('S', 'p'), sync()],
      [query('ROLLBACK')],
    ],
    'given twice, then deallocated': [
      [parse("SELECT 'old'", 'p'), sync()],
      [parse("SELECT 'new'", 'p'), sync()],
      [query('EXECUTE p')],
      [parse("SELECT 'new'", 'p'), sync()],
      [query('DEALLOCATE p')],
      [query('EXECUTE p')],
    ],
  }

  async function hold(t: Test, address: Parameters<typeof loginRaw>[1], steps: Buffer[][]): Promise<unknown[]> {
    const client = await loginRaw(t, address)
    const seen: unknown[] = []
    for (const messages of steps) {
      client.send(...messages, flush())
      for (const { 0: type } of messages) {
        if (type !== 0x51 && type !== 0x53) continue
        const answers = await client.readUntil('Z')
        seen.push([typesOf(answers), rowsOf(answers), errorOf(answers).C, errorOf(answers).M])
      }
    }
    await client.end()
    return seen
  }

  const server = await postgres.server()
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  for (const [name, steps] of Object.entries(conversations)) {
    t.same(await hold(t, pgbun, steps), await hold(t, server, steps), name)
    const stranger = await loginRaw(t, pgbun)
    const names = "name !~ '^pgbun_'"
    t.same(await stranger.rows(`SELECT name FROM pg_prepared_statements WHERE ${names}`), [], 'nothing is left')
    await stranger.end()
  }

  await t.test('a client that closes what SQL has prepared gives its server back', async (t) => {
    const client = await loginRaw(t, pgbun)
    await client.query('PREPARE p AS SELECT 1')
    client.send(close('S', 'p'), sync())
    await client.readUntil('Z')
    const other = await loginRaw(t, pgbun)
    t.same(await other.rows('SELECT 2'), [['2']])
  })
})

// Names that pgbun gives statements on servers can be read and counted on: they lead to nothing that belongs to
// another client.
t.test('a client that knows the names of pgbun on a server gets no statement of another client', async (t) => {
  const { parse, bind, execute, describe, close, sync, query } = frontend

  /** What is answered to one batch: types, rows, the error's code and text. */
  async function say(client: RawClient, ...messages: Buffer[]): Promise<string> {
    client.send(...messages)
    const answers = await client.readUntil('Z')
    const { C: code = '', M: text = '' } = errorOf(answers)
    return `${typesOf(answers)} ${rowsOf(answers).join()} ${code} ${text}`
  }

  const run = (name: string): Buffer[] => [bind([], name), execute(), sync()]

  const target = await postgres.server()
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
  const SECRET = "SELECT 'victim'"

  /** The victim has prepared and used a statement; which name it has on the server, and those that come next. */
  const begin = async (
    t: Test,
    at: Pgbun = pgbun,
  ): Promise<{ victim: RawClient; attacker: RawClient; names: string[] }> => {
    const victim = await loginRaw(t, at)
    const attacker = await loginRaw(t, at)
    t.equal(await say(victim, parse(SECRET, 's'), ...run('s')), '12DCZ victim  ')
    const rows = await attacker.rows("SELECT name FROM pg_prepared_statements WHERE statement = 'SELECT ''victim'''")
    const [, prefix, number] = /^(pgbun_[0-9a-f]{12}_)(\d+)$/.exec(String(rows[0]![0]))!
    const names = Array.from({ length: 30 }, (_, i) => `${prefix}${Number(number) + i}`)
    return { victim, attacker, names }
  }
  const intact = async (t: Test, victim: RawClient): Promise<void> => {
    t.equal(await say(victim, ...run('s')), '2DCZ victim  ', 'what the victim has is its own')
    t.equal(await say(victim, parse("SELECT 'new'", 'n'), ...run('n')), '12DCZ new  ', 'and what it prepares')
    t.equal(await say(victim, close('S', 'n'), sync()), '3Z   ')
  }

  await t.test('messages of the protocol reach no statement of another client', async (t) => {
    const { victim, attacker, names } = await begin(t)
    const direct = await loginRaw(t, target)
    for (const name of names.slice(0, 5)) {
      for (const batch of [run(name), [describe('S', name), sync()], [close('S', name), sync()]]) {
        t.equal(await say(attacker, ...batch), await say(direct, ...batch))
      }
      t.match(await say(attacker, parse("SELECT 'evil'", name), sync()), /^EZ {2}42P05 /)
      await intact(t, victim)
    }
    // All at once, before anything is answered.
    attacker.send(...names.flatMap((name) => [close('S', name), parse("SELECT 'evil'", name), sync()]))
    for (const _ of names) t.match(typesOf(await attacker.readUntil('Z')), /^3EZ$/)
    await intact(t, victim)
    await attacker.end()
  })

  const attacks: Record<string, (names: string[]) => string[]> = {
    'DEALLOCATE of them': (names) => names.slice(0, 1).map((name) => `DEALLOCATE ${name}`),
    'PREPARE of those to come': (names) => names.slice(1).map((name) => `PREPARE ${name} AS SELECT 'evil'`),
    'DEALLOCATE and PREPARE in one Query': ([name]) => [`DEALLOCATE ${name}; PREPARE ${name} AS SELECT 'evil'`],
    'the same in code': ([name]) => [
      `DO $$ BEGIN EXECUTE 'DEALLOCATE ${name}'; EXECUTE 'PREPARE ${name} AS SELECT ''evil'''; END $$`,
    ],
    'in a transaction that is rolled back': ([name]) => [
      'BEGIN',
      `DEALLOCATE ${name}`,
      `PREPARE ${name} AS SELECT 'evil'`,
      'ROLLBACK',
    ],
    'behind DEALLOCATE ALL': (names) => ['DEALLOCATE ALL', ...names.map((name) => `PREPARE ${name} AS SELECT 'evil'`)],
    'in a function': ([name]) => [
      `CREATE FUNCTION evil() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN
        EXECUTE 'DEALLOCATE ' || '${name}'; EXECUTE 'PREPARE ' || '${name}' || ' AS SELECT ''evil'''; END $f$`,
      'SELECT evil()',
      'DROP FUNCTION evil()',
    ],
  }
  for (const [name, texts] of Object.entries(attacks)) {
    for (const ending of ['Terminate', 'DEALLOCATE ALL', 'DISCARD ALL', 'a closed socket']) {
      await t.test(`SQL reaches no statement of another client: ${name}, then ${ending}`, async (t) => {
        const { victim, attacker, names } = await begin(t)
        for (const sql of texts(names)) await say(attacker, query(sql))
        if (ending === 'Terminate') await attacker.end()
        else if (ending === 'a closed socket') attacker.destroy()
        else await say(attacker, query(ending))
        await intact(t, victim)
        attacker.destroy()
        await victim.end()
      })
    }
  }

  await t.test('EXECUTE of such a name runs with the rights of the client that says it', async (t) => {
    const { victim, attacker, names } = await begin(t)
    await say(victim, query("SET app.secret = 'of the victim'"))
    t.equal(
      await say(victim, parse("SELECT current_setting('app.secret', true)", 'c'), ...run('c')),
      '12DCZ of the victim  ',
    )
    await victim.query('SELECT 1')
    for (const name of names) t.notMatch(await say(attacker, query(`EXECUTE ${name}`)), 'of the victim')
    await intact(t, victim)
    await attacker.end()
  })
})

t.test('a statement name that is taken, too long or used by pgbun is answered as by PostgreSQL', async (t) => {
  const run = (name: string): Buffer[] => [frontend.bind([], name), frontend.execute()]

  /** A statement too long for its text to be kept. */
  const long = (value: string): string => `SELECT '${value}' /* ${'x'.repeat(300_000)} */`

  /** What PostgreSQL says to one batch: types, rows, the error's code and text. */
  async function say(client: RawClient, ...messages: Buffer[]): Promise<string> {
    client.send(...messages, frontend.sync())
    const answers = await client.readUntil('Z')
    const { C: code = '', M: text = '' } = errorOf(answers)
    return `${typesOf(answers)} ${rowsOf(answers).join()} ${code} ${text}`
  }

  const target = await postgres.server()
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })

  /** The same on a direct connection and through pgbun. */
  const same = async (t: Test, batches: Buffer[][]): Promise<RawClient> => {
    const direct = await loginRaw(t, target)
    const client = await loginRaw(t, pgbun)
    for (const [i, batch] of batches.entries())
      t.equal(await say(client, ...batch), await say(direct, ...batch), `${i}`)
    return client
  }

  await t.test('names that are the same in 63 bytes are the same name', async (t) => {
    const name = (end: string): string => 'n'.repeat(63) + end
    await same(t, [
      [frontend.parse("SELECT 'a'", name('a'))],
      [frontend.parse("SELECT 'b'", name('b'))],
      run(name('c')),
      [frontend.bind(['too many'], name('d'))],
      [frontend.describe('S', name(''))],
      [frontend.close('S', name('e'))],
      run(name('a')),
    ])
  })

  await t.test('a long name that is taken closes no other statement', async (t) => {
    const name = 'z'.repeat(11_000)
    const batches = [
      [frontend.parse('SELECT 1', name)],
      [frontend.parse('SELECT 2', name)],
      [frontend.parse('SELECT 3', name)],
    ]
    const client = await same(t, [
      ...batches,
      [frontend.parse('nonsense', name)],
      [frontend.parse('SELECT 2', 'b')],
      run(name),
    ])
    t.same(await client.rows(`SELECT name FROM pg_prepared_statements WHERE name LIKE 'z%'`), [])
  })

  await t.test('a text too long to be kept may be given a name that was in use', async (t) => {
    const client = await same(t, [
      [frontend.parse("SELECT 'short'", 'x')],
      [frontend.parse("SELECT 'again'", 'x')],
      [frontend.parse(long('long'), 'x')],
      run('x'),
      [frontend.close('S', 'x')],
      [frontend.parse(long('long'), 'x')],
      run('x'),
      [frontend.parse("SELECT 'short'", 'x')],
      [frontend.parse("SELECT 'other'", 'y')],
      run('x'),
      [frontend.close('S', 'x')],
      [frontend.parse("SELECT 'short'", 'x')],
      [...run('x'), ...run('y')],
    ])
    // It keeps the server.
    await client.end()
  })

  await t.test('a name without an end is answered as by PostgreSQL', async (t) => {
    const parse = frontend.parse('', 'name').subarray(0, 9)
    parse.writeInt32BE(8, 1)
    await same(t, [[parse], [frontend.parse('SELECT 1', 'name')]])
  })

  await t.test('the name that a statement has on the server is of no use to another client', async (t) => {
    const owner = await loginRaw(t, pgbun)
    const client = await loginRaw(t, pgbun)
    const direct = await loginRaw(t, target)
    await say(owner, frontend.parse("SELECT 'secret'", 'n'))
    const list = `SELECT name FROM pg_prepared_statements WHERE statement = 'SELECT ''secret'''`
    const name = String((await client.rows(list))[0]![0])
    t.match(name, /^pgbun_/)
    for (const batch of [run(name), [frontend.describe('S', name)], [frontend.close('S', name)]]) {
      t.equal(await say(client, ...batch), await say(direct, ...batch))
    }
    for (const text of ['SELECT 1', long('1')]) {
      t.match(await say(client, frontend.parse(text, name)), `EZ  42P05 prepared statement "${name}" already exists`)
    }
    await client.end()
    t.equal(await say(owner, ...run('n')), '2DCZ secret  ')
  })
})
