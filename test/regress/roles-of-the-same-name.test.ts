/**
 * A role that was dropped and made anew got "invalid role OID" and "permission denied" from connections of the old one,
 * and the old one's password still let in; so did one that was changed, and one of a role that may not log in any more.
 */
import t, { type Test } from 'tap'
import { type Pgbun, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

t.test('roles of the same name', async (t) => {
  const target = await startPostgres(t)
  const make = (password: string) =>
    `CREATE ROLE app LOGIN PASSWORD '${password}'; GRANT SELECT ON secrets TO app; GRANT CONNECT ON DATABASE mine TO app`
  await target.query('CREATE TABLE secrets AS SELECT 1 AS a')
  await target.query('CREATE DATABASE mine')
  await target.query('REVOKE CONNECT ON DATABASE mine FROM PUBLIC')
  const login = (password: string, database = 'postgres') => ({ user: 'app', password, database })
  const drop = 'DROP OWNED BY app; DROP ROLE app'
  /** Leaves idle servers, and a proof of the password, in two databases. */
  const use = async (pgbun: Pgbun, password: string): Promise<void> => {
    for (const database of ['postgres', 'mine']) {
      const client = await loginRaw(t, pgbun, login(password, database))
      await client.rows('SELECT 1')
      await client.end()
    }
  }
  const works = async (t: Test, pgbun: Pgbun, password: string): Promise<void> => {
    const client = await loginRaw(t, pgbun, login(password))
    t.same(await client.rows('SELECT session_user, a FROM secrets'), [['app', '1']])
    await client.end()
    const other = await loginRaw(t, pgbun, login(password, 'mine'))
    t.same(await other.rows('SELECT session_user'), [['app']])
    await other.end()
  }
  for (const mode of ['transaction', 'session'] as const) {
    const pgbun = await startPgbun(t, { target, poolMode: mode })
    const through = await loginRaw(t, pgbun)
    const past = await target.connect()
    const ways: Record<string, (sql: string) => Promise<unknown>> = {
      'through pgbun': async (sql) => {
        for (const each of sql.split('; ')) t.match(errorOf(await through.query(each)), {}, each)
      },
      'past pgbun': (sql) => past.query(sql),
    }
    for (const [way, run] of Object.entries(ways)) {
      await t.test(`another password, ${way}, ${mode} mode`, async (t) => {
        await target.query(make('old'))
        await use(pgbun, 'old')
        await run(drop)
        await run(make('new'))
        await works(t, pgbun, 'new')
        await t.rejects(loginRaw(t, pgbun, login('old')), { code: '28P01' })
        await works(t, pgbun, 'new')
        await target.query(drop)
      })

      await t.test(`a changed password, ${way}, ${mode} mode`, async (t) => {
        await target.query(make('old'))
        await use(pgbun, 'old')
        await run("ALTER ROLE app PASSWORD 'new'")
        if (way === 'past pgbun') await works(t, pgbun, 'new')
        await t.rejects(loginRaw(t, pgbun, login('old')), { code: '28P01' })
        await works(t, pgbun, 'new')
        await target.query(drop)
      })
    }

    await t.test(`the same password, through pgbun, ${mode} mode`, async (t) => {
      await target.query(make('same'))
      await use(pgbun, 'same')
      await ways['through pgbun']!(`${drop}; ${make('same')}`)
      await works(t, pgbun, 'same')
      await target.query(drop)
    })

    await t.test(`the same password, past pgbun, ${mode} mode`, async (t) => {
      await target.query(make('same'))
      await use(pgbun, 'same')
      await past.query(`${drop}; ${make('same')}`)
      // One may meet the old role's server; it is known then.
      const first = await loginRaw(t, pgbun, login('same'))
      await first.query('SELECT a FROM secrets')
      await first.end()
      await waitFor(async () => {
        const client = await loginRaw(t, pgbun, login('same'))
        const rows = await client.query('SELECT a FROM secrets')
        await client.end()
        return errorOf(rows).C === undefined
      })
      await works(t, pgbun, 'same')
      await target.query(drop)
    })

    await t.test(`who may not log in any more, ${mode} mode`, async (t) => {
      await target.query(make('same'))
      await use(pgbun, 'same')
      await ways['through pgbun']!('REVOKE CONNECT ON DATABASE mine FROM app')
      await t.rejects(loginRaw(t, pgbun, login('same', 'mine')), { code: '42501' })
      await ways['through pgbun']!('ALTER ROLE app NOLOGIN')
      await t.rejects(loginRaw(t, pgbun, login('same')), { code: '28000' })
      await ways['through pgbun']!('ALTER ROLE app RENAME TO renamed')
      await t.rejects(loginRaw(t, pgbun, login('same')), { code: '28P01' })
      await target.query('DROP OWNED BY renamed; DROP ROLE renamed')
    })
    await past.end()
  }
})
