/** Scenarios without transactions: what also works in statement mode. */
import type { LoadClient } from './client.ts'
import { own, type Scenario } from './scenario.ts'

const ALL = ['session', 'transaction', 'statement'] as const

/** Single statements only: named ones of the same name with another text for each client, and INSERT … RETURNING. */
export const statement: Scenario = {
  says: 'single statements only, each committed by itself',
  modes: ALL,
  because: '',
  roundsPerSession: 10,
  session: statements,
}

/** That statement mode refuses a transaction, and that single statements work afterwards. */
export const statementMode: Scenario = {
  says: 'in statement mode: a transaction is refused, single statements work',
  modes: ['statement'],
  because: 'it checks that statement mode refuses transactions',
  roundsPerSession: 10,
  session(client) {
    const round = statements(client)
    return async (number) => {
      if (number % 20 === 0) await client.beginRefused()
      await round(number)
    }
  },
}

function statements(client: LoadClient): (round: number) => Promise<void> {
  const { run, index } = client
  return async (round) => {
    const tag = client.tag(round)
    // The client's number is part of the text: who gets the statement of another client by the name sees it.
    const mine = await client.single(`SELECT ${index}::int AS client, $1::text AS tag`, [tag], 'mine')
    own('the client of a named statement', mine?.client, index)
    own('the answer to a named statement', mine?.tag, tag)

    const row = await client.addEntry(round)
    run.tally.transactions++
    run.tally.entries++
    own('the note of the row inserted', row?.note, tag)
    own('the client of the row inserted', row?.client, index)
    const read = await client.single('SELECT run, note FROM pgbun_load_entry WHERE id = $1', [row.id], 'entry')
    own('the run of the row read', read?.run, run.id)
    own('the note of the row read', read?.note, tag)

    const plain = await client.single(`SELECT '${tag}' AS tag`)
    own('the answer to a query without parameters', plain?.tag, tag)
  }
}
