/**
 * A client that held no server when PostgreSQL's configuration was reloaded, or its role altered, worked under the new
 * defaults without having been told of them, as it would have been on a connection of its own: drivers read dates by
 * them. In session mode new clients were greeted with defaults of the past.
 */
import t from 'tap'
import { type Message, parse } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw, rowsOf } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const NAMES = ['DateStyle', 'IntervalStyle', 'TimeZone', 'default_transaction_read_only', 'search_path']
const LOOK = `SELECT ${NAMES.map((name) => `current_setting('${name}')`).join(', ')}`

for (const mode of ['transaction', 'session'] as const) {
  t.test(`${mode} mode`, async (t) => {
    const server = await startPostgres(t)
    const pgbun = await startPgbun(t, { target: server, poolMode: mode, poolSize: 5 })
    const login = async (parameters?: Record<string, string>) => {
      const client = await loginRaw(t, pgbun, parameters && { parameters })
      const believed = client.session.parameters
      const note = (messages: Message[]): void => {
        for (const { type, body } of messages) {
          const [name, value] = type === 'S' ? parse.strings(body) : []
          if (name !== undefined) believed[name] = value!
        }
      }
      const rows = async (sql: string): Promise<(string | null)[][]> => {
        const messages = await client.query(sql)
        note(messages)
        return rowsOf(messages)
      }
      /** What it believes, and what holds. */
      const look = async (): Promise<unknown[]> => {
        const [row] = await rows(LOOK)
        return [NAMES.map((name) => believed[name]), row]
      }
      return { client, rows, look }
    }
    const configure = async (...settings: string[]): Promise<void> => {
      const load = 'SELECT pg_conf_load_time()'
      const [before] = await worker.rows(load)
      for (const setting of settings) await server.query(`ALTER SYSTEM ${setting}`)
      await server.query('SELECT pg_reload_conf()')
      await waitFor(async () => String(await worker.rows(load)) !== String(before), { what: 'a reload' })
    }
    const [worker, idle, own] = [await login(), await login(), await login({ TimeZone: 'Asia/Tokyo' })]
    await own.rows("SET IntervalStyle = 'iso_8601'")
    const check = async (when: string): Promise<void> => {
      const newcomer = await login()
      for (const [who, { look }] of Object.entries({ worker, idle, own, newcomer })) {
        // What a server hears of while it runs the query, its client is told behind the rows: the second look is sure.
        await look()
        const [believed, holds] = await look()
        t.same(believed, holds, `${who}, ${when}`)
      }
      await newcomer.client.end()
    }
    await check('at first')
    await configure("SET DateStyle = 'German'", "SET IntervalStyle = 'sql_standard'", "SET TimeZone = 'Europe/Berlin'")
    await check('after a reload')
    await own.rows('RESET IntervalStyle')
    await check('after a reset')
    await configure('RESET ALL')
    await check('after another')
    await worker.rows('ALTER ROLE postgres SET search_path = pg_catalog')
    await check('after an ALTER ROLE')
  })
}
