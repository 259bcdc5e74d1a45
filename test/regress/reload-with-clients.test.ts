/** A reload while clients are connected: what it changes must not work against those who are there. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import t from 'tap'
import { createPooler, type Pooler, type PoolerOptions } from '../../lib/index.ts'
import { startPostgres, type Teardown, type TestPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

async function start(t: Teardown, server: TestPostgres, options: PoolerOptions) {
  const { host: serverHost, port: serverPort } = server
  const common = { listenHost: '127.0.0.1', listenPort: 0, serverHost, serverPort, poolMode: 'transaction' } as const
  const pooler: Pooler = await createPooler({ ...common, ...options }, { logger: false })
  t.teardown(() => pooler.close({ timeoutMs: 0 }))
  return { pooler, address: { host: '127.0.0.1', port: (pooler.address as { port: number }).port } }
}

t.test('PostgreSQL', async (t) => {
  const server = await startPostgres(t)

  await t.test('from transaction to session mode: who shares servers leaves nothing unseen on them', async (t) => {
    await server.query(
      `CREATE FUNCTION leave() RETURNS void LANGUAGE plpgsql AS $$
       BEGIN PERFORM set_config('work_mem', '7MB', false); END $$`,
    )
    const { pooler, address } = await start(t, server, { poolSize: 1 })
    const [client, other] = [await loginRaw(t, address), await loginRaw(t, address)]
    const before = await other.rows('SHOW work_mem')
    await pooler.reload({ poolMode: 'session' })
    await client.query('SELECT leave()')
    t.strictSame(await other.rows('SHOW work_mem'), before)
    await client.query('SELECT leave()')
    const session = await loginRaw(t, address)
    t.strictSame(await session.rows('SHOW work_mem'), before)
  })

  await t.test('a new password in auth_file is used for clients that are connected', async (t) => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-userlist-'))
    t.teardown(() => rmSync(dir, { recursive: true, force: true }))
    const authFile = path.join(dir, 'users')
    writeFileSync(authFile, '"app" "old"\n')
    await server.query("CREATE ROLE app LOGIN PASSWORD 'old'")
    const { pooler, address } = await start(t, server, { authFile })
    const client = await loginRaw(t, address, { user: 'app', password: 'old', database: 'postgres' })
    await client.query('SELECT 1')
    await server.query("ALTER ROLE app PASSWORD 'new'")
    writeFileSync(authFile, '"app" "new"\n')
    await pooler.reload({})
    await server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
    await waitFor(() => pooler.snapshot().servers.length === 0, { what: 'the end of its server' })
    t.strictSame(await client.rows('SELECT 2'), [['2']])
  })
})
