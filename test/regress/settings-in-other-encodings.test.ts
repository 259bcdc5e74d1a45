/**
 * Values outside of ASCII were read as UTF-8 whatever the client's encoding: given to the next server, they ended their
 * client with 22P05.
 */
import t, { type Test } from 'tap'
import { type Message, message } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { type Address, loginRaw } from '../fixtures/raw-client.ts'

const query = (sql: string, encoding: BufferEncoding): Buffer => message('Q', Buffer.from(`${sql}\0`, encoding))
const rowOf = (messages: Message[]): string => {
  return messages
    .find(({ type }) => type === 'D')!
    .body.subarray(6)
    .toString('latin1')
}

async function values(
  t: Test,
  address: Address,
  database: string,
  client_encoding: string,
  encoding: BufferEncoding,
): Promise<string[]> {
  const found: string[] = []
  for (const [set, show] of [
    ["SET app.name = 'Müller'", "SELECT current_setting('app.name')"],
    ["SELECT set_config('app.name', 'Müller', false)", "SELECT current_setting('app.name')"],
    ['SET search_path = "schüma"', 'SHOW search_path'],
    ["BEGIN; SET app.name = 'Müller'; COMMIT", "SELECT current_setting('app.name')"],
  ]) {
    const client = await loginRaw(t, address, { database, parameters: { client_encoding } })
    client.send(query(set!, encoding))
    await client.readUntil('Z')
    const other = await loginRaw(t, address, { database })
    await other.rows("SET app.name = 'other'")
    for (let i = 0; i < 2; i++) {
      client.send(query(show!, encoding))
      found.push(rowOf(await client.readUntil('Z')))
    }
    await client.end()
    await other.rows('SHOW search_path')
    await other.end()
  }
  return found
}

t.test('values in the encoding of their client', async (t) => {
  const server = await startPostgres(t)
  await server.query("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 2 })
  t.strictSame(
    await values(t, pgbun, 'postgres', 'LATIN1', 'latin1'),
    await values(t, server, 'postgres', 'LATIN1', 'latin1'),
  )
  t.match(pgbun.logs(), /keeps its server.*another encoding/)
  t.strictSame(await values(t, pgbun, 'ascii', 'UTF8', 'utf8'), await values(t, server, 'ascii', 'UTF8', 'utf8'))
  t.strictSame(await values(t, pgbun, 'postgres', 'UTF8', 'utf8'), await values(t, server, 'postgres', 'UTF8', 'utf8'))
  t.notMatch(pgbun.logs(), /WARN|ERROR/)
})

t.test('session_state = reset takes them away', async (t) => {
  const server = await startPostgres(t)
  const args = ['--session-state', 'reset']
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1, args })
  for (const [set, show, usual] of [
    ["SET app.name = 'Müller'", "SELECT nullif(current_setting('app.name', true), '')", null],
    ['SET search_path = "schüma"', 'SHOW search_path', '"$user", public'],
  ]) {
    const client = await loginRaw(t, pgbun, { parameters: { client_encoding: 'LATIN1' } })
    client.send(query(set!, 'latin1'))
    await client.readUntil('Z')
    t.strictSame(await client.rows(show!), [[usual]])
    const other = await loginRaw(t, pgbun)
    t.strictSame(await other.rows(show!), [[usual]])
    await client.end()
    await other.end()
  }
})
