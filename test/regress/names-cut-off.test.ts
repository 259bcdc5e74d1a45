/**
 * PostgreSQL knows 63 bytes of the name of a role or database. The same role by a longer name had pools, guesses and limits
 * of its own: `max_user_connections`, `max_db_connections` and `login_failure_delay` did not hold.
 */
import t from 'tap'
import { nameInServer } from '../../lib/protocol/startup.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'

const ROLE = 'r'.repeat(63)
const DATABASE = 'd'.repeat(63)

t.test('names that are cut off', async (t) => {
  const target = await startPostgres(t, { bootstrapSql: [`CREATE ROLE ${ROLE} LOGIN REPLICATION PASSWORD 'secret'`] })
  await target.query(`CREATE DATABASE ${DATABASE}`)
  const as = (more: string, password = 'secret') => ({ user: ROLE + more, password, database: DATABASE })
  const direct = await loginRaw(t, target, as('more'))
  t.same(await direct.rows('SELECT session_user, current_database()'), [[ROLE, DATABASE]], 'as PostgreSQL has them')
  await direct.end()

  await t.test('share a pool', async (t) => {
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
    const pids = new Set<string | null>()
    for (const more of ['', 'x', 'yy']) {
      const client = await loginRaw(t, pgbun, { ...as(more), database: DATABASE + more })
      pids.add((await client.rows('SELECT pg_backend_pid()'))[0]![0]!)
    }
    t.equal(pids.size, 1)
    const walsender = await loginRaw(t, pgbun, { ...as('x'), parameters: { replication: 'database' } })
    t.same((await walsender.rows('SHOW work_mem')).length, 1)
    await walsender.end()
  })

  await t.test('and the patience with guesses', async (t) => {
    const pgbun = await startPgbun(t, { target, args: ['--login-failure-delay', '1h'] })
    let refused = 0
    for (let i = 0; i < 10; i++) {
      loginRaw(t, pgbun, as(String(i), 'wrong')).catch(() => refused++)
    }
    await new Promise((resolve) => setTimeout(resolve, 1000))
    t.ok(refused < 7, `${refused} of 10 were looked at`)
  })
})

t.test('what PostgreSQL makes of a name', async (t) => {
  for (const name of ['', 'a', 'a'.repeat(63), 'ä'.repeat(31), '\ufffd'.repeat(21)]) t.equal(nameInServer(name), name)
  t.equal(nameInServer('a'.repeat(64)), 'a'.repeat(63))
  t.equal(nameInServer(`a${'ä'.repeat(32)}`), `a${'ä'.repeat(31)}`)
  t.equal(nameInServer('\ufffd'.repeat(22)), '\ufffd'.repeat(21))
  t.equal(nameInServer('ä'.repeat(32)), 'ä'.repeat(32), 'cut within a character: PostgreSQL has no such name')
})
