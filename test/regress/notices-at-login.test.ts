/**
 * What PostgreSQL says by a notice while a session begins was lost: an identifier that is cut off, a collation that has
 * changed, what a login event trigger raises.
 */
import t from 'tap'
import { type Message, parse } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { type Address, type LoginOptions, loginRaw } from '../fixtures/raw-client.ts'

const LONG = 'x'.repeat(70)
const LOGINS: readonly (readonly [string, LoginOptions])[] = [
  ['nothing to say', {}],
  ['an application_name that is cut off', { parameters: { application_name: LONG } }],
  ['the same, asked to be silent before', { parameters: { client_min_messages: 'error', application_name: LONG } }],
  ['the same in options', { parameters: { options: `-c application_name=${LONG}` } }],
  ['a collation that has changed', { database: 'collated' }],
  ['the same, asked to be silent', { database: 'collated', parameters: { client_min_messages: 'error' } }],
  ['both', { database: 'collated', parameters: { application_name: LONG } }],
  ['a login trigger', { database: 'triggered' }],
  ['a login trigger, for warnings only', { database: 'triggered', parameters: { client_min_messages: 'warning' } }],
  ['a login trigger, for errors only', { database: 'triggered', parameters: { client_min_messages: 'error' } }],
]

t.test('notices at login', async (t) => {
  const target = await startPostgres(t, { bootstrapSql: ['CREATE DATABASE collated', 'CREATE DATABASE triggered'] })
  await target.query("UPDATE pg_database SET datcollversion = '0.1' WHERE datname = 'collated'")
  if (target.major >= 17) {
    const client = await target.connect({ database: 'triggered' })
    await client.query(`CREATE FUNCTION greets() RETURNS event_trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE NOTICE 'welcome'; RAISE WARNING 'mind the gap'; RAISE INFO 'by the way'; END $$`)
    await client.query('CREATE EVENT TRIGGER greeting ON login EXECUTE FUNCTION greets()')
    await client.end()
  }
  for (const mode of ['transaction', 'session'] as const) {
    const pgbun = await startPgbun(t, { target, poolMode: mode, poolSize: 3 })
    for (const [what, login] of LOGINS) {
      await t.test(`${what}, ${mode} mode`, async (t) => {
        const expected = await greeting(target, login)
        for (const which of ['first', 'second']) t.same(await greeting(pgbun, login), expected, `the ${which} client`)
      })
    }
  }

  async function greeting(address: Address, login: LoginOptions): Promise<string[]> {
    const client = await loginRaw(t, address, login)
    await client.end()
    const words = client.session.messages.map(word)
    // Where pgbun asks for a password, it does so in its own way.
    return words.slice(words.lastIndexOf('R') + 1).filter((text, i, all) => text !== 'S' || all[i - 1] !== 'S')
  }
})

function word({ type, body }: Message): string {
  return type === 'N' ? `${parse.fields(body).V} ${parse.fields(body).M}` : type
}
