/**
 * A statement that was prepared under its client's own name for the sake of SQL stayed there when the client had closed
 * it, or given the name to another; and one that SQL had prepared did not keep a Parse from giving its name again.
 * Every conversation is held directly, too, and must go the same way.
 */
import t, { type Test } from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, rowsOf, typesOf } from '../fixtures/raw-client.ts'

const { parse, query, sync, close, bind, execute, flush } = frontend
const run = (name: string): Buffer[] => [bind([], name), execute()]

/** What is sent in each step, up to its last ReadyForQuery. */
const conversations: Record<string, Buffer[][]> = {
  'closed, and given to another statement': [
    [parse("SELECT 'new'", 'q'), parse("SELECT 'old'", 'p'), sync()],
    [query('EXECUTE p')],
    [close('S', 'p'), parse("SELECT 'new'", 'p'), sync()],
    [query('EXECUTE p')],
    [...run('p'), sync()],
  ],
  'closed by the protocol': [
    [parse("SELECT 'old'", 'p'), sync()],
    [query('EXECUTE p')],
    [close('S', 'p'), sync()],
    [query('EXECUTE p')],
  ],
  'deallocated, and prepared by SQL': [
    [parse("SELECT 'old'", 'p'), sync()],
    [query('EXECUTE p')],
    [query('DEALLOCATE p')],
    [query('EXECUTE p')],
    [query("PREPARE p AS SELECT 'sql'")],
    // What makes room on the server must leave it alone.
    [parse("SELECT 'other'", 'o'), ...run('o'), sync()],
    [query('EXECUTE p')],
    [...run('p'), sync()],
  ],
  'prepared by SQL, then by the protocol': [
    [query("PREPARE p AS SELECT 'sql'")],
    [...run('p'), sync()],
    [parse("SELECT 'proto'", 'p'), sync()],
    [...run('p'), sync()],
    [parse("SELECT 'other'", 'o'), ...run('o'), sync()],
    [query('EXECUTE p')],
    [close('S', 'p'), sync()],
    [parse("SELECT 'proto'", 'p'), sync()],
    [query('EXECUTE p')],
    [query("PREPARE p AS SELECT 'sql'")],
    [...run('p'), sync()],
  ],
  'prepared by SQL and the protocol in one go': [
    [query("PREPARE p AS SELECT 'sql'"), parse("SELECT 'proto'", 'p'), parse("SELECT 'other'", 'o'), sync()],
    [...run('p'), sync()],
    [...run('o'), sync()],
    [parse("SELECT 'proto'", 'n'), ...run('n'), parse("SELECT 'dup'", 'n'), sync()],
    [query('EXECUTE n')],
  ],
  'closed behind the Bind of an EXECUTE': [
    [parse("SELECT 'old'", 'p'), sync()],
    [query('BEGIN')],
    [query('EXECUTE p')],
    [parse('EXECUTE p'), bind(), parse("SELECT 'other'", 'o'), execute(), sync()],
    [close('S', 'p'), parse('EXECUTE p'), bind(), execute(), sync()],
    [query('ROLLBACK')],
    [query('EXECUTE p')],
  ],
  'lent in a batch that failed': [
    [parse("SELECT 'one'", 'p'), parse('EXECUTE p', 'x'), parse('SELECT 1/0', 'f'), sync()],
    [...run('f'), bind([], 'x'), sync(), ...run('x'), sync()],
    [query('DEALLOCATE p'), parse('EXECUTE p'), sync()],
  ],
  'lent in a batch that failed, to the unnamed statement': [
    [parse("SELECT 'one'", 'p'), parse('SELECT 1/0', 'f'), sync()],
    [...run('f'), parse('EXECUTE p'), bind(), sync(), parse('EXECUTE p'), bind(), execute(), sync()],
  ],
  'closed to be lent anew in a batch that failed': [
    [parse("SELECT 'old'", 'p'), parse('EXECUTE p', 'x'), parse('SELECT 1/0', 'f'), sync()],
    [query('EXECUTE p')],
    [close('S', 'p'), parse("SELECT 'new'", 'p'), sync()],
    [...run('f'), bind([], 'x'), sync(), ...run('x'), sync()],
    [query('EXECUTE p')],
  ],
  'closed to make room in a batch that failed': [
    [parse("SELECT 'old'", 'p'), parse('EXECUTE p', 'x'), parse('SELECT 1/0', 'f'), sync()],
    [query('EXECUTE p')],
    [close('S', 'p'), parse("SELECT 'new'", 'p'), sync()],
    [...run('f'), parse("SELECT 'other'", 'o'), sync(), ...run('x'), sync()],
    [query('EXECUTE p')],
  ],
  'deallocated and prepared by SQL in one text': [
    [parse("SELECT 'old'", 'p'), sync()],
    [query('EXECUTE p')],
    [query("DEALLOCATE p; PREPARE p AS SELECT 'sql'")],
    [parse("SELECT 'other'", 'o'), ...run('o'), sync()],
    [query('EXECUTE p')],
  ],
  'deallocated with all others and prepared by SQL in one text': [
    [parse("SELECT 'old'", 'p'), sync()],
    [query('EXECUTE p')],
    [query("DEALLOCATE ALL; PREPARE p AS SELECT 'sql'"), sync()],
    [parse("SELECT 'other'", 'o'), ...run('o'), sync()],
    [query('EXECUTE p')],
  ],
  'lent in a batch that failed, and prepared by SQL': [
    [query("PREPARE p AS SELECT 'sql'"), parse('EXECUTE p', 'x'), sync()],
    [parse('SELECT 1', 'p'), ...run('x'), sync()],
    [parse("SELECT 'other'", 'o'), ...run('o'), sync()],
    [...run('x'), sync()],
    [query('EXECUTE p')],
  ],
  'wanted in a transaction that failed, in a batch': [
    [parse("SELECT 'one'", 'p'), sync()],
    [query('BEGIN'), query('SELECT 1/0')],
    [close('P', 'x'), query('EXECUTE p'), sync()],
    [query('ROLLBACK')],
    [query('EXECUTE p')],
  ],
  'wanted in a transaction that is about to fail, in a batch': [
    [parse("SELECT 'one'", 'p'), sync()],
    [query('BEGIN'), query('SELECT 1/0'), close('P', 'x'), query('EXECUTE p'), sync()],
    [query('ROLLBACK')],
    [query('EXECUTE p')],
  ],
  'given twice, then deallocated': [
    [parse("SELECT 'old'", 'p'), sync()],
    [parse("SELECT 'new'", 'p'), sync()],
    [query('EXECUTE p')],
    [parse("SELECT 'new'", 'p'), sync()],
    [query('DEALLOCATE p')],
    [query('EXECUTE p')],
  ],
}

async function hold(t: Test, address: Parameters<typeof loginRaw>[1], steps: Buffer[][]): Promise<unknown[]> {
  const client = await loginRaw(t, address)
  const seen: unknown[] = []
  for (const messages of steps) {
    client.send(...messages, flush())
    for (const { 0: type } of messages) {
      if (type !== 0x51 && type !== 0x53) continue
      const answers = await client.readUntil('Z')
      seen.push([typesOf(answers), rowsOf(answers), errorOf(answers).C, errorOf(answers).M])
    }
  }
  await client.end()
  return seen
}

t.test('names that SQL and the protocol share', async (t) => {
  const server = await startPostgres(t)
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  for (const [name, steps] of Object.entries(conversations)) {
    t.same(await hold(t, pgbun, steps), await hold(t, server, steps), name)
    const stranger = await loginRaw(t, pgbun)
    const names = "name !~ '^pgbun_'"
    t.same(await stranger.rows(`SELECT name FROM pg_prepared_statements WHERE ${names}`), [], 'nothing is left')
    await stranger.end()
  }

  await t.test('a Close of what SQL has prepared sets its client free', async (t) => {
    const client = await loginRaw(t, pgbun)
    await client.query('PREPARE p AS SELECT 1')
    client.send(close('S', 'p'), sync())
    await client.readUntil('Z')
    const other = await loginRaw(t, pgbun)
    t.same(await other.rows('SELECT 2'), [['2']])
  })
})
