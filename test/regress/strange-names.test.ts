/** Names of prepared statements that are taken, too long, or pgbun's own: each is answered as by PostgreSQL itself. */
import t, { type Test } from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient, rowsOf, typesOf } from '../fixtures/raw-client.ts'

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

t.test('names of prepared statements', async (t) => {
  const target = await startPostgres(t)
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })

  /** The same on a direct connection and through pgbun. */
  const same = async (t: Test, batches: Buffer[][]): Promise<RawClient> => {
    const direct = await loginRaw(t, target)
    const client = await loginRaw(t, pgbun)
    for (const [i, batch] of batches.entries())
      t.equal(await say(client, ...batch), await say(direct, ...batch), `${i}`)
    return client
  }

  await t.test('63 bytes of a name count', async (t) => {
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

  await t.test('a long name that is taken: nothing too long is closed', async (t) => {
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

  await t.test('a text too long to be kept gets a name that was taken', async (t) => {
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

  await t.test('a name without an end', async (t) => {
    const parse = frontend.parse('', 'name').subarray(0, 9)
    parse.writeInt32BE(8, 1)
    await same(t, [[parse], [frontend.parse('SELECT 1', 'name')]])
  })

  await t.test('a name of pgbun’s own is nobody’s', async (t) => {
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
