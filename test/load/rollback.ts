/**
 * The scenario `rollback`: transactions that fail, are rolled back, or lose their client in the middle. Nothing of them is
 * seen afterwards, and the connection, or the next one, works.
 */
import type { LoadClient } from './client.ts'
import { must, own, type Scenario } from './scenario.ts'

/** division_by_zero, in_failed_sql_transaction. */
const DIVISION = '22012'
const FAILED = '25P02'

const WAYS = [failed, undone, failedCommit, undoneInPart, failed, undone, undoneInPart, vanished] as const

export const rollback: Scenario = {
  says: 'of what failed, was rolled back or lost its client, nothing is seen',
  modes: ['session', 'transaction'],
  because: 'statement mode refuses transactions',
  roundsPerSession: 8,
  session(client) {
    return async (round) => {
      const kept = await WAYS[(client.index + round) % WAYS.length]!(client, round)
      await afterwards(client, round, kept)
    }
  },
}

/** Half of a transfer, and an entry that is not to stay. */
async function beginHalf(client: LoadClient, round: number): Promise<void> {
  await client.begin()
  await client.addEntry(round)
  await client.move(client.accounts(round)[0], -1)
}

async function fail(client: LoadClient): Promise<void> {
  await client.refused(DIVISION, 'SELECT 1 / $1::int', [0])
  await client.refused(FAILED, 'SELECT 1')
}

/** An error, then ROLLBACK. */
async function failed(client: LoadClient, round: number): Promise<number> {
  await beginHalf(client, round)
  await fail(client)
  must('the end of a failed transaction', await client.finish('ROLLBACK'), 'ROLLBACK')
  return 0
}

/** An error, then COMMIT, of which PostgreSQL makes ROLLBACK. */
async function failedCommit(client: LoadClient, round: number): Promise<number> {
  await beginHalf(client, round)
  await fail(client)
  must('COMMIT of a failed transaction', await client.finish('COMMIT'), 'ROLLBACK')
  return 0
}

/** ROLLBACK of what went well. */
async function undone(client: LoadClient, round: number): Promise<number> {
  await beginHalf(client, round)
  must('the end of a transaction', await client.finish('ROLLBACK'), 'ROLLBACK')
  return 0
}

/** An error behind a savepoint: what stood before it stays. */
async function undoneInPart(client: LoadClient, round: number): Promise<number> {
  const [low, high] = client.accounts(round)
  await client.begin()
  await client.addEntry(round)
  await client.query('SAVEPOINT half')
  await client.addEntry(round)
  await client.move(low, -1)
  await fail(client)
  await client.query('ROLLBACK TO SAVEPOINT half')
  await client.move(low, -1)
  await client.move(high, 1)
  must('the end of a transaction', await client.finish(), 'COMMIT')
  client.run.tally.entries++
  return 1
}

/** The client's socket is gone in the middle; another takes its place. */
async function vanished(client: LoadClient, round: number): Promise<number> {
  await beginHalf(client, round)
  client.vanish()
  await client.connect()
  return 0
}

async function afterwards(client: LoadClient, round: number, kept: number): Promise<void> {
  // Behind a client that has vanished, this waits until PostgreSQL has let go of its transaction.
  const [low] = client.accounts(round)
  const locked = await client.single('SELECT id FROM pgbun_load_account WHERE id = $1 FOR UPDATE', [low])
  own('the account that was locked', locked?.id, low)
  const text = 'SELECT count(*)::int AS count FROM pgbun_load_entry WHERE run = $1 AND note = $2'
  const entries = await client.single(text, [client.run.id, client.tag(round)])
  must('the number of entries that are seen of a transaction', entries?.count, kept)
}
