/**
 * What a client set by a long text, by one of many, or by a message that is no text was lost to it: a parameter of an
 * application's, which PostgreSQL does not list, was not asked for.
 */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient } from '../fixtures/raw-client.ts'

const LONG = 'x'.repeat(300_000)
const DATA = `INSERT INTO data VALUES ('${LONG} set call do create into;')`
const set = (name: string): string => `SET app.${name} = 'mine'`
/** Statements, and the parameter that one of them sets. */
const SAID: readonly (readonly [string, readonly string[], string])[] = [
  ['in front of long data', [`${set('a')}; ${DATA}`], 'app.a'],
  ['behind long data', [`${DATA}; ${set('b')}`], 'app.b'],
  ['behind a long comment', [`/* ${LONG} */ ${set('c')}`], 'app.c'],
  ['with a long value', [`SET app.d = '${LONG}'`], 'app.d'],
  ['with set_config() in a long statement', [`SELECT set_config('app.e', 'mine', false), '${LONG}'`], 'app.e'],
  ['in a long DO', [`DO $$ BEGIN PERFORM set_config('app.f', 'mine', false), '${LONG}'; END $$`], 'app.f'],
  [
    'as the first of many in a transaction',
    ['BEGIN', ...Array.from({ length: 40 }, (_, i) => set(`many${i}`)), 'COMMIT'],
    'app.many0',
  ],
  [
    'as one of many in a DO',
    [
      `DO $$ DECLARE name text; BEGIN FOREACH name IN ARRAY ARRAY[${Array.from({ length: 120 }, (_, i) => `'app.do${i}'`)}]
        LOOP PERFORM set_config(name, 'mine', false); END LOOP; END $$`,
    ],
    'app.do119',
  ],
]

t.test('what long texts and many texts set', async (t) => {
  const target = await startPostgres(t, { bootstrapSql: ['CREATE TABLE data (a text)'] })
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 2 })

  for (const [what, statements, name] of SAID) {
    await t.test(what, async (t) => {
      const [mine, other] = await Promise.all([loginRaw(t, pgbun), loginRaw(t, pgbun)])
      for (const sql of statements) t.equal(errorOf(await mine.query(sql)).M, undefined, sql.slice(0, 40))
      t.match(await elsewhere(mine, other, name), /^(?:mine|x+)$/)
      t.match(await setting(other, name), /^$/, 'nobody else has it')
      await Promise.all([mine.end(), other.end()])
    })
  }

  await t.test('a FunctionCall of set_config()', async (t) => {
    const [mine, other] = await Promise.all([loginRaw(t, pgbun), loginRaw(t, pgbun)])
    mine.send(frontend.functionCall(2078, ['app.called', 'mine', 'f']))
    await mine.readUntil('Z')
    t.equal(await elsewhere(mine, other, 'app.called'), 'mine')
    await Promise.all([mine.end(), other.end()])
  })

  await t.test('a short one that comes in pieces keeps nobody', async (t) => {
    const clients = await Promise.all([1, 2, 3].map(() => loginRaw(t, pgbun)))
    for (const client of clients) {
      const call = frontend.functionCall(1397, ['-7'])
      for (let at = 0; at < call.length; at++) {
        client.send(call.subarray(at, at + 1))
        await new Promise(setImmediate)
      }
      t.equal(errorOf(await client.readUntil('Z')).M, undefined)
    }
    await Promise.all(clients.map((client) => client.end()))
  })

  await t.test('long data alone keeps nobody', async (t) => {
    const clients = await Promise.all([1, 2, 3].map(() => loginRaw(t, pgbun)))
    for (const client of clients) {
      t.equal(errorOf(await client.query(DATA)).M, undefined)
      t.equal(await setting(client, 'work_mem'), '4MB')
    }
    for (const client of clients) await client.end()
  })

  await t.test('a text that cannot be read keeps its client, and its server ends with it', async (t) => {
    const [mine, other] = await Promise.all([loginRaw(t, pgbun), loginRaw(t, pgbun)])
    const sql = `SET standard_conforming_strings = off; SELECT 'it\\'s; ${LONG}', set_config('app.g', 'mine', false)`
    await mine.rows('SET standard_conforming_strings = off')
    t.equal(errorOf(await mine.query(sql)).M, undefined)
    t.equal(await elsewhere(mine, other, 'app.g'), 'mine')
    const [[pid]] = (await mine.rows('SELECT pg_backend_pid()')) as [[string]]
    await mine.end()
    const [[next]] = (await other.rows('SELECT pg_backend_pid()')) as [[string]]
    t.not(next, pid)
    await other.end()
  })
})

/** What `client` has of the parameter `name` while `other` has had the server it had, if that is to be had. */
async function elsewhere(client: RawClient, other: RawClient, name: string): Promise<string> {
  await other.query('BEGIN')
  const found = await setting(client, name)
  await other.query('COMMIT')
  return found
}

async function setting(client: RawClient, name: string): Promise<string> {
  return (await client.rows(`SELECT coalesce(current_setting('${name}', true), '')`))[0]![0]!
}
