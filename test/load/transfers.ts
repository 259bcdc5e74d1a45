/** The scenario `load`: tagged queries, and transfers between two accounts. In statement mode, the queries alone. */
import { own, type Scenario } from './scenario.ts'

export const load: Scenario = {
  says: 'tagged queries and transfers between accounts (statement mode: the queries alone)',
  modes: ['session', 'transaction', 'statement'],
  because: '',
  roundsPerSession: 10,
  session(client) {
    return async (round) => {
      const tag = client.tag(round)
      const [low, high] = client.accounts(round)
      // Every third by a name that all clients have given to this text.
      const name = round % 3 === 2 ? 'balance_of' : undefined
      const text = 'SELECT $1::text AS tag, id, balance FROM pgbun_load_account WHERE id = $2'
      const row = await client.single(text, [tag, low], name)
      own('the answer to a query', row?.tag, tag)
      own('the account that was asked for', row?.id, low)
      if (client.run.statementsOnly || round % 4 !== 3) return

      await client.begin()
      await client.move(low, -1)
      await client.move(high, 1)
      const { note } = await client.addEntry(round)
      own('the note of the row inserted', note, tag)
      await client.finish()
      client.run.tally.entries++
    }
  },
}
