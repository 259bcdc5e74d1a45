/**
 * A login that was not gone on with held its place among `max_client_conn` for `client_login_timeout`: a stranger with as
 * many connections, and no password, kept everybody else out.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import t, { type Test } from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { connectRaw, loginRaw, type RawClient } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const PLACES = 6
/** On Linux all of 127.0.0.0/8 is this machine. */
const STRANGER = '127.0.0.2'
const skip = process.platform === 'linux' ? false : 'one loopback address'

t.test('logins that tarry', { skip }, async (t) => {
  const target = await startPostgres(t, { bootstrapSql: ["CREATE ROLE alice LOGIN PASSWORD 'wonderland'"] })
  const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-tarry-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const authFile = path.join(dir, 'users.txt')
  writeFileSync(authFile, '"alice" "wonderland"\n', { mode: 0o600 })
  const alice = { user: 'alice', password: 'wonderland' }
  const scram = ['--auth-type', 'scram-sha-256', '--auth-file', authFile]
  const nothing = (): void => {}
  const ways: Record<string, [args: string[], send: (client: RawClient) => void]> = {
    'at the password': [[], nothing],
    'at the first message of SCRAM': [scram, nothing],
    'behind it': [scram, (client) => client.send(frontend.saslInitial('SCRAM-SHA-256', 'n,,n=,r=abcdefgh'))],
    'behind wrong passwords': [['--login-failure-delay', '1h'], (client) => client.send(frontend.password('guess'))],
  }
  for (const [way, [args, send]] of Object.entries(ways)) {
    await t.test(way, async (t) => {
      const limit = ['--max-client-conn', String(PLACES)]
      const pgbun = await startPgbun(t, { target, poolMode: 'transaction', args: [...limit, ...args] })
      const member = await loginRaw(t, pgbun, alice)
      const strangers: RawClient[] = []
      for (let i = 0; i < 2 * PLACES; i++) {
        const client = await connectRaw(t, { port: pgbun.port, localAddress: STRANGER })
        client.send(frontend.startup({ user: 'alice', database: 'postgres' }))
        send(client)
        strangers.push(client)
      }
      await waitFor(() => strangers.filter(({ closed }) => closed).length > PLACES, { what: 'the oldest to go' })
      const more = await alicesOwn(t, pgbun)
      t.same(await member.rows('SELECT 1'), [['1']], 'who was in stays')
      const last = await connectRaw(t, pgbun)
      last.send(frontend.startup({ user: 'alice', database: 'postgres' }))
      const { C, M } = await last.expectFatal()
      t.match({ C, M }, { C: '53300', M: /max_client_conn/ }, 'all places are taken by those who are in')
      for (const client of more) t.same(await client.rows('SELECT 2'), [['2']])
    })
  }

  async function alicesOwn(t: Test, address: { port: number }): Promise<RawClient[]> {
    const clients: RawClient[] = []
    for (let i = 1; i < PLACES; i++) clients.push(await loginRaw(t, address, alice))
    return clients
  }
})
