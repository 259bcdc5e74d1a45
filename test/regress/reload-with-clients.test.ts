/** A reload while clients are connected: what it changes must not work against those who are there. */
import t from 'tap'
import { createPooler, type Pooler, type PoolerOptions } from '../../lib/index.ts'
import { startPostgres, type Teardown, type TestPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'

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
})
