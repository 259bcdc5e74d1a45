/**
 * A client that had set a parameter to the very value it had by default, or asked for that in its startup packet, got
 * another one when PostgreSQL's configuration was reloaded; or it kept its own and was told otherwise.
 */
import t from 'tap'
import { parse } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw, rowsOf } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

for (const size of [1, 2]) {
  t.test(`${size} servers`, async (t) => {
    const server = await startPostgres(t, { settings: { timezone: 'UTC' } })
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: size })
    const login = async (parameters: Record<string, string>) => {
      const client = await loginRaw(t, pgbun, { parameters })
      let told = client.session.parameters.TimeZone
      const run = async (sql: string): Promise<unknown> => {
        const messages = await client.query(sql)
        for (const { type, body } of messages) {
          const [name, value] = type === 'S' ? parse.strings(body) : []
          if (name === 'TimeZone') told = value
        }
        return rowsOf(messages)[0]?.[0]
      }
      return { run, look: async () => [await run('SHOW TimeZone'), told] }
    }
    const ways: Record<string, [Record<string, string>, string]> = {
      'SET TimeZone': [{}, "SET TimeZone = 'UTC'"],
      'SET TIME ZONE': [{}, "SET TIME ZONE 'UTC'"],
      'the startup packet': [{ TimeZone: 'UTC' }, 'SELECT 1'],
      'the startup packet and SET': [{ TimeZone: 'UTC' }, "SET SESSION timezone TO 'UTC'"],
    }
    const clients = await Promise.all(Object.values(ways).map(([parameters]) => login(parameters)))
    const other = await login({})
    for (const [i, [, sql]] of Object.values(ways).entries()) await clients[i]!.run(sql)
    for (const zone of ['Europe/Berlin', 'Asia/Tokyo']) {
      await server.query(`ALTER SYSTEM SET TimeZone = '${zone}'`)
      await server.query('SELECT pg_reload_conf()')
      // Whose query has a server read its configuration has it run under what it finds there.
      for (let round = 0; round < 2; round++) for (const client of clients) await client.run('SELECT 1')
      await waitFor(async () => (await other.run('SHOW TimeZone')) === zone, { what: 'the reload' })
      for (const { run } of clients) await run('SELECT 1')
      for (const [i, way] of Object.keys(ways).entries()) t.same(await clients[i]!.look(), ['UTC', 'UTC'], way)
      t.same(await other.look(), [zone, zone], 'who wants nothing')
    }
    await clients[0]!.run('RESET TimeZone')
    t.same(await clients[0]!.look(), ['Asia/Tokyo', 'Asia/Tokyo'], 'a RESET goes to the new default')
  })
}
