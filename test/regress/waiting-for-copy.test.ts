/**
 * What waited for the answer to a COPY FROM STDIN waited for ever, because the data of the COPY stood behind it. A
 * direct connection takes it for an end of the protocol.
 */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, rowsOf, typesOf } from '../fixtures/raw-client.ts'

t.test('a message that names a statement, in the middle of a COPY', async (t) => {
  const server = await startPostgres(t)
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

  await t.test('what waits for a COPY that takes no data goes on', async (t) => {
    const client = await loginRaw(t, pgbun)
    client.send(frontend.parse("SELECT 's'", 's'), frontend.sync())
    await client.readUntil('Z')
    client.send(frontend.query('COPY missing FROM STDIN'), frontend.query('EXECUTE s'), frontend.query('DEALLOCATE s'))
    t.match(errorOf(await client.readUntil('Z')), { C: '42P01' })
    t.same(rowsOf(await client.readUntil('Z')), [['s']])
    t.equal(typesOf(await client.readUntil('Z')), 'CZ')
  })
})
