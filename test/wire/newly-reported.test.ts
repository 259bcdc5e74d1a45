/**
 * A parameter that a server begins to report during a session, as modules that are loaded define them: from then on it is
 * known by its reports, as the others are, and applied once for whoever wants it.
 */
import t from 'tap'
import { backend } from '../fixtures/messages.ts'
import { queriesOf, startLab } from './lab.ts'

const ASKED = "SELECT 'set', 'my.level', pg_catalog.current_setting('my.level', true)"

t.test('a parameter reported for the first time', async (t) => {
  const lab = await startLab(t, {
    poolSize: 1,
    script: {
      onMessage(connection, message) {
        if (message.type !== 'Q') return
        const sql = message.body.toString()
        const value = /select enable_(\w+)|set_config\('my\.level', '([^']+)'/.exec(sql)
        if (value) connection.send(backend.parameterStatus('my.Level', (value[1] ?? value[2])!))
        else if (sql.includes('RESET "my"."level"')) connection.send(backend.parameterStatus('my.Level', ''))
        // Whose doing that was, no text has told.
        else if (sql.includes(ASKED)) {
          connection.send(backend.rowDescription('kind', 'name', 'value'), backend.dataRow('set', 'my.level', 'high'))
        }
        connection.send(backend.commandComplete('SELECT 0'), backend.ready())
      },
    },
  })
  const one = await lab.client()
  const other = await lab.client()
  const server = await lab.server.connection(0)
  await one.query('select enable_high()')
  await other.query('select 1')
  await one.query('select 2')
  await other.query('select 3')
  t.strictSame(queriesOf(server), [
    'select enable_high()',
    ASKED,
    'RESET "my"."level"',
    'select 1',
    "SELECT pg_catalog.set_config('my.level', 'high', false)",
    'select 2',
    'RESET "my"."level"',
    'select 3',
  ])
})
