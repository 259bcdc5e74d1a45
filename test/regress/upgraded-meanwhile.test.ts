/**
 * After an upgrade of PostgreSQL on the same port the first new client was greeted with what the old server had reported,
 * and clients that stayed were never told what is another now: drivers choose their SQL by server_version.
 */
import t from 'tap'
import { parse } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { loginRaw, type RawClient } from '../fixtures/raw-client.ts'
import { startScriptedPostgres } from '../fixtures/scripted-postgres.ts'
import { waitFor } from '../fixtures/wait.ts'

const OLD = {
  server_version: '17.6',
  server_encoding: 'SQL_ASCII',
  is_superuser: 'on',
  integer_datetimes: 'off',
  in_hot_standby: 'on',
  default_transaction_read_only: 'on',
  DateStyle: 'ISO, MDY',
}
const NEW = {
  server_version: '18.4',
  server_encoding: 'UTF8',
  is_superuser: 'off',
  integer_datetimes: 'on',
  in_hot_standby: 'off',
  default_transaction_read_only: 'off',
  DateStyle: 'ISO, DMY',
  // Reported from version 18 on.
  search_path: '"$user", public',
}

for (const mode of ['transaction', 'session'] as const) {
  t.test(`${mode} mode`, async (t) => {
    const script: { parameters: Record<string, string> } = { parameters: OLD }
    const server = await startScriptedPostgres(t, script)
    const pgbun = await startPgbun(t, {
      target: server,
      poolMode: mode,
      poolSize: 2,
      args: ['--no-check-functions', '--auth-type', 'trust'],
    })
    const stays = await loginRaw(t, pgbun)
    t.match(stays.session.parameters, OLD)
    if (mode === 'transaction') await stays.query('SELECT 1')
    script.parameters = NEW
    for (const connection of server.connections) connection.cut()
    await waitFor(() => server.connections.every(({ closed }) => closed), { what: 'the old servers to be gone' })
    await pgbun.waitForLog(/server connection (?:lost|closed)/)
    const newcomer = await loginRaw(t, pgbun)
    t.match(newcomer.session.parameters, NEW, 'a newcomer is told of the new server')
    t.match(await told(stays), NEW, 'who stays is told with the next server')
    t.same(await told(stays), {}, 'once')
  })
}

t.test('nobody is greeted where there is no server', async (t) => {
  const server = await startScriptedPostgres(t)
  const pgbun = await startPgbun(t, { target: server, args: ['--auth-type', 'trust', '--no-check-functions'] })
  const client = await loginRaw(t, pgbun)
  await client.query('SELECT 1')
  await server.close()
  await pgbun.waitForLog(/server connection (?:lost|closed)/)
  await t.rejects(loginRaw(t, pgbun), { code: '57P03' })
})

/** What `client` is told about parameters in front of the rows of its next query. */
async function told(client: RawClient): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const { type, body } of await client.query('SELECT 1')) {
    if (type === 'T') break
    const [name, value] = type === 'S' ? parse.strings(body) : []
    if (name !== undefined) found[name] = value!
  }
  return found
}
