/** What is known of a database's functions while PostgreSQL does not say which there are. */
import t from 'tap'
import { backend, type Message } from '../fixtures/messages.ts'
import { answerQueries, type ScriptedConnection } from '../fixtures/scripted-postgres.ts'
import { sqlOf, startLab } from './lab.ts'

// While there was no answer, nobody knew any more which functions leave what no reset takes away.
t.test('a function that keeps its client on its server does so while PostgreSQL does not answer', async (t) => {
  let answers = true
  let questions = 0
  const script = {
    onMessage(connection: ScriptedConnection, message: Message): void | Promise<void> {
      const sql = sqlOf(message)
      if (sql.startsWith('CREATE FUNCTION')) {
        connection.send(backend.commandComplete('CREATE FUNCTION'), backend.ready())
        return
      }
      if (!sql.includes('WITH RECURSIVE')) return answerQueries(connection, message)
      questions++
      if (answers) {
        const row = backend.dataRow('keeping', 'seeded', 'call')
        connection.send(backend.rowDescription('a', 'b', 'c'), row, backend.commandComplete('SELECT 1'))
      } else connection.send(backend.error('57014', 'canceling statement due to statement timeout'))
      connection.send(backend.ready())
    },
  }
  const lab = await startLab(t, { poolSize: 2, checkFunctions: true, script })
  const client = await lab.client()
  await client.rows('select 1')
  t.equal(questions, 1)
  answers = false
  await client.query('CREATE FUNCTION other() RETURNS int LANGUAGE sql AS $$SELECT 1$$')
  await client.rows('select 1')
  await lab.logged('cannot look into the functions')
  await client.rows('select other()')
  t.equal(lab.servers().active, 0, 'no other function keeps it')
  await client.rows('select seeded()')
  t.equal(lab.servers().active, 1)
})
