/**
 * An unnamed statement that is prepared again and again by the same bytes: its text is read once, and yet each Parse may
 * fail by itself. Two clients take turns on one server; each conversation is held directly, too, and must go the same way.
 */
import t from 'tap'
import { frontend, message } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient, rowsOf, typesOf } from '../fixtures/raw-client.ts'

const { parse, query, sync, bind, execute, describe } = frontend
const TABLE = 'SELECT x FROM repeated'
const run = [bind(), execute()]

/** Who speaks, and what. */
type Step = [who: 0 | 1, ...messages: Buffer[]]

const steps: Step[] = [
  [0, query('DROP TABLE IF EXISTS repeated; CREATE TABLE repeated AS SELECT 1 AS x')],
  [0, parse(TABLE), ...run, sync()],
  [0, parse(TABLE), ...run, sync()],
  [1, parse("SELECT 'other'"), ...run, sync()],
  [0, parse(TABLE), describe('S'), sync()],
  [1, parse("SELECT 'other'"), describe('P'), ...run, sync()],
  [0, ...run, sync()],
  // A Parse that fails leaves no statement behind, though it is that of the one before.
  [1, query('DROP TABLE repeated')],
  [0, parse(TABLE), ...run, sync()],
  [0, ...run, sync()],
  [1, query('CREATE TABLE repeated AS SELECT 2 AS x')],
  [0, ...run, sync()],
  [0, parse(TABLE), ...run, parse(TABLE), ...run, sync()],
  // A Parse that PostgreSQL cannot read has done nothing yet.
  [0, parse(TABLE), sync()],
  [0, message('P', "\0SELECT 'malformed'\0\0\0\0"), sync()],
  [1, parse("SELECT 'other'"), ...run, sync()],
  [0, ...run, sync()],
  // In a batch that has failed it is discarded.
  [0, parse('SELECT 1/0'), ...run, parse(TABLE), sync()],
  [0, ...run, sync()],
  [0, parse(TABLE), sync()],
  [0, parse(`${TABLE} `), ...run, sync()],
  [0, parse(`${TABLE};`), ...run, sync()],
  // What it leaves behind is noted each time.
  [0, parse("SELECT set_config('application_name', 'a', false)"), ...run, sync()],
  [1, query('SHOW application_name')],
  [0, query('RESET application_name')],
  [0, parse("SELECT set_config('application_name', 'a', false)"), ...run, sync()],
  [1, query('SHOW application_name')],
  [0, query('SHOW application_name')],
]

async function speak(clients: RawClient[]): Promise<string[]> {
  const heard: string[] = []
  for (const [who, ...messages] of steps) {
    clients[who]!.send(...messages)
    const answers = await clients[who]!.readUntil('Z')
    heard.push(`${typesOf(answers).replace(/[SN]/g, '')} ${rowsOf(answers).join()} ${errorOf(answers).C ?? ''}`)
  }
  return heard
}

t.test('two clients of one server', async (t) => {
  const target = await startPostgres(t)
  const expected = await speak([await loginRaw(t, target), await loginRaw(t, target)])
  for (const size of [1, 2]) {
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: size })
    t.strictSame(await speak([await loginRaw(t, pgbun), await loginRaw(t, pgbun)]), expected, `${size} servers`)
  }
  t.match(expected.join('\n'), /26000/)
})
