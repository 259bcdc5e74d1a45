/**
 * State that a function called from SELECT leaves in its session: neither the text of the statement nor its command tag
 * tells of it, and pgbun has asked PostgreSQL which functions do so. Whatever becomes of it for its own client, the next client on the same server must not find it.
 */
import t from 'tap'
import { functionsKnown } from '../fixtures/functions-known.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient } from '../fixtures/raw-client.ts'
import { differences, dumpSession } from '../fixtures/session-dump.ts'
import { waitFor } from '../fixtures/wait.ts'

interface Hidden {
  name: string
  /** The body of a PL/pgSQL function that returns void. */
  body: string
  /** It keeps its client on its server. */
  keeps?: boolean
}

const HIDDEN: Hidden[] = [
  { name: 'a parameter that PostgreSQL reports', body: "SET DateStyle = 'German, DMY'" },
  { name: 'a parameter of an application’s', body: "PERFORM set_config('app.hidden', '1', false)" },
  { name: 'a parameter of PostgreSQL’s', body: "SET work_mem = '77MB'" },
  { name: 'a role', body: 'SET ROLE other' },
  { name: 'a temporary table', body: 'CREATE TEMP TABLE hidden (x int)', keeps: true },
  { name: 'an advisory lock', body: 'PERFORM pg_advisory_lock(42)', keeps: true },
  { name: 'a channel', body: 'LISTEN hidden', keeps: true },
  { name: 'a prepared statement', body: "EXECUTE 'PREPARE mine AS SELECT 1'", keeps: true },
  { name: 'a cursor WITH HOLD', body: "EXECUTE 'DECLARE mine CURSOR WITH HOLD FOR SELECT 1'", keeps: true },
]

const ENDINGS: [string, (client: RawClient) => unknown][] = [
  ['it stays', () => {}],
  ['Terminate', (client) => client.end()],
  ['a closed socket', (client) => client.destroy()],
]

t.test('what a function leaves behind', async (t) => {
  const user = (at: number): string => `hidden_${at}`
  const server = await startPostgres(t, {
    bootstrapSql: [
      'CREATE ROLE other',
      ...HIDDEN.flatMap(({ body }, at) => [
        `CREATE ROLE ${user(at)} LOGIN PASSWORD '${user(at)}'`,
        `GRANT other TO ${user(at)}`,
        `CREATE FUNCTION leave_${at}() RETURNS void LANGUAGE plpgsql AS $$ BEGIN ${body}; END $$`,
      ]),
    ],
  })
  for (const mode of ['session', 'transaction', 'statement'] as const) {
    const pgbun = await startPgbun(t, { target: server, poolMode: mode, poolSize: 1 })
    await functionsKnown(pgbun, server)
    for (const [at, { name, keeps }] of HIDDEN.entries()) {
      const login = { user: user(at), password: user(at) }
      const direct = await loginRaw(t, server, login)
      const fresh = await dumpSession(direct, server.major)
      await direct.end()
      for (const [ending, act] of ENDINGS) {
        if (mode === 'session' && ending === 'it stays') continue
        const client = await loginRaw(t, pgbun, login)
        const next = await loginRaw(t, pgbun, login)
        const pid = (await client.rows('SELECT pg_backend_pid()'))[0]![0]
        t.match(errorOf(await client.query(`SELECT leave_${at}()`)), {}, name)
        await act(client)
        if (keeps && ending === 'it stays') {
          t.not(differences(fresh, await dumpSession(client, server.major)).length, 0, 'its client keeps it')
          await client.end()
        }
        const found = differences(fresh, await dumpSession(next, server.major))
        t.same(found, [], `${mode}, ${name}, ${ending}: the next client has a fresh session`)
        t.same(await next.rows('SELECT pg_backend_pid()'), [[pid]], 'on the same server')
        if (!keeps && ending === 'it stays') {
          t.not(differences(fresh, await dumpSession(client, server.major)).length, 0, 'it follows its own client')
        }
        // The next case shall not find what this one left.
        await server.query('SELECT pg_terminate_backend($1)', [pid])
        await waitFor(
          async () => (await server.query('SELECT 1 FROM pg_stat_activity WHERE pid = $1', [pid])).length === 0,
        )
        client.destroy()
        next.destroy()
      }
    }
    await pgbun.stop('SIGKILL')
  }
})
