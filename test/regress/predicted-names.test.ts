/** Names that pgbun gives statements on servers can be read and counted on: they lead to nothing of another client's. */
import t, { type Test } from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { type Pgbun, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient, rowsOf, typesOf } from '../fixtures/raw-client.ts'

const { parse, bind, execute, describe, close, sync, query } = frontend

/** What is answered to one batch: types, rows, the error's code and text. */
async function say(client: RawClient, ...messages: Buffer[]): Promise<string> {
  client.send(...messages)
  const answers = await client.readUntil('Z')
  const { C: code = '', M: text = '' } = errorOf(answers)
  return `${typesOf(answers)} ${rowsOf(answers).join()} ${code} ${text}`
}

const run = (name: string): Buffer[] => [bind([], name), execute(), sync()]

t.test('a client that knows how statements are called', async (t) => {
  const target = await startPostgres(t)
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
  const SECRET = "SELECT 'victim'"

  /** The victim has prepared and used a statement; which name it has on the server, and those that come next. */
  const begin = async (
    t: Test,
    at: Pgbun = pgbun,
  ): Promise<{ victim: RawClient; attacker: RawClient; names: string[] }> => {
    const victim = await loginRaw(t, at)
    const attacker = await loginRaw(t, at)
    t.equal(await say(victim, parse(SECRET, 's'), ...run('s')), '12DCZ victim  ')
    const rows = await attacker.rows("SELECT name FROM pg_prepared_statements WHERE statement = 'SELECT ''victim'''")
    const [, prefix, number] = /^(pgbun_[0-9a-f]{12}_)(\d+)$/.exec(String(rows[0]![0]))!
    const names = Array.from({ length: 30 }, (_, i) => `${prefix}${Number(number) + i}`)
    return { victim, attacker, names }
  }
  const intact = async (t: Test, victim: RawClient): Promise<void> => {
    t.equal(await say(victim, ...run('s')), '2DCZ victim  ', 'what the victim has is its own')
    t.equal(await say(victim, parse("SELECT 'new'", 'n'), ...run('n')), '12DCZ new  ', 'and what it prepares')
    t.equal(await say(victim, close('S', 'n'), sync()), '3Z   ')
  }

  await t.test('by messages of the protocol', async (t) => {
    const { victim, attacker, names } = await begin(t)
    const direct = await loginRaw(t, target)
    for (const name of names.slice(0, 5)) {
      for (const batch of [run(name), [describe('S', name), sync()], [close('S', name), sync()]]) {
        t.equal(await say(attacker, ...batch), await say(direct, ...batch))
      }
      t.match(await say(attacker, parse("SELECT 'evil'", name), sync()), /^EZ {2}42P05 /)
      await intact(t, victim)
    }
    // All at once, before anything is answered.
    attacker.send(...names.flatMap((name) => [close('S', name), parse("SELECT 'evil'", name), sync()]))
    for (const _ of names) t.match(typesOf(await attacker.readUntil('Z')), /^3EZ$/)
    await intact(t, victim)
    await attacker.end()
  })

  const attacks: Record<string, (names: string[]) => string[]> = {
    'DEALLOCATE of them': (names) => names.slice(0, 1).map((name) => `DEALLOCATE ${name}`),
    'PREPARE of those to come': (names) => names.slice(1).map((name) => `PREPARE ${name} AS SELECT 'evil'`),
    'DEALLOCATE and PREPARE in one Query': ([name]) => [`DEALLOCATE ${name}; PREPARE ${name} AS SELECT 'evil'`],
    'the same in code': ([name]) => [
      `DO $$ BEGIN EXECUTE 'DEALLOCATE ${name}'; EXECUTE 'PREPARE ${name} AS SELECT ''evil'''; END $$`,
    ],
    'in a transaction that is rolled back': ([name]) => [
      'BEGIN',
      `DEALLOCATE ${name}`,
      `PREPARE ${name} AS SELECT 'evil'`,
      'ROLLBACK',
    ],
    'behind DEALLOCATE ALL': (names) => ['DEALLOCATE ALL', ...names.map((name) => `PREPARE ${name} AS SELECT 'evil'`)],
    'in a function': ([name]) => [
      `CREATE FUNCTION evil() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN
        EXECUTE 'DEALLOCATE ' || '${name}'; EXECUTE 'PREPARE ' || '${name}' || ' AS SELECT ''evil'''; END $f$`,
      'SELECT evil()',
      'DROP FUNCTION evil()',
    ],
  }
  for (const [name, texts] of Object.entries(attacks)) {
    for (const ending of ['Terminate', 'DEALLOCATE ALL', 'DISCARD ALL', 'a closed socket']) {
      await t.test(`by SQL: ${name}, then ${ending}`, async (t) => {
        const { victim, attacker, names } = await begin(t)
        for (const sql of texts(names)) await say(attacker, query(sql))
        if (ending === 'Terminate') await attacker.end()
        else if (ending === 'a closed socket') attacker.destroy()
        else await say(attacker, query(ending))
        await intact(t, victim)
        attacker.destroy()
        await victim.end()
      })
    }
  }

  await t.test('EXECUTE runs it as the one who says it, and gives nothing of the session of another', async (t) => {
    const { victim, attacker, names } = await begin(t)
    await say(victim, query("SET app.secret = 'of the victim'"))
    t.equal(
      await say(victim, parse("SELECT current_setting('app.secret', true)", 'c'), ...run('c')),
      '12DCZ of the victim  ',
    )
    await victim.query('SELECT 1')
    for (const name of names) t.notMatch(await say(attacker, query(`EXECUTE ${name}`)), 'of the victim')
    await intact(t, victim)
    await attacker.end()
  })
})
