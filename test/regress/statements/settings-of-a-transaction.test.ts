import t, { type Test } from 'tap'
import { functionsKnown } from '../../fixtures/functions-known.ts'
import { frontend } from '../../fixtures/messages.ts'
import { startPgbun } from '../../fixtures/pgbun.ts'
import { startPostgres } from '../../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient, rowsOf, typesOf } from '../../fixtures/raw-client.ts'

// A transaction may change settings, or what names stand for, between the Parse of a statement and its Bind.
t.test(
  'a named statement means the same as on a direct connection where its transaction changes settings',
  async (t) => {
    /** A step: a Query, a batch (a Sync is put behind it), or what goes on in between. */
    type Step = string | Buffer[] | typeof MOVE

    /** The client's next transaction has the other server. */
    const MOVE = Symbol('move')

    const parse = (name: string, sql: string): Buffer => frontend.parse(sql, name)

    const run = (name: string): Buffer[] => [frontend.bind([], name), frontend.execute()]

    const prepared = (name: string, sql: string): Buffer[] => [parse(name, sql), ...run(name)]

    /** Texts whose meaning depends on settings while they are parsed, and one for the planner. */
    const EPOCH = "SELECT extract(epoch FROM '2020-01-01 00:00'::timestamptz)::bigint"

    const DAY = "SELECT '01/02/2026'::date - '2026-01-01'::date"

    const TIMES = ["SET LOCAL TimeZone = 'UTC'", "SET LOCAL TimeZone = 'Asia/Tokyo'"] as const

    const CASES: Record<string, Step[]> = {
      'SET LOCAL in two transactions, the text prepared in each': [
        'BEGIN',
        TIMES[0],
        prepared('b1', EPOCH),
        'COMMIT',
        MOVE,
        'BEGIN',
        TIMES[1],
        prepared('b2', EPOCH),
        'COMMIT',
        MOVE,
        run('b1'),
        run('b2'),
        'BEGIN',
        TIMES[0],
        [...run('b2'), ...run('b1')],
        'SHOW TimeZone',
        'COMMIT',
        'SHOW TimeZone',
      ],
      'SET, and behind it in one packet a statement from before': [
        [parse('a', EPOCH)],
        [frontend.query("SET TimeZone = 'Asia/Tokyo'"), ...run('a')],
        'SHOW TimeZone',
        run('a'),
        'SELECT 1',
      ],
      'set for the transaction by messages, and in the same batch a statement from before': [
        [parse('a', EPOCH)],
        [...prepared('', "SELECT set_config('TimeZone', 'Asia/Tokyo', true)"), ...run('a')],
        run('a'),
        [...prepared('', "SELECT set_config('TimeZone', 'Asia/Tokyo', true)"), ...run('a')],
      ],
      'set for the session by messages, and in the same batch a statement from before': [
        [parse('a', EPOCH)],
        [...prepared('', "SET TimeZone = 'Asia/Tokyo'"), ...run('a')],
        'SHOW TimeZone',
        run('a'),
      ],
      'a Query with SET in the middle of a batch': [
        [parse('a', EPOCH)],
        [...run('a'), frontend.query("SET TimeZone = 'Asia/Tokyo'"), ...run('a')],
        'SHOW TimeZone',
        run('a'),
        'SELECT 1',
      ],
      'all of it in one batch': [
        [parse('a', EPOCH), ...prepared('b', "SELECT set_config('TimeZone', 'Asia/Tokyo', true)"), ...run('a')],
        run('a'),
        [...run('b'), ...run('a')],
      ],
      'several settings, by messages, with what has no part in it': [
        'BEGIN',
        [...prepared('', "SET LOCAL statement_timeout = '10s'")],
        [...prepared('', 'SET LOCAL DateStyle TO SQL, DMY')],
        "SELECT set_config('TimeZone', 'Asia/Tokyo', false), set_config('extra_float_digits', '0', true)",
        prepared('a', `${DAY}, now()::text LIKE '% JST'`),
        prepared('b', EPOCH),
        'COMMIT',
        MOVE,
        'BEGIN; SET LOCAL DateStyle = MDY',
        [...run('a'), ...run('b')],
        'SHOW DateStyle',
        'ROLLBACK',
        'SHOW TimeZone',
        run('a'),
        MOVE,
        run('b'),
      ],
      'what must be alone in its transaction, under other settings of the session': [
        [parse('v', 'VACUUM same'), parse('c', 'DECLARE c CURSOR FOR SELECT 1'), parse('a', EPOCH)],
        "SET TimeZone = 'Asia/Tokyo'",
        MOVE,
        run('v'),
        run('c'),
        run('a'),
      ],
      'a portal bound to a SET that is executed later, or never': [
        'BEGIN',
        [parse('set', TIMES[1]), frontend.bind([], 'set', 'p')],
        prepared('a', EPOCH),
        [frontend.execute(0, 'p')],
        prepared('b', EPOCH),
        'COMMIT',
        [...run('a'), ...run('b')],
      ],
      'SET LOCAL outside of a transaction, and one that fails': [
        TIMES[1],
        prepared('a', EPOCH),
        'BEGIN',
        'SAVEPOINT here',
        "SET LOCAL TimeZone = 'Nowhere/At all'",
        'ROLLBACK TO here',
        prepared('b', EPOCH),
        'COMMIT',
        run('b'),
      ],
      'set_config() for the transaction, one name closed and given again': [
        'BEGIN',
        "SELECT set_config('TimeZone', 'UTC', true)",
        prepared('s', EPOCH),
        [frontend.close('S', 's')],
        'COMMIT',
        'BEGIN',
        "SELECT set_config('TimeZone', 'Asia/Tokyo', true)",
        prepared('s', EPOCH),
        'COMMIT',
        run('s'),
      ],
      'SET and ROLLBACK': [
        'BEGIN',
        "SET TimeZone = 'Asia/Tokyo'",
        prepared('a', EPOCH),
        'ROLLBACK',
        prepared('b', EPOCH),
        run('a'),
        MOVE,
        run('b'),
      ],
      'twice in one transaction': [
        'BEGIN',
        'SET LOCAL DateStyle = MDY',
        prepared('a', DAY),
        'SET LOCAL DateStyle = DMY',
        prepared('b', DAY),
        run('a'),
        'COMMIT',
      ],
      'a savepoint brings the settings back': [
        'BEGIN',
        'SET LOCAL DateStyle = MDY',
        'SAVEPOINT here',
        'SET LOCAL DateStyle = DMY',
        prepared('a', DAY),
        'ROLLBACK TO here',
        prepared('b', DAY),
        run('a'),
        'COMMIT',
        MOVE,
        run('b'),
      ],
      'search_path twice in one transaction': [
        'BEGIN',
        'SET search_path = s1',
        prepared('a', 'SELECT v FROM same'),
        'SET search_path = s2',
        prepared('b', 'SELECT v FROM same'),
        run('b'),
        'ROLLBACK',
      ],
      'in the batch, in extended messages': [
        [
          ...prepared('', 'BEGIN'),
          ...prepared('set', TIMES[1]),
          ...prepared('a', EPOCH),
          ...prepared('back', TIMES[0]),
          ...prepared('b', EPOCH),
        ],
        [...run('a'), ...run('b')],
        [...prepared('', 'COMMIT')],
        run('a'),
        run('b'),
      ],
      'in one Query with BEGIN': [
        `BEGIN; ${TIMES[1]}`,
        prepared('a', EPOCH),
        `COMMIT; BEGIN; ${TIMES[0]}`,
        prepared('b', EPOCH),
        'COMMIT',
        run('a'),
        run('b'),
      ],
      'COMMIT AND CHAIN': ['BEGIN', TIMES[1], prepared('a', EPOCH), 'COMMIT AND CHAIN', prepared('b', EPOCH), 'COMMIT'],
      'DO, a function, and PREPARE': [
        'BEGIN',
        "DO $$ BEGIN PERFORM set_config('TimeZone', 'Asia/Tokyo', true); END $$",
        prepared('a', EPOCH),
        'ROLLBACK',
        'BEGIN',
        "PREPARE own AS SELECT set_config('TimeZone', 'Europe/Paris', true)",
        'EXECUTE own',
        prepared('b', EPOCH),
        'DEALLOCATE own',
        'COMMIT',
        prepared('c', EPOCH),
        run('a'),
      ],
      'a temporary table, and one that is rolled back': [
        'BEGIN',
        "CREATE TEMP TABLE same ON COMMIT DROP AS SELECT 'temporary' AS v",
        prepared('a', 'SELECT v FROM same'),
        'ROLLBACK',
        'SET search_path = s1, s2',
        'BEGIN',
        'ALTER TABLE s1.same RENAME TO other',
        prepared('b', 'SELECT v FROM same'),
        'ROLLBACK',
        prepared('c', 'SELECT v FROM same'),
      ],
      'a name of before, under settings of a transaction': [
        prepared('a', EPOCH),
        MOVE,
        'BEGIN',
        TIMES[1],
        run('a'),
        prepared('b', EPOCH),
        'COMMIT',
        MOVE,
        'BEGIN',
        TIMES[1],
        [...run('a'), ...run('a')],
        'COMMIT',
        run('a'),
      ],
      'a name of before, under other settings of the session': [
        prepared('a', EPOCH),
        prepared('d', DAY),
        "SET TimeZone = 'Asia/Tokyo'",
        'SET DateStyle = DMY',
        MOVE,
        [...run('a'), ...run('d')],
        'SHOW TimeZone',
        'SHOW DateStyle',
        'SET search_path = s2',
        run('a'),
        MOVE,
        'BEGIN',
        [...run('a'), ...run('d')],
        'SHOW TimeZone',
        'COMMIT',
        'RESET ALL',
        run('a'),
      ],
    }

    const target = await startPostgres(t)
    const owner = await loginRaw(t, target)
    await owner.query("ALTER SYSTEM SET TimeZone = 'Europe/Berlin'")
    await owner.query('SELECT pg_reload_conf()')
    await owner.query("CREATE SCHEMA s1 CREATE TABLE same (v text); INSERT INTO s1.same VALUES ('one')")
    await owner.query('CREATE SCHEMA s2 CREATE TABLE same (v int); INSERT INTO s2.same VALUES (2)')
    await owner.query("CREATE TABLE same (v text); INSERT INTO same VALUES ('public')")
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 2 })
    // As long as any statement may set anything, it is not known what a statement was prepared under (TRANSACTION-MODE.md).
    await functionsKnown(pgbun, target)

    const play = async (client: RawClient, steps: Step[], move: () => Promise<void>): Promise<string[]> => {
      const lines: string[] = []
      for (const step of steps) {
        if (step === MOVE) {
          await move()
          continue
        }
        if (typeof step === 'string') client.send(frontend.query(step))
        else client.send(...step, frontend.sync())
        const answers = (await client.readUntil('Z')).filter(({ type }) => type !== 'S')
        const { C: code = '', M: text = '' } = errorOf(answers)
        lines.push(`${typesOf(answers)} ${rowsOf(answers).join()} ${code} ${text}`)
      }
      return lines
    }

    for (const [name, steps] of Object.entries(CASES)) {
      await t.test(name, async (t: Test) => {
        const direct = await loginRaw(t, target)
        const expected = await play(direct, steps, async () => {})
        // The same clients as others are: what they have prepared is not theirs.
        for (const round of ['first', 'second']) {
          const client = await loginRaw(t, pgbun)
          const holders = [await loginRaw(t, pgbun), await loginRaw(t, pgbun)]
          await client.query('SELECT 1')
          await holders[0]!.query('BEGIN')
          const found = await play(client, steps, async () => {
            await holders[1]!.query('BEGIN')
            await holders[0]!.query('COMMIT')
            holders.reverse()
          })
          t.same(found, expected, round)
          for (const one of [client, ...holders]) await one.end()
        }
      })
    }

    // One server: what one client leaves in a shared statement, the other would find.
    const one = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
    // As long as any statement may set anything, what is parsed in a transaction is its client's alone.
    await functionsKnown(one, target)
    const others: Record<string, { sql: string; steps: Step[] }> = {
      'a plan made under settings of a transaction': {
        sql: "SELECT '\\x01'::bytea::text",
        steps: ['BEGIN', 'SET LOCAL bytea_output = escape', run('s'), 'COMMIT'],
      },
      'a plan made under settings of the session': {
        sql: "SELECT '\\x02'::bytea::text",
        steps: ['SET bytea_output = escape', run('s')],
      },
      'parsed anew by PostgreSQL under settings of a transaction': {
        sql: `${EPOCH} FROM same`,
        steps: ['BEGIN', TIMES[1], run('s'), 'COMMIT'],
      },
      'parsed anew under settings of the session': {
        sql: `${EPOCH}, 1 FROM same`,
        steps: [TIMES[1].replace('LOCAL ', ''), run('s')],
      },
    }
    for (const [name, { sql, steps }] of Object.entries(others)) {
      await t.test(`another client is not affected: ${name}`, async (t: Test) => {
        const clients = [await loginRaw(t, one), await loginRaw(t, one)] as const
        for (const client of clients) await play(client, [[parse('s', sql)]], async () => {})
        // Past pgbun, and of no account for what it means.
        await owner.query('ALTER TABLE same SET (fillfactor = 90)')
        await play(clients[0], steps, async () => {})
        const direct = await loginRaw(t, target)
        const [expected] = await play(direct, [prepared('s', sql)], async () => {})
        t.equal(`1${(await play(clients[1], [run('s')], async () => {}))[0]}`, expected)
        for (const client of clients) await client.end()
      })
    }

    await t.test('clients that set the same in each transaction share a statement', async (t: Test) => {
      const sql = "SELECT current_setting('app.tenant')"
      const clients = await Promise.all(['a', 'a', 'b'].map(() => loginRaw(t, one)))
      for (const [i, tenant] of ['a', 'a', 'b'].entries()) {
        const client = clients[i]!
        await client.query('BEGIN')
        await client.query("SET LOCAL lock_timeout = '10s'")
        await client.query(`SET LOCAL app.tenant = '${tenant}'`)
        const [line] = await play(client, [prepared('s', sql)], async () => {})
        t.match(line, new RegExp(`^12D.*Z ${tenant} `))
        await client.query('COMMIT')
      }
      const list = `SELECT count(*) FROM pg_prepared_statements WHERE statement = '${sql.replaceAll("'", "''")}'`
      // What was parsed once more in between, to see whether it is the same still, is closed with the next Parse.
      await play(clients[0]!, [prepared('other', 'SELECT 1')], async () => {})
      t.same(await clients[0]!.rows(list), [['2']])
      for (const tenant of ['b', 'a']) {
        for (const client of clients) {
          const steps = ['BEGIN', `SET LOCAL app.tenant = '${tenant}'`, run('s'), 'COMMIT']
          const lines = await play(client, steps, async () => {})
          t.match(lines[2], new RegExp(`^2DCZ ${tenant} `))
        }
      }
    })
  },
)
