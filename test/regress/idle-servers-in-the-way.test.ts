/**
 * DROP DATABASE, ALTER DATABASE … RENAME TO and SET TABLESPACE, and CREATE DATABASE of a template failed because of idle
 * connections of the pool that nobody used: test runners, dropdb and createdb do not know of them.
 */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { type Pgbun, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient } from '../fixtures/raw-client.ts'

t.test('statements that want nobody connected to a database', async (t) => {
  const bootstrapSql = ["CREATE ROLE other LOGIN PASSWORD 'other'"]
  const target = await startPostgres(t, { bootstrapSql })
  /** Leaves idle servers of two users behind. */
  const use = async (pgbun: Pgbun, database: string): Promise<void> => {
    for (const login of [{}, { user: 'other', password: 'other' }]) {
      const client = await loginRaw(t, pgbun, { ...login, database })
      await client.rows('SELECT 1')
      await client.end()
    }
  }
  const simple = async (client: RawClient, sql: string) => errorOf(await client.query(sql))
  const extended = async (client: RawClient, sql: string) => {
    client.send(frontend.parse(sql), frontend.bind(), frontend.describe('P'), frontend.execute(), frontend.sync())
    return errorOf(await client.readUntil('Z'))
  }
  const named = async (client: RawClient, sql: string) => {
    client.send(frontend.parse(sql, 'mine'), frontend.sync())
    await client.readUntil('Z')
    client.send(frontend.bind([], 'mine'), frontend.execute(), frontend.sync())
    const found = errorOf(await client.readUntil('Z'))
    client.send(frontend.close('S', 'mine'), frontend.sync())
    await client.readUntil('Z')
    return found
  }
  for (const mode of ['transaction', 'session'] as const) {
    const args = ['--min-pool-size', '1']
    const pgbun = await startPgbun(t, { target, poolMode: mode, args })
    const admin = await loginRaw(t, pgbun)
    for (const [protocol, run] of Object.entries({ simple, extended, named })) {
      const cases: [string, string, string][] = [
        ['DROP DATABASE', 'busy', 'drop /* now */ database busy;'],
        ['IF EXISTS, a quoted name', 'My "Db"', '-- x\n;DROP DATABASE IF EXISTS "My ""Db"""'],
        ['letters outside of ASCII', 'grün', 'DROP DATABASE grün'],
        ['WITH (FORCE)', 'busy', 'DROP DATABASE busy WITH (FORCE)'],
        ['RENAME', 'busy', 'ALTER DATABASE Busy RENAME TO renamed'],
        ['SET TABLESPACE', 'busy', 'ALTER DATABASE busy SET TABLESPACE pg_default'],
        ['TEMPLATE', 'busy', 'CREATE DATABASE copied WITH OWNER postgres TEMPLATE = busy'],
        ['TEMPLATE as a constant', 'busy', "CREATE DATABASE copied TEMPLATE 'busy' STRATEGY wal_log"],
        ['the default template', 'template1', 'CREATE DATABASE copied'],
      ]
      for (const [name, database, sql] of cases) {
        if (sql.includes('STRATEGY') && target.major < 15) continue
        await t.test(`${name}, ${protocol}, ${mode} mode`, async (t) => {
          if (database !== 'template1') await target.query(`CREATE DATABASE "${database.replaceAll('"', '""')}"`)
          await use(pgbun, database)
          // A client that is connected and holds no server gives min_pool_size a reason to open one.
          const idle = mode === 'transaction' ? await loginRaw(t, pgbun, { database }) : undefined
          t.match(await run(admin, sql), {}, 'no error')
          await idle?.end()
          await target.query('DROP DATABASE IF EXISTS copied')
          await target.query('DROP DATABASE IF EXISTS renamed')
          await target.query('DROP DATABASE IF EXISTS busy WITH (FORCE)')
        })
      }
    }
    await t.test(`${mode} mode: whoever may not, has nothing closed`, async (t) => {
      await target.query('CREATE DATABASE busy')
      const client = await loginRaw(t, pgbun, { database: 'busy' })
      const [[pid]] = (await client.rows('SELECT pg_backend_pid()')) as [[string]]
      await client.end()
      const stranger = await loginRaw(t, pgbun, { user: 'other', password: 'other', database: 'postgres' })
      t.match(errorOf(await stranger.query('DROP DATABASE busy')), { C: '42501' })
      t.match(errorOf(await stranger.query('CREATE DATABASE copied TEMPLATE busy')), { C: '42501' })
      const next = await loginRaw(t, pgbun, { database: 'busy' })
      t.same(await next.rows('SELECT pg_backend_pid()'), [[pid]])
      t.match(
        errorOf(await admin.query('DROP DATABASE busy; SELECT 1')),
        { C: '25001' },
        'PostgreSQL refuses that itself',
      )
      await next.end()
      await admin.query('DROP DATABASE busy')
    })
  }
})
