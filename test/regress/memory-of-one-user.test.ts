/** One user fills the memory for prepared statements: the others go on. */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient, rowsOf } from '../fixtures/raw-client.ts'

t.test('memory for prepared statements', async (t) => {
  const target = await startPostgres(t)
  const owner = await loginRaw(t, target)
  for (const role of ['greedy', 'modest', 'late']) await owner.query(`CREATE ROLE ${role} LOGIN PASSWORD '${role}'`)
  const args = ['--max-prepared-statement-memory', '4MB']
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 2, args })
  const login = async (user: string): Promise<RawClient> => loginRaw(t, pgbun, { user, password: user })
  const prepare = async (client: RawClient, name: string, sql: string): Promise<Record<string, string>> => {
    client.send(frontend.parse(sql, name), frontend.bind([], name), frontend.execute(), frontend.sync())
    const answers = await client.readUntil('Z')
    const error = errorOf(answers)
    if (error.C === undefined) t.equal(rowsOf(answers).length, 1)
    return error
  }
  /** How many statements of `size` bytes clients of `user` may have; the last error is of the second client. */
  const fill = async (user: string, size: number): Promise<number> => {
    let count = 0
    for (let clients = 0; clients < 2; clients++) {
      const client = await login(user)
      for (let full = false; !full; count++) {
        const error = await prepare(client, `s${count}`, `SELECT '${user} ${count}' /* ${'x'.repeat(size)} */`)
        full = error.C !== undefined
        if (full) {
          t.match(error, { S: 'ERROR', C: '53400', M: /of this user.*\(max_prepared_statement_memory\)/ })
          count--
        }
      }
    }
    return count
  }

  const first = await login('modest')
  t.same(await prepare(first, 'before', 'SELECT 1'), {})
  const greedy = await fill('greedy', 50_000)
  t.ok(greedy > 30 && greedy <= 40, `${greedy} statements of 50 kB in half of 4 MB`)
  t.same(await prepare(first, 'after', 'SELECT 2'), {})
  const modest = await fill('modest', 50_000)
  t.ok(modest > 10 && modest <= 20, `${modest}`)
  const late = await login('late')
  for (let i = 0; i < 50; i++) t.same(await prepare(late, `s${i}`, `SELECT ${i} /* ${'y'.repeat(1000)} */`), {})
  const again = await login('greedy')
  t.match(await prepare(again, 'a', `SELECT 3 /* ${'z'.repeat(50_000)} */`), { C: '53400' })
})
