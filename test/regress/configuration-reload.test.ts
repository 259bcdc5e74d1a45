/**
 * PostgreSQL was told to read its configuration again while clients held servers: what it reported of that was taken for
 * a setting of whoever had the server, who kept it for good. A default_transaction_read_only that was on for a while
 * left clients behind that could not write any more.
 */
import t from 'tap'
import { type Message, parse } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw, type RawClient } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const NAMES = ['default_transaction_read_only', 'TimeZone', 'IntervalStyle']
const show = async (client: RawClient, name: string): Promise<unknown> => (await client.rows(`SHOW ${name}`))[0]![0]
/** The parameters reported among `messages`. */
function told(messages: Message[]): Record<string, string> {
  const reports = messages.filter(({ type }) => type === 'S')
  return Object.fromEntries(reports.map(({ body }) => parse.strings(body) as [string, string]))
}
const reaches = (client: RawClient, name: string, value: string): Promise<unknown> =>
  waitFor(async () => (await show(client, name)) === value, { what: `${name} = ${value}` })

t.test('a client that goes from server to server', async (t) => {
  const server = await startPostgres(t)
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 2 })
  const [client, third, holder] = [await loginRaw(t, pgbun), await loginRaw(t, pgbun), await loginRaw(t, pgbun)]
  const before = String(await show(client, 'TimeZone'))
  // The first two have used the same server last: whoever comes first gets it again, the other one goes elsewhere.
  await client.query('BEGIN')
  await holder.query('BEGIN')
  await client.query('COMMIT')
  await third.query('SELECT 1')
  await client.query('SELECT 1')
  await holder.query('COMMIT')
  await server.query("ALTER SYSTEM SET TimeZone = 'Europe/Berlin'")
  await server.query('SELECT pg_reload_conf()')
  await reaches(client, 'TimeZone', 'Europe/Berlin')
  await third.query('BEGIN')
  t.equal(await show(client, 'TimeZone'), 'Europe/Berlin')
  await server.query('ALTER SYSTEM RESET TimeZone')
  await server.query('SELECT pg_reload_conf()')
  await reaches(client, 'TimeZone', before)
  await third.query('COMMIT')
  await reaches(third, 'TimeZone', before)
})

for (const mode of ['transaction', 'statement'] as const) {
  t.test(`${mode} mode`, async (t) => {
    const server = await startPostgres(t)
    const pgbun = await startPgbun(t, { target: server, poolMode: mode, poolSize: 1 })
    const afterwards: Record<string, string> = { IntervalStyle: 'sql_standard' }
    if (server.major >= 14) afterwards.default_transaction_read_only = 'on'
    const configure = async (...settings: string[]): Promise<void> => {
      for (const setting of settings) await server.query(`ALTER SYSTEM ${setting}`)
      await server.query('SELECT pg_reload_conf()')
    }
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    const own = await loginRaw(t, pgbun, { parameters: { TimeZone: 'Asia/Tokyo' } })
    await own.query("SET IntervalStyle = 'iso_8601'")
    const [readOnly, zone, interval] = [
      await show(client, NAMES[0]!),
      await show(client, NAMES[1]!),
      'postgres',
    ] as string[]
    await configure(
      'SET default_transaction_read_only = on',
      "SET TimeZone = 'Europe/Berlin'",
      "SET IntervalStyle = 'sql_standard'",
    )
    await reaches(client, NAMES[0]!, 'on')
    t.equal(await show(client, 'TimeZone'), 'Europe/Berlin')
    t.strictSame(
      told(await other.query('SELECT 1')),
      { TimeZone: 'Europe/Berlin', ...afterwards },
      'the others are told',
    )
    t.strictSame(told(await other.query('SELECT 1')), {}, 'once')
    t.equal(await show(other, 'TimeZone'), 'Europe/Berlin')
    t.strictSame(told(await own.query('SELECT 1')).TimeZone, undefined, 'but for what they have set')
    t.equal(await show(own, 'TimeZone'), 'Asia/Tokyo', 'of its startup packet')
    t.equal(await show(own, 'IntervalStyle'), 'iso_8601', 'its own')
    t.equal(await show(client, 'IntervalStyle'), 'sql_standard')
    await own.query('RESET IntervalStyle')
    t.equal(await show(own, 'IntervalStyle'), 'sql_standard', 'back to what is the default now')
    t.equal((await loginRaw(t, pgbun)).session.parameters.TimeZone, 'Europe/Berlin', 'told to who comes')

    await configure(...NAMES.map((name) => `RESET ${name}`))
    await reaches(client, NAMES[0]!, readOnly!)
    for (const each of [client, other, own]) {
      t.equal(await show(each, 'default_transaction_read_only'), 'off', 'nobody keeps it')
      t.equal(await show(each, 'IntervalStyle'), interval)
    }
    t.equal(await show(client, 'TimeZone'), zone)
    t.equal(await show(own, 'TimeZone'), 'Asia/Tokyo')
    await client.rows('CREATE TABLE writable AS SELECT 1')
    // Set by code, and named by no text: the client's all the same.
    await client.rows(
      "CREATE FUNCTION abroad() RETURNS text LANGUAGE sql AS $$ SELECT set_config('TimeZone', 'Asia/Seoul', false) $$",
    )
    await client.rows('SELECT abroad()')
    t.equal(await show(other, 'TimeZone'), zone)
    t.equal(await show(client, 'TimeZone'), 'Asia/Seoul')
  })
}
