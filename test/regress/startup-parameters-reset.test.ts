/**
 * After RESET, DISCARD ALL and the like of a parameter that the startup packet had set, the client was told the server's
 * default and then had what its startup packet says: drivers decoded by the wrong client_encoding. And parameters in
 * `options` took precedence over those of the packet.
 */
import t from 'tap'
import { frontend, type Message, parse } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw, type RawClient, rowsOf } from '../fixtures/raw-client.ts'

const parameters = { client_encoding: 'latin1', TimeZone: 'Asia/Tokyo', DateStyle: 'German' }

function told(messages: Message[]): string[] {
  return messages.filter(({ type }) => type === 'S').map(({ body }) => parse.strings(body).slice(0, 2).join('='))
}

/** What the client believes after each text, and what holds. */
async function run(client: RawClient, texts: readonly string[], at: Record<string, string>): Promise<unknown[]> {
  const seen: unknown[] = []
  const believed = { ...at }
  const note = (messages: Message[]): void => {
    for (const pair of told(messages)) believed[pair.slice(0, pair.indexOf('='))] = pair.slice(pair.indexOf('=') + 1)
  }
  const names = Object.keys(parameters)
  for (const text of texts) {
    client.send(frontend.query(text))
    const messages = await client.readUntil('Z')
    note(messages)
    const block = messages.at(-1)!.body.toString() !== 'I'
    if (block) continue
    client.send(frontend.query(`SELECT ${names.map((name) => `current_setting('${name}')`).join(', ')}`))
    const answer = await client.readUntil('Z')
    // Told behind the end of a block.
    note(
      answer.slice(
        0,
        answer.findIndex(({ type }) => type === 'T'),
      ),
    )
    const found = rowsOf(answer)[0]!
    seen.push([text, found])
    for (const [i, name] of names.entries())
      if (believed[name] !== found[i]) seen.push(`${text}: ${name} is ${found[i]}, not ${believed[name]}`)
  }
  return seen
}

t.test('what a client is told is what it has', async (t) => {
  const server = await startPostgres(t)
  const pgbuns = {
    transaction: await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 }),
    session: await startPgbun(t, { target: server, poolMode: 'session', poolSize: 4 }),
  }
  const scripts = [
    ['RESET ALL'],
    ['DISCARD ALL'],
    ['RESET client_encoding', 'RESET TimeZone'],
    ['SET client_encoding TO DEFAULT', 'SET TIME ZONE LOCAL'],
    ['SET NAMES', 'RESET TIME ZONE'],
    ["SET TimeZone = 'UTC'", 'RESET TimeZone'],
    ["SET TimeZone = 'Europe/Paris'", 'SET TIME ZONE DEFAULT'],
    ["SET TimeZone = 'Europe/Paris'; RESET TimeZone"],
    ["SET client_encoding = 'UTF8'; SELECT 1", 'RESET DateStyle'],
    ['BEGIN', 'RESET TimeZone', 'ROLLBACK'],
    ['BEGIN', 'SELECT 1', 'COMMIT', 'RESET ALL', 'RESET ALL'],
    ['DO $$ BEGIN RESET TimeZone; END $$'],
  ]
  for (const [mode, pgbun] of Object.entries(pgbuns)) {
    for (const texts of scripts) {
      const direct = await loginRaw(t, server, { parameters })
      const client = await loginRaw(t, pgbun, { parameters })
      const expected = await run(direct, texts, direct.session.parameters)
      t.strictSame(await run(client, texts, client.session.parameters), expected, `${mode}: ${texts.join('; ')}`)
      await direct.end()
      await client.end()
    }
    const client = await loginRaw(t, pgbun, { parameters })
    t.strictSame(told(await client.query('RESET ALL')), [], 'nothing has changed')
    await client.query('BEGIN')
    const [usual] = await server.query("SELECT reset_val FROM pg_settings WHERE name = 'TimeZone'")
    t.strictSame(told(await client.query('RESET TimeZone')), [`TimeZone=${usual.reset_val}`])
    await client.query('COMMIT')
    t.strictSame(told(await client.query('SELECT 1')), ['TimeZone=Asia/Tokyo'], 'behind the end of the block')
    await client.end()
  }
})

t.test('parameters of the packet take precedence over `options`', async (t) => {
  const server = await startPostgres(t)
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const packets: Record<string, string>[] = [
    { DateStyle: 'German', options: '-c datestyle=ISO,YMD -c work_mem=111' },
    { options: '-c DateStyle=ISO,YMD -c work_mem=111', datestyle: 'SQL, DMY' },
  ]
  for (const parameters of packets) {
    const look = "SELECT current_setting('datestyle'), current_setting('work_mem')"
    const direct = await loginRaw(t, server, { parameters })
    const client = await loginRaw(t, pgbun, { parameters })
    t.strictSame(await client.rows(look), await direct.rows(look))
  }
})
