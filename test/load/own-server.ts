/** A PostgreSQL and a pgbun in front of it, for a run that has not been told where to go. */
import { createPooler } from '../../lib/index.ts'
import { totals } from '../../lib/observe/snapshot.ts'
import { startPostgres, type Teardown } from '../fixtures/postgres.ts'
import type { Address, LoadArguments } from './arguments.ts'
import { type Counters, ownCounters } from './counters.ts'
import { TABLES } from './set-up.ts'

/** Clients beside those of the run: who makes the tables and who looks which mode it is. */
const FURTHER = 10

/** Starts both; they end with `owner`. @throws Error naming what cannot be started, a wrong option of pgbun for one */
export async function startOwn(
  owner: Teardown,
  { mode, poolSize, concurrency }: LoadArguments,
): Promise<{ address: Address; counters: Counters }> {
  const postgres = await startPostgres(owner, { settings: { max_connections: String(poolSize + 20) } })
  // Not through pgbun: what follows a change of tables there is no part of the run.
  await postgres.query(TABLES)
  const pooler = await createPooler({
    listenHost: '127.0.0.1',
    listenPort: 0,
    serverHost: postgres.host,
    serverPort: postgres.port,
    poolMode: mode,
    poolSize,
    maxClientConn: concurrency + FURTHER,
    logLevel: 'error',
  })
  owner.teardown(() => pooler.close({ timeoutMs: 1000 }))
  const { address: listening } = pooler
  if (typeof listening === 'string') throw new Error(`pgbun listens on the socket ${listening}`)
  const { user, password, database } = postgres
  return {
    address: { host: listening.host, port: listening.port, user, password, database },
    counters: ownCounters(() => {
      const { leases, opened } = totals(pooler.snapshot())
      return { leases, opened }
    }),
  }
}
