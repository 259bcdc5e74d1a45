/** The startup parameter `replication`, read as PostgreSQL reads it (parse_bool, and `database`). */
import t from 'tap'
import { readReplicationMode } from '../../../lib/protocol/replication-mode.ts'

t.test('every spelling of the two booleans, and nothing else', async (t) => {
  for (const value of ['t', 'tr', 'tru', 'true', 'TRUE', 'y', 'ye', 'yes', 'on', 'On', '1']) {
    t.equal(readReplicationMode(value), 'physical', value)
  }
  for (const value of ['f', 'fa', 'fal', 'fals', 'false', 'n', 'no', 'of', 'off', 'OFF', '0']) {
    t.equal(readReplicationMode(value), 'none', value)
  }
  for (const value of ['', 'o', 'truer', 'yess', ' on', '2', '10', 'Database', 'databas', 'logical']) {
    t.equal(readReplicationMode(value), undefined, value)
  }
  t.equal(readReplicationMode('database'), 'logical')
})
