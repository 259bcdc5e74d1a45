/** A Bind in pieces whose names are long: it ran the unnamed statement of another client. */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, rowsOf, typesOf } from '../fixtures/raw-client.ts'

t.test('long names in a Bind that comes in pieces', async (t) => {
  const target = await startPostgres(t)
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
  const stranger = await loginRaw(t, pgbun)
  const client = await loginRaw(t, pgbun)
  const prepared = async (): Promise<void> => {
    stranger.send(frontend.parse("SELECT 'stranger'"), frontend.sync())
    await stranger.readUntil('Z')
  }

  await t.test('of a portal: the unnamed statement is the client’s own, and it has none', async (t) => {
    await prepared()
    const portal = 'p'.repeat(2000)
    await client.sendBytewise(frontend.bind([], '', portal))
    client.send(frontend.execute(0, portal), frontend.sync())
    t.match(errorOf(await client.readUntil('Z')), { C: '26000', M: 'unnamed prepared statement does not exist' })
  })

  await t.test('of a statement: it is the client’s', async (t) => {
    const name = 'n'.repeat(2000)
    client.send(frontend.parse("SELECT 'mine'", name), frontend.sync())
    await client.readUntil('Z')
    await client.sendBytewise(frontend.bind([], name))
    client.send(frontend.execute(), frontend.sync())
    t.same(rowsOf(await client.readUntil('Z')), [['mine']])
  })

  await t.test('of 60 kB and more, in every message that carries one: as on a direct connection', async (t) => {
    const same = async (...batches: Buffer[][]): Promise<void> => {
      const answers: string[][] = []
      for (const address of [target, pgbun]) {
        const one = await loginRaw(t, address)
        const lines: string[] = []
        for (const batch of batches) {
          one.send(...batch, frontend.sync())
          const messages = one.closed ? [] : await one.readUntil('Z').catch(() => one.expectClosed())
          const { S: severity = '', C: code = '', M: text = '' } = errorOf(messages)
          lines.push(`${typesOf(messages)} ${rowsOf(messages).join()} ${severity} ${code} ${text}`)
        }
        answers.push(lines)
        one.destroy()
      }
      t.same(answers[1], answers[0])
    }
    const [name, portal, other] = ['n', 'p', 'o'].map((letter) => letter.repeat(60_000)) as [string, string, string]
    const run = (name: string, portal = ''): Buffer[] => [frontend.bind([], name, portal), frontend.execute(0, '')]
    await same(
      [frontend.parse("SELECT 'long'", name)],
      run(name),
      [frontend.bind(['x'.repeat(200_000)], name)],
      run(other),
      [frontend.parse('SELECT 1', name)],
      run('n'.repeat(63)),
      [frontend.describe('S', 'n'.repeat(9000)), ...run(name)],
      [frontend.bind([], name, portal), frontend.execute(0, 'p'.repeat(9000))],
      [frontend.bind([], name, portal), frontend.describe('P', 'p'.repeat(63)), frontend.execute(0, 'p'.repeat(63))],
      [frontend.close('S', 'n'.repeat(9990))],
      run(name),
    )
    await same([frontend.describe('S', name)])
    await same([frontend.close('S', name)])
    await same([frontend.describe('S', 'n'.repeat(9994))], [frontend.describe('S', 'n'.repeat(9995))])
    await same(
      [frontend.query("PREPARE own AS SELECT 'sql'")],
      [frontend.parse('SELECT 2', name)],
      run(name),
      run('own'),
    )
    const long = 's'.repeat(200_000)
    await same(
      [frontend.parse("SELECT 'long'", long)],
      [frontend.bind([], long, portal), frontend.execute(0, 'p'.repeat(63))],
    )
  })

  await t.test('longer than is looked at: the session ends', async (t) => {
    await prepared()
    const portal = 'p'.repeat(300_000)
    client.send(frontend.bind([], '', portal), frontend.execute(0, portal), frontend.sync())
    t.match(errorOf(await client.expectClosed()), { S: 'FATAL', C: '08P01', M: 'too long a name in Bind' })
    stranger.send(frontend.bind(), frontend.execute(), frontend.sync())
    t.same(rowsOf(await stranger.readUntil('Z')), [['stranger']])
  })
})
