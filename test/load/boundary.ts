/**
 * The scenario `boundary`: what holds within a transaction and what follows the client between two, whichever servers it
 * meets.
 */
import type { LoadClient } from './client.ts'
import { must, own, type Scenario } from './scenario.ts'

export const boundary: Scenario = {
  says: 'one server and one transaction from BEGIN to COMMIT; settings follow their client',
  modes: ['session', 'transaction'],
  because: 'statement mode refuses transactions',
  roundsPerSession: 4,
  session(client) {
    let setting = ''
    let applicationName = ''
    return async (round) => {
      if (setting === '' || round % 5 === 0) {
        applicationName = `pgbun_load ${client.index}-${round}`
        setting = client.tag(round)
        await client.single(`SET application_name = '${applicationName}'`)
        await client.single("SELECT set_config('pgbun_load.client', $1, false)", [setting])
      }
      await transaction(client, round)

      const after = await client.single(
        `SELECT current_setting('application_name') AS name, current_setting('pgbun_load.client', true) AS setting,
                current_setting('pgbun_load.local', true) AS local`,
      )
      own('application_name between transactions', after?.name, applicationName)
      own('a parameter set for the session', after?.setting, setting)
      // PostgreSQL keeps the name of a parameter of an application that was set once, without a value.
      own('a parameter of SET LOCAL after COMMIT', after?.local ?? '', '')
      const tables = await client.single('SELECT count(*)::int AS count FROM pg_class WHERE relname = $1', [
        temporaryTable(client),
      ])
      own('the number of temporary tables after COMMIT', tables?.count, 0)
    }
  },
}

/** A name that no other client and no other run has: so it is seen, whichever session has left it. */
function temporaryTable({ run, index }: LoadClient): string {
  return `pgbun_load_${run.id.slice(0, 8)}_${index}`
}

async function transaction(client: LoadClient, round: number): Promise<void> {
  const { tally } = client.run
  const tag = client.tag(round)
  const table = temporaryTable(client)
  const [low, high] = client.accounts(round)
  const identity = 'SELECT pg_backend_pid() AS pid, txid_current()::text AS xid'

  await client.begin()
  const first = await client.query(identity)
  await client.query(`SET LOCAL pgbun_load.local = '${tag}'`)
  await client.query(`CREATE TEMPORARY TABLE ${table} (note text) ON COMMIT DROP`)
  await client.query(`INSERT INTO ${table} VALUES ($1)`, [tag])
  const entry = await client.addEntry(round)
  const inside = await client.query(
    `SELECT xmin::text AS xmin, (txid_current() % 4294967296)::text AS xid FROM pgbun_load_entry WHERE id = $1`,
    [entry.id],
  )
  own('the transaction that inserted a row', inside?.xmin, inside?.xid)
  own('the row in the temporary table', (await client.query(`SELECT note FROM ${table}`))?.note, tag)

  await client.query('SAVEPOINT before_move')
  await client.move(low, -1)
  await client.addEntry(round, `${tag}, undone`)
  await client.query('ROLLBACK TO SAVEPOINT before_move')
  await client.move(low, -1)
  await client.move(high, 1)
  await client.query('RELEASE SAVEPOINT before_move')

  const local = await client.query("SELECT current_setting('pgbun_load.local', true) AS local")
  own('a parameter of SET LOCAL within the transaction', local?.local, tag)
  const last = await client.query(identity)
  own('the server process within a transaction', last?.pid, first.pid)
  own('the transaction id within a transaction', last?.xid, first.xid)
  must('the end of a transaction', await client.finish(), 'COMMIT')
  tally.entries++

  const seen = await client.single(
    'SELECT count(*)::int AS count, min(note) AS note FROM pgbun_load_entry WHERE run = $1 AND note IN ($2, $3)',
    [client.run.id, tag, `${tag}, undone`],
  )
  must('the number of entries after ROLLBACK TO and COMMIT', seen?.count, 1)
  own('the entry after COMMIT', seen?.note, tag)
}
