/**
 * A server told to end while it answered a query of pgbun's own: its FATAL went to pgbun, and the client, taken to have
 * heard it, was told nothing but the end of its connection; later no more than 08006.
 */
import t from 'tap'
import { backend, frontend, parse } from '../fixtures/messages.ts'
import { typesOf } from '../fixtures/raw-client.ts'
import { answerQueries } from '../fixtures/scripted-postgres.ts'
import { sqlOf, startLab } from '../wire/lab.ts'

t.test('the client is told that its server is gone', async (t) => {
  const lab = await startLab(t, {
    poolSize: 1,
    script: {
      onMessage(connection, message) {
        if (message.type !== 'Q' || !sqlOf(message).includes('pg_')) return answerQueries(connection, message)
        connection.end(backend.error('57P01', 'terminating connection due to administrator command', 'FATAL'))
      },
    },
  })
  const client = await lab.client()
  client.send(frontend.query('create temp table x (a int)'))
  const messages = await client.expectClosed()
  t.equal(typesOf(messages), 'CZE')
  t.match(parse.fields(messages.at(-1)!.body), { S: 'FATAL', C: '57P01', M: /administrator command/ })
})
