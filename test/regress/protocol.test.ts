import t from 'tap'
import { frontend, int16, int32, message } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { sharedPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, rowsOf, typesOf } from '../fixtures/raw-client.ts'

const postgres = sharedPostgres(t)

// A Bind in pieces whose names are long ran the unnamed statement of another client.
t.test('a Bind with long names that comes in pieces runs the statement it names', async (t) => {
  const target = await postgres.server()
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
  const stranger = await loginRaw(t, pgbun)
  const client = await loginRaw(t, pgbun)
  const prepared = async (): Promise<void> => {
    stranger.send(frontend.parse("SELECT 'stranger'"), frontend.sync())
    await stranger.readUntil('Z')
  }

  await t.test('a long portal name does not lead to the unnamed statement of another client', async (t) => {
    await prepared()
    const portal = 'p'.repeat(2000)
    await client.sendBytewise(frontend.bind([], '', portal))
    client.send(frontend.execute(0, portal), frontend.sync())
    t.match(errorOf(await client.readUntil('Z')), { C: '26000', M: 'unnamed prepared statement does not exist' })
  })

  await t.test('a long statement name leads to the statement of the client', async (t) => {
    const name = 'n'.repeat(2000)
    client.send(frontend.parse("SELECT 'mine'", name), frontend.sync())
    await client.readUntil('Z')
    await client.sendBytewise(frontend.bind([], name))
    client.send(frontend.execute(), frontend.sync())
    t.same(rowsOf(await client.readUntil('Z')), [['mine']])
  })

  await t.test('names of 60 kB and more are answered as on a direct connection in every message', async (t) => {
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

  await t.test('a name longer than pgbun looks at ends the session', async (t) => {
    await prepared()
    const portal = 'p'.repeat(300_000)
    client.send(frontend.bind([], '', portal), frontend.execute(0, portal), frontend.sync())
    t.match(errorOf(await client.expectClosed()), { S: 'FATAL', C: '08P01', M: 'too long a name in Bind' })
    stranger.send(frontend.bind(), frontend.execute(), frontend.sync())
    t.same(rowsOf(await stranger.readUntil('Z')), [['stranger']])
  })
})

// The Parse behind the Query was held back until earlier requests were answered, because a Close of the batch before
// was thought to be still under way; and the error that discards the Query came without a ReadyForQuery to go on at.
t.test('a client does not wait for ever for what it sent behind a Query in a failing batch', async (t) => {
  const server = await postgres.server()
  const args = ['--max-prepared-statements', '2']
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1, args })
  const client = await loginRaw(t, pgbun)
  for (const name of ['a', 'b', 'c', 'd']) {
    client.send(frontend.parse(`SELECT '${name}'`, name), frontend.sync())
    await client.readUntil('Z')
  }
  // The server keeps two statements: each Bind of another one closes one.
  client.send(frontend.bind([], 'a'), frontend.sync(), frontend.bind([], 'b'), frontend.bind(['too many'], 'b'))
  client.send(frontend.query('SELECT 1'), frontend.parse('SELECT 1', 'e'), frontend.sync(), frontend.query('SELECT 2'))
  t.equal(typesOf(await client.readUntil('Z')), '2Z')
  const failed = await client.readUntil('Z')
  t.equal(typesOf(failed), '2EZ')
  t.match(errorOf(failed), { C: '08P01', M: /supplies 1 parameters/ })
  t.equal(typesOf(await client.readUntil('Z')), 'TDCZ')
})

// Such a Query leaves the transaction of PostgreSQL open although PostgreSQL says that it is idle: the server went
// to the next client like that, whose first statement failed with "unexpected state STARTED".
t.test('a Query between an Execute and its Sync breaks nothing for the next client', async (t) => {
  const server = await postgres.database(t)
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const mix = [frontend.parse('SELECT 1'), frontend.bind(), frontend.execute(), frontend.query('SELECT 2')]

  await t.test('the client gets the error itself, and the next one does not', async (t) => {
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    client.send(...mix, frontend.sync())
    t.equal(typesOf(await client.readUntil('Z')), '12DCTDCZ')
    t.equal(typesOf(await client.readUntil('Z')), 'Z')
    other.send(frontend.query("SELECT 'mine'"))
    client.send(frontend.query('SELECT 3'))
    await client.readUntil('Z')
    t.same(rowsOf(await other.readUntil('Z')), [['mine']])
    client.socket.destroy()
  })

  await t.test(
    'another client gets the server once a Query has ended the transaction, also without a Sync',
    async (t) => {
      const client = await loginRaw(t, pgbun)
      client.send(...mix)
      t.equal(typesOf(await client.readUntil('Z')), '12DCTDCZ')
      client.send(frontend.query('COMMIT'))
      await client.readUntil('Z')
      const other = await loginRaw(t, pgbun)
      t.same(await other.rows("SELECT 'mine'"), [['mine']])
      client.send(...mix)
      await client.readUntil('Z')
      await client.end()
      t.same(await other.rows("SELECT 'still mine'"), [['still mine']])
      const third = await loginRaw(t, pgbun)
      t.same(await third.rows("SELECT 'and mine'"), [['and mine']], 'not kept by who got it next')
      await other.end()
      await third.end()
    },
  )

  await t.test('the transaction is rolled back when the client leaves', async (t) => {
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    client.send(...mix, frontend.sync())
    await client.readUntil('Z')
    await client.readUntil('Z')
    await client.end()
    other.send(frontend.query("SELECT 'mine'"))
    t.same(rowsOf(await other.readUntil('Z')), [['mine']])
  })
  await t.test('a Parse that fails with that error leaves the unnamed statement as it was', async (t) => {
    const client = await loginRaw(t, pgbun)
    client.send(frontend.parse("SELECT 'kept'"), frontend.bind(), frontend.execute(), frontend.flush())
    await client.readUntil('C')
    // A FunctionCall, unlike a Query, leaves it alone: abs(-1).
    client.send(message('F', int32(1397), int16(0), int16(1), int32(2), Buffer.from('-1'), int16(0)), frontend.sync())
    await client.readUntil('Z')
    await client.readUntil('Z')
    client.send(frontend.parse("SELECT 'other'"), frontend.sync())
    t.match(errorOf(await client.readUntil('Z')), { M: /unexpected state STARTED/ })
    client.send(frontend.bind(), frontend.execute(), frontend.sync())
    t.same(rowsOf(await client.readUntil('Z')), [['kept']])
  })
})

// What waited for the answer to a COPY FROM STDIN waited for ever, because the data of the COPY stood behind it. A
// direct connection takes it for an end of the protocol.
t.test('a message that names a statement in the middle of a COPY ends as on a direct connection', async (t) => {
  const server = await postgres.database(t)
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const owner = await loginRaw(t, server)
  await owner.query('CREATE TABLE copied (a text)')
  const copy = 'COPY copied FROM STDIN'
  const data = [frontend.copyData('x\n'), frontend.copyDone()]
  const conversations: Record<string, Buffer[]> = {
    'a DEALLOCATE that needs no server': [frontend.query(copy), frontend.query('DEALLOCATE s'), ...data],
    'a DEALLOCATE among others': [frontend.query(copy), frontend.query('SELECT 1; DEALLOCATE s'), ...data],
    'an EXECUTE that needs the statement there': [frontend.query(copy), frontend.query('EXECUTE s'), ...data],
    'behind a Query that copies and deallocates': [
      frontend.query(`${copy}; DEALLOCATE ALL`),
      frontend.query('SELECT 1'),
      ...data,
    ],
    'a Bind of what a batch behind it prepares': [
      ...[frontend.query(copy), frontend.parse('SELECT 1', 'n'), frontend.sync(), frontend.bind([], 'n')],
      ...[frontend.sync(), ...data],
    ],
    'a COPY of the extended protocol': [
      ...[frontend.parse(copy), frontend.bind(), frontend.execute(), frontend.sync()],
      ...[frontend.query('DEALLOCATE s'), ...data, frontend.sync()],
    ],
  }
  for (const [name, messages] of Object.entries(conversations)) {
    await t.test(name, async (t) => {
      const found: string[] = []
      for (const address of [server, pgbun]) {
        const client = await loginRaw(t, address, { user: server.user, password: server.password })
        client.send(frontend.parse("SELECT 's'", 's'), frontend.sync())
        await client.readUntil('Z')
        client.send(...messages)
        const answers = await client.expectClosed()
        found.push(`${typesOf(answers)} ${errorOf(answers).C}`)
      }
      t.equal(found[1], found[0])
      t.match(found[1], /08P01/)
    })
  }

  await t.test('a client goes on behind a COPY that fails before its data', async (t) => {
    const client = await loginRaw(t, pgbun)
    client.send(frontend.parse("SELECT 's'", 's'), frontend.sync())
    await client.readUntil('Z')
    client.send(frontend.query('COPY missing FROM STDIN'), frontend.query('EXECUTE s'), frontend.query('DEALLOCATE s'))
    t.match(errorOf(await client.readUntil('Z')), { C: '42P01' })
    t.same(rowsOf(await client.readUntil('Z')), [['s']])
    t.equal(typesOf(await client.readUntil('Z')), 'CZ')
  })
})

// The notification bore the process of its server and not the one of its BackendKeyData, by which drivers tell their
// own notifications from those of others. Protocol chapter "Asynchronous Operations".
t.test('a client sees its own process id in a notification that it caused itself', async (t) => {
  const server = await postgres.server()
  for (const mode of ['session', 'transaction'] as const) {
    await t.test(`${mode} mode`, async (t) => {
      const pgbun = await startPgbun(t, { target: server, poolMode: mode })
      const client = await loginRaw(t, pgbun)
      await client.query('LISTEN news')
      const own = [
        [frontend.query("NOTIFY news, 'simple'")],
        [frontend.query("BEGIN; NOTIFY news, 'block'; COMMIT")],
        [frontend.parse("SELECT pg_notify('news', 'extended')"), frontend.bind(), frontend.execute(), frontend.sync()],
        [frontend.query("SET application_name = 'x'; NOTIFY news, 'with a setting'")],
        [frontend.query(`NOTIFY news, '${'x'.repeat(7000)}'`)],
      ]
      for (const request of own) {
        client.send(...request)
        const message = (await client.readUntil('A')).at(-1)!
        t.equal(message.body.readInt32BE(0), client.session.pid)
        await client.readUntil('Z')
      }
      const other = await server.connect()
      const { pid } = (await other.query('SELECT pg_backend_pid() AS pid')).rows[0]
      await other.query("NOTIFY news, 'from another'")
      const message = (await client.readUntil('A')).at(-1)!
      t.equal(message.body.readInt32BE(0), pid, 'the process of somebody else stays as it is')
    })
  }
})
