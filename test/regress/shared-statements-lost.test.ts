/**
 * Statements that clients share went from a server without pgbun's knowing: by the name they have there, which
 * pg_prepared_statements shows to anybody, or by code. Everybody who came next to that server got an error.
 */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient, rowsOf, typesOf } from '../fixtures/raw-client.ts'

t.test('what becomes of shared statements', async (t) => {
  const server = await startPostgres(t)
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const run = [frontend.bind([], 's'), frontend.execute()]
  const owner = await loginRaw(t, pgbun)
  const use = async (): Promise<unknown> => {
    owner.send(...run, frontend.sync())
    const answers = await owner.readUntil('Z')
    return errorOf(answers).M ?? rowsOf(answers)
  }
  const nameOf = async (client: RawClient): Promise<string> => {
    return (await client.rows("SELECT name FROM pg_prepared_statements WHERE statement = 'SELECT 42'"))[0]![0]!
  }
  owner.send(frontend.parse('SELECT 42', 's'), frontend.sync())
  await owner.readUntil('Z')
  const thief = await loginRaw(t, pgbun)

  await t.test('deallocated by the name it has on the server', async (t) => {
    for (const how of ['query', 'several', 'extended']) {
      t.same(await use(), [['42']])
      const sql = `DEALLOCATE "${await nameOf(thief)}"`
      if (how === 'extended') thief.send(frontend.parse(sql), frontend.bind(), frontend.execute(), frontend.sync())
      else thief.send(frontend.query(how === 'query' ? sql : `SELECT 1; ${sql}; SELECT 2`))
      t.notMatch(typesOf(await thief.readUntil('Z')), 'E')
      t.same(await use(), [['42']], how)
    }
  })

  await t.test('closed by that name: it stays', async (t) => {
    const name = await nameOf(thief)
    thief.send(frontend.close('S', name), frontend.sync())
    t.equal(typesOf(await thief.readUntil('Z')), '3Z')
    t.equal(await nameOf(thief), name)
    t.same(await use(), [['42']])
  })

  for (const code of ["BEGIN EXECUTE 'DEALLOCATE ALL'; END", "BEGIN EXECUTE 'DEALLOCATE ALL'; RAISE 'no'; END"]) {
    await t.test(`deallocated by code: ${code}`, async (t) => {
      const sql = `DO $$ ${code} $$`
      const error = code.includes('RAISE') ? 'no' : undefined
      for (const messages of [
        [frontend.query(sql)],
        [frontend.query(`SELECT 1; ${sql}`)],
        [frontend.parse(sql), frontend.bind(), frontend.execute(), frontend.sync()],
      ]) {
        t.same(await use(), [['42']])
        thief.send(...messages)
        t.equal(errorOf(await thief.readUntil('Z')).M, error)
        t.same(await use(), [['42']])
      }
    })
  }

  await t.test('by code, with what follows in the same breath', async (t) => {
    owner.send(frontend.query('DO $$ BEGIN DEALLOCATE ALL; END $$'), ...run, frontend.sync())
    await owner.readUntil('Z')
    t.same(rowsOf(await owner.readUntil('Z')), [['42']], "the client's own names stay")
    const batch = [frontend.parse('DO $$ BEGIN DEALLOCATE ALL; END $$'), frontend.bind(), frontend.execute()]
    owner.send(...batch, ...run, frontend.sync())
    t.same(rowsOf(await owner.readUntil('Z')), [['42']])
  })
})
