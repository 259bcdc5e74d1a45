import t from 'tap'
import { bind, type Case, type Play, playCases, run } from '../../fixtures/changed-tables.ts'
import { frontend, int32 } from '../../fixtures/messages.ts'
import { sharedPostgres } from '../../fixtures/postgres.ts'

const postgres = sharedPostgres(t)

t.test('a prepared statement shows the columns of a changed table as on a direct connection', async (t) => {
  const { parse, describe, execute, sync, close, flush } = frontend

  const EXAMPLE = "CREATE TABLE m.t (id int, email text, secret text); INSERT INTO m.t VALUES (1, 'a@b', 'secret')"

  const MIGRATE = "ALTER TABLE m.t DROP email, ADD phone text DEFAULT '555'"

  const ALL = 'SELECT * FROM m.t'

  /** Columns change: what of it `play` sees. */
  const COLUMNS: { what: string; sql?: string; setup?: string; change: string; back?: string }[] = [
    { what: 'a column dropped, another added', change: MIGRATE },
    { what: 'a column added', change: 'ALTER TABLE m.t ADD more int', back: 'ALTER TABLE m.t DROP more' },
    { what: 'a column dropped', change: 'ALTER TABLE m.t DROP secret' },
    {
      what: 'a column renamed',
      change: 'ALTER TABLE m.t RENAME secret TO open',
      back: 'ALTER TABLE m.t RENAME open TO secret',
    },
    {
      what: 'columns that trade names',
      change:
        'ALTER TABLE m.t RENAME email TO x; ALTER TABLE m.t RENAME secret TO email; ALTER TABLE m.t RENAME x TO secret',
    },
    {
      what: 'the type of a column',
      change: 'ALTER TABLE m.t ALTER id TYPE bigint',
      back: 'ALTER TABLE m.t ALTER id TYPE int',
    },
    {
      what: 'the length of a column',
      setup: 'ALTER TABLE m.t ALTER email TYPE varchar(10)',
      change: 'ALTER TABLE m.t ALTER email TYPE varchar(20)',
      back: 'ALTER TABLE m.t ALTER email TYPE varchar(10)',
    },
    {
      what: 'another table of the same columns',
      change: `DROP TABLE m.t; ${EXAMPLE}`,
    },
    {
      what: 'a row that is written',
      sql: "INSERT INTO m.t VALUES (2, 'x', 'y') RETURNING *",
      change: 'ALTER TABLE m.t ADD more int',
      back: 'ALTER TABLE m.t DROP more',
    },
    {
      what: 'a view',
      setup: 'CREATE VIEW m.v AS SELECT id, email FROM m.t',
      sql: 'SELECT * FROM m.v',
      change: 'CREATE OR REPLACE VIEW m.v AS SELECT id, email, secret FROM m.t',
    },
    {
      what: 'a function',
      setup: "CREATE FUNCTION m.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
      sql: 'SELECT m.f()',
      change: "DROP FUNCTION m.f(); CREATE FUNCTION m.f() RETURNS text LANGUAGE sql AS 'SELECT ''one''::text'",
    },
    { what: 'a table that is gone', change: 'DROP TABLE m.t' },
    { what: 'a column that is gone', sql: 'SELECT id, secret FROM m.t', change: 'ALTER TABLE m.t DROP secret' },
    { what: 'an index', change: 'CREATE INDEX ON m.t (id)' },
  ]

  const CASES: Case[] = []

  for (const { what, sql = ALL, setup, change, back } of COLUMNS) {
    const prepared = setup === undefined ? [EXAMPLE] : [EXAMPLE, setup]
    const again = async (play: Play, name: string): Promise<void> => {
      for (const who of ['A', 'B', 'A']) await play.say(who, ...run(name))
      await play.elsewhere()
      for (const who of ['A', 'B', 'A', 'B']) await play.say(who, ...run(name))
      await play.elsewhere()
      await play.say('B', ...run(name))
      await play.say('A', bind(name, [], [0, 0, 0]), execute())
    }
    // The ways to come by a statement differ in pgbun, not in what has changed.
    const first = COLUMNS[0]!.what === what
    for (const described of first ? [true, false] : [true]) {
      CASES.push({
        what: `${what}, by name, ${described ? '' : 'not '}described`,
        setup: prepared,
        async run(play) {
          for (const who of ['A', 'B']) {
            await play.say(who, parse(sql, 's'), ...(described ? [describe('S', 's')] : []))
            await play.say(who, ...run('s'))
          }
          await play.change(change)
          await again(play, 's')
          // Prepared anew by one of them, and by another client.
          await play.say('A', close('S', 's'), parse(sql, 's'), describe('S', 's'))
          await play.say('A', ...run('s'))
          await play.say('C', parse(sql, 's'), describe('S', 's'))
          await play.say('C', ...run('s'))
          await play.say('B', ...run('s'))
          await play.elsewhere()
          for (const who of ['B', 'C', 'A']) await play.say(who, ...run('s'))
          if (back === undefined) return
          await play.change(back)
          for (const who of ['B', 'C', 'A']) await play.say(who, ...run('s'))
          await play.elsewhere()
          for (const who of ['B', 'C', 'A']) await play.say(who, ...run('s'))
        },
      })
    }
    for (const how of first ? ['described', 'not described', 'run'] : []) {
      CASES.push({
        what: `${what}, unnamed, ${how}`,
        setup: prepared,
        async run(play) {
          const rest = { described: [describe('S')], 'not described': [], run: run() }[how]!
          for (const who of ['A', 'B']) await play.say(who, parse(sql), ...rest)
          await play.change(change)
          await again(play, '')
          await play.say('A', parse(sql), describe('S'))
          await play.elsewhere()
          for (const who of ['A', 'B']) await play.say(who, ...run())
        },
      })
    }
  }

  CASES.push(
    {
      what: 'within one batch: parsed, described and run',
      setup: [EXAMPLE],
      async run(play) {
        for (const who of ['A', 'B', 'C']) await play.say(who, parse(ALL, who), describe('S', who), ...run(who))
        await play.change(MIGRATE)
        await play.known(ALL)
        for (const who of ['A', 'B']) {
          await play.elsewhere()
          await play.say(who, parse(ALL, 'new'), describe('S', 'new'), ...run('new'), ...run('new'))
          await play.say(who, ...run('new'), ...run(who))
        }
        await play.say('C', ...run('C'), ...run('C'))
      },
    },
    {
      what: 'in a transaction',
      setup: [EXAMPLE],
      async run(play) {
        for (const who of ['A', 'B']) await play.say(who, parse(ALL, 's'), describe('S', 's'), ...run('s'))
        await play.change(MIGRATE)
        for (const who of ['A', 'B']) {
          await play.elsewhere()
          await play.query(who, 'BEGIN')
          await play.say(who, ...run('s'))
          await play.say(who, ...run('s'))
          await play.query(who, 'ROLLBACK')
          await play.say(who, ...run('s'))
        }
      },
    },
    {
      what: 'changed in the client’s own transaction, and taken back',
      setup: [EXAMPLE],
      async run(play) {
        for (const who of ['A', 'B', 'C']) await play.say(who, parse(ALL, 's'), describe('S', 's'), ...run('s'))
        await play.query('A', 'BEGIN')
        await play.query('A', MIGRATE)
        await play.say('A', parse(ALL, 'new'), describe('S', 'new'), ...run('new'))
        await play.say('A', ...run('s'))
        await play.query('A', 'ROLLBACK')
        await play.say('A', ...run('s'))
        await play.say('A', ...run('new'))
        await play.elsewhere()
        await play.say('A', ...run('new'))
        for (const who of ['A', 'B', 'C']) await play.say(who, ...run('s'))
        await play.say('B', parse(ALL, 'new'), describe('S', 'new'), ...run('new'))
        await play.elsewhere()
        for (const who of ['A', 'B']) await play.say(who, ...run('new'))
      },
    },
    {
      what: 'changed in the very batch that runs it',
      setup: [EXAMPLE],
      async run(play) {
        await play.say('A', parse(ALL, 's'), describe('S', 's'), ...run('s'))
        await play.elsewhere()
        await play.say('A', parse('ALTER TABLE m.t ADD more int'), ...run(), ...run('s'))
        await play.say('A', ...run('s'))
      },
    },
    {
      what: 'many batches in one breath',
      setup: [EXAMPLE],
      async run(play) {
        const names = ['p', 'q', 'r']
        for (const name of names) await play.say('A', parse(`${ALL} /* ${name} */`, name), describe('S', name))
        await play.elsewhere()
        const batches = names.flatMap((name) => [...run(name), sync(), ...run(name), ...run(name), sync()])
        await play.pipeline('A', 6, ...batches)
        await play.change(MIGRATE)
        await play.pipeline('A', 6, ...batches)
        await play.elsewhere()
        await play.pipeline('A', 6, ...batches)
        await play.pipeline('A', 8, ...batches, parse(ALL, 'x'), describe('S', 'x'), sync(), ...run('x'), sync())
      },
    },
    {
      what: 'with Flush instead of Sync',
      setup: [EXAMPLE],
      async run(play) {
        await play.say('A', parse(ALL, 's'), describe('S', 's'), flush(), ...run('s'), flush())
        await play.elsewhere()
        await play.say('A', ...run('s'), flush(), ...run('s'))
        await play.change(MIGRATE)
        await play.elsewhere()
        await play.say('A', ...run('s'), flush(), ...run('s'), flush())
      },
    },
    {
      what: 'behind something that fails',
      setup: [EXAMPLE],
      async run(play) {
        await play.say('A', parse(ALL, 's'), describe('S', 's'), parse('SELECT 1 / $1::int', 'd'))
        await play.elsewhere()
        const fails = [frontend.bind(['0'], 'd'), execute()]
        await play.pipeline(
          'A',
          3,
          ...run('s'),
          ...fails,
          ...run('s'),
          sync(),
          ...fails,
          ...run('s'),
          sync(),
          ...run('s'),
          sync(),
        )
        await play.change(MIGRATE)
        await play.elsewhere()
        await play.pipeline('A', 3, ...fails, ...run('s'), sync(), ...run('s'), ...fails, sync(), ...run('s'), sync())
      },
    },
    {
      what: 'in a transaction that failed',
      setup: [EXAMPLE],
      async run(play) {
        await play.say('A', parse(ALL, 's'), describe('S', 's'), parse('ROLLBACK', 'r'), describe('S', 'r'))
        await play.change(MIGRATE)
        await play.elsewhere()
        await play.query('A', 'BEGIN')
        await play.query('A', 'SELECT 1 / 0')
        await play.say('A', ...run('s'))
        await play.say('A', ...run('r'))
        await play.say('A', ...run('s'))
      },
    },
    {
      what: 'a search_path of the client’s own',
      setup: [
        'CREATE SCHEMA m1; CREATE TABLE m1.u (a int); INSERT INTO m1.u VALUES (1)',
        "CREATE SCHEMA m2; CREATE TABLE m2.u (a int, b text); INSERT INTO m2.u VALUES (2, 'two')",
        'CREATE SCHEMA m3; CREATE TABLE m3.u (a int); INSERT INTO m3.u VALUES (3)',
      ],
      async run(play) {
        await play.query('A', 'SET search_path = m1')
        await play.query('B', 'SET search_path = m2')
        for (const who of ['A', 'B'])
          await play.say(who, parse('SELECT * FROM u', 's'), describe('S', 's'), ...run('s'))
        await play.elsewhere()
        for (const path of ['m3', 'm2', 'm1']) {
          await play.query('A', `SET search_path = ${path}`)
          await play.say('A', ...run('s'))
          await play.elsewhere()
          await play.say('A', ...run('s'))
        }
      },
    },
    {
      what: 'who parsed before a change, and who parsed after it',
      setup: [EXAMPLE],
      async run(play) {
        await play.say('A', parse(ALL, 's'), describe('S', 's'), ...run('s'))
        await play.change(MIGRATE)
        await play.known(ALL)
        await play.elsewhere()
        await play.say('B', parse(ALL, 's'), describe('S', 's'), ...run('s'))
        for (let i = 0; i < 3; i++) {
          await play.say('A', ...run('s'))
          await play.say('B', ...run('s'))
          await play.elsewhere()
        }
        await play.change('ALTER TABLE m.t DROP phone')
        await play.known(ALL)
        await play.say('C', parse(ALL, 's'), describe('S', 's'), ...run('s'))
        for (let i = 0; i < 3; i++) {
          for (const who of ['A', 'B', 'C']) await play.say(who, ...run('s'))
          await play.elsewhere()
        }
      },
    },
  )

  return playCases(t, await postgres.database(t), CASES)
})

// After a table was changed, a statement was prepared again on another server connection, and the values of its
// client stood for something else.
t.test('values for a prepared statement are not taken for another type after a table was changed', async (t) => {
  const { parse, describe, execute, close } = frontend

  const CASES: Case[] = []

  const int8 = (value: bigint): Buffer => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64BE(value)
    return bytes
  }

  /** Parameters whose types nobody gives: they are what they were when the statement was parsed. */
  const PARAMETERS: { what: string; type: string; value: Buffer; change: string; sql?: string }[] = [
    { what: 'int to real', type: 'int', value: int32(5), change: 'real' },
    { what: 'int to bigint', type: 'int', value: int32(5), change: 'bigint' },
    { what: 'int to text', type: 'int', value: int32(5), change: 'text' },
    { what: 'timestamp to timestamptz', type: 'timestamp', value: int8(1_000_000n), change: 'timestamptz' },
    { what: 'text to jsonb', type: 'text', value: Buffer.from('{"a": 1}'), change: 'jsonb USING a::jsonb' },
    {
      what: 'int to bigint, compared',
      type: 'int',
      value: int32(1),
      change: 'bigint',
      sql: 'SELECT count(*) FROM m.p WHERE a = $1',
    },
    {
      what: 'int to text, compared',
      type: 'int',
      value: int32(1),
      change: 'text',
      sql: 'SELECT count(*) FROM m.p WHERE a = $1',
    },
    {
      what: 'int to real, returned',
      type: 'int',
      value: int32(7),
      change: 'real',
      sql: 'UPDATE m.p SET a = $1 RETURNING a',
    },
  ]

  for (const { what, type, value, change, sql = 'INSERT INTO m.p VALUES ($1)' } of PARAMETERS) {
    for (const name of ['s', '']) {
      for (const described of what === PARAMETERS[0]!.what ? [true, false] : [true]) {
        CASES.push({
          what: `a parameter: ${what}, ${name ? 'named' : 'unnamed'}, ${described ? '' : 'not '}described`,
          setup: [`CREATE TABLE m.p (a ${type})`],
          async run(play) {
            const ask = described ? [describe('S', name)] : []
            const send = [bind(name, [value]), execute()]
            for (const who of ['A', 'B']) {
              await play.say(who, parse(sql, name), ...ask)
              await play.say(who, ...send)
            }
            await play.change(`ALTER TABLE m.p ALTER a TYPE ${change}`)
            for (let i = 0; i < 3; i++) {
              for (const who of ['A', 'B']) await play.say(who, ...send)
              await play.elsewhere()
            }
            await play.query('C', 'SELECT a::text FROM m.p ORDER BY 1')
            await play.known(sql)
            if (name) await play.say('A', close('S', name))
            await play.say('A', parse(sql, name), describe('S', name))
            await play.elsewhere()
            await play.say('B', ...send)
            await play.say('A', describe('S', name))
          },
        })
      }
    }
  }

  return playCases(t, await postgres.database(t), CASES)
})
