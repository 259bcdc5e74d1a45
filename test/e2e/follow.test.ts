/**
 * The other side of the leak test: the client that set something finds it again in its later transactions, on whichever
 * server they run, while other clients with state of their own use the same servers; or it stays on one server for as
 * long as the state is there.
 */
import t, { type Test } from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient } from '../fixtures/raw-client.ts'
import { lookAt, preparationSql, rolesSql, type StateKind, setState, stateKinds } from '../fixtures/state-kinds.ts'
import { waitFor } from '../fixtures/wait.ts'

const ROLES = { plain: 'follow_plain', superuser: 'follow_superuser', settled: 'follow_settled' }

/** Uses both servers by turns until told to stop, under settings of its own, and checks that it has them. */
async function churn(client: RawClient, mark: string, going: () => boolean): Promise<void> {
  await client.rows(`SET app.x = '${mark}'`)
  await client.rows(`SET work_mem = '${mark.length + 100}kB'`)
  while (going()) {
    const [row] = await client.rows("SELECT current_setting('app.x'), current_setting('work_mem'), pg_sleep(0.001)")
    if (row![0] !== mark || row![1] !== `${mark.length + 100}kB`) throw new Error(`${mark} found ${row}`)
  }
}

async function followed(t: Test, client: RawClient, state: StateKind): Promise<void> {
  const pids = new Set<string | null>()
  const look = async (): Promise<void> => {
    const found = await lookAt(client, state)
    if (found !== state.seen) t.equal(found, state.seen, 'it is found again')
    pids.add((await client.rows('SELECT pg_backend_pid()'))[0]![0]!)
  }
  if (state.keeps) {
    for (let round = 0; round < 10; round++) await look()
    t.equal(pids.size, 1, 'on the server it has kept')
  } else {
    await waitFor(async () => {
      await look()
      return pids.size > 1
    })
    t.pass('on both servers')
  }
}

t.test('what a client set, it finds again', async (t) => {
  const server = await startPostgres(t, {
    settings: { max_connections: '100' },
    bootstrapSql: [
      ...preparationSql,
      ...rolesSql({ role: undefined }, [ROLES.plain]),
      ...rolesSql({ role: 'superuser' }, [ROLES.superuser]),
      ...rolesSql({ role: 'settled' }, [ROLES.settled]),
    ],
  })
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 2 })
  for (const role of [undefined, 'superuser', 'settled'] as const) {
    const user = ROLES[role ?? 'plain']
    const login = { user, password: user }
    const states = stateKinds.filter(
      (state) => state.role === role && state.lasts !== 'transaction' && !(state.sequence && !state.keeps),
    )
    // From the first question for a sequence's value on, nobody finds another's.
    const asking = await loginRaw(t, pgbun, login)
    t.match(errorOf(await asking.query('SELECT lastval()')), { C: '55000' })
    await asking.end()
    let going = true
    const others = [await loginRaw(t, pgbun, login), await loginRaw(t, pgbun, login)]
    const churning = Promise.all(others.map((client, at) => churn(client, `other ${'x'.repeat(at)}`, () => going)))
    for (const state of states) {
      for (const block of [false, true]) {
        if (block ? state.neverInBlock : state.blockOnly) continue
        await t.test(`${state.name}${block ? ', in a transaction' : ''}`, async (t) => {
          const client = await loginRaw(t, pgbun, { ...login, parameters: state.parameters })
          if (block) await client.query('BEGIN')
          await setState(client, state)
          if (block) await client.rows('COMMIT')
          await followed(t, client, state)
          await client.end()
          // The next may want the same lock, as it could not have it at once on a direct connection either.
          await waitFor(
            async () => (await server.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'")).length === 0,
          )
        })
      }
    }
    going = false
    await churning
  }
  t.notMatch(pgbun.logs(), /lost synchronization|internal error/)
})
