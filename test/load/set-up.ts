/** The tables of the load scripts: made where they are missing, balances as at the start, and the last look at them. */
import { readFileSync } from 'node:fs'
import { connect, type Run } from './client.ts'
import { must } from './scenario.ts'

export const TABLES = readFileSync(new URL('tables.sql', import.meta.url), 'utf8')

/** Who makes the tables has this advisory lock: CREATE TABLE IF NOT EXISTS fails where two do it at once. */
const LOCK = 7_236_481

/** Makes the tables where they are missing, and sets the balances. */
export async function setUp({ address }: Run): Promise<void> {
  const client = await connect(address)
  try {
    const { rows } = await client.query(
      `SELECT to_regclass('pgbun_load_account') IS NULL OR to_regclass('pgbun_load_entry') IS NULL AS missing`,
    )
    // One message is one transaction, in statement mode as well.
    if (rows[0].missing) await client.query(`SELECT pg_advisory_xact_lock(${LOCK}); ${TABLES}`)
    // In the order of the numbers, as transfers lock them: a run that goes on at the same time is not deadlocked.
    await client.query(
      `INSERT INTO pgbun_load_account (id, balance) SELECT id, 1000 FROM generate_series(1, 1000) AS id ORDER BY id
       ON CONFLICT (id) DO UPDATE SET balance = excluded.balance`,
    )
  } finally {
    await client.end()
  }
}

/** @throws Error where money has been lost or made, or entries are not what was committed */
export async function checkTables({ address, id, tally }: Run): Promise<void> {
  const client = await connect(address)
  try {
    const accounts = await client.query(
      'SELECT count(*)::int AS count, sum(balance)::text AS sum FROM pgbun_load_account WHERE id BETWEEN 1 AND 1000',
    )
    const entries = await client.query('SELECT count(*)::int AS count FROM pgbun_load_entry WHERE run = $1', [id])
    await client.query('DELETE FROM pgbun_load_entry WHERE run = $1', [id])
    must('the number of accounts', accounts.rows[0].count, 1000)
    must('the sum of all balances', accounts.rows[0].sum, '1000000')
    // A client that failed does not know whether its last COMMIT was one.
    if (tally.errors + tally.mixUps === 0) must('the number of entries', entries.rows[0].count, tally.entries)
  } finally {
    await client.end()
  }
}
