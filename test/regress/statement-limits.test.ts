/** `max_prepared_statements`: servers come back to it, and a session does not change its ways when it is reloaded. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient, rowsOf, typesOf } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const run = (name: string): Buffer[] => [frontend.bind([], name), frontend.execute()]

async function say(client: RawClient, ...messages: Buffer[]): Promise<string> {
  client.send(...messages, frontend.sync())
  const answers = await client.readUntil('Z')
  return `${typesOf(answers)} ${rowsOf(answers).join()} ${errorOf(answers).C ?? ''}`
}

t.test('limits of prepared statements', async (t) => {
  const target = await startPostgres(t)

  await t.test('a batch that needs more than may stay', async (t) => {
    const args = ['--max-prepared-statements', '3']
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1, args })
    const client = await loginRaw(t, pgbun)
    const names = [...'abcdefgh']
    const count = async (): Promise<number> =>
      Number((await client.rows('SELECT count(*) FROM pg_prepared_statements'))[0]![0])
    for (const name of names) await say(client, frontend.parse(`SELECT '${name}'`, name))
    t.equal(await count(), 3)
    const all = async (): Promise<unknown> => say(client, ...names.flatMap(run))
    t.equal(await all(), `${'2DC'.repeat(8)}Z ${names.join()} `)
    t.equal(await count(), 3, 'each waits for the answer to its own Parse, and the ones before can be closed')
    t.equal(await say(client, ...run('h')), '2DCZ h ', 'one that is there')
    t.equal(await count(), 3)
    await all()
    t.equal(await say(client, ...run('d'), ...run('e')), '2DC2DCZ d,e ')
    await say(client, frontend.parse("SELECT 'i'", 'i'))
    t.equal(await count(), 3)
    for (const name of [...names, 'i']) t.equal(await say(client, ...run(name)), `2DCZ ${name} `)
  })

  await t.test('set to 0 and back: what names stand for stays', async (t) => {
    const file = path.join(t.testdir(), 'pgbun.toml')
    const set = (most: number): void => writeFileSync(file, `[pool]\nmax_prepared_statements = ${most}\n`)
    set(200)
    const args = ['--config', file]
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 2, args })
    const reload = async (most: number): Promise<void> => {
      const before = pgbun.logs().length
      set(most)
      pgbun.signal('SIGHUP')
      await waitFor(() => /reload/i.test(pgbun.logs().slice(before)), { what: 'the reload' })
    }
    const client = await loginRaw(t, pgbun)
    t.equal(await say(client, frontend.parse("SELECT 'old'", 'a')), '1Z  ')
    await reload(0)
    const later = await loginRaw(t, pgbun)
    t.equal(await say(later, frontend.parse("SELECT 'later'", 'a'), ...run('a')), '12DCZ later ')
    t.equal(await say(client, frontend.parse("SELECT 'new'", 'a')), 'EZ  42P05')
    t.equal(await say(client, ...run('a')), '2DCZ old ')
    t.equal(await say(client, frontend.close('S', 'a')), '3Z  ')
    t.equal(await say(client, frontend.parse("SELECT 'newer'", 'a')), '1Z  ')
    t.equal(await say(client, ...run('a')), '2DCZ newer ')
    await reload(200)
    t.equal(await say(later, frontend.parse("SELECT 'again'", 'a')), 'EZ  42P05')
    t.equal(await say(later, ...run('a')), '2DCZ later ')
  })
})
