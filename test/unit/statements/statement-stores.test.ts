/** Each database has statements of its own, and all are one in memory. */
import t from 'tap'
import { NO_SETTING_VALUES } from '../../../lib/settings/setting-values.ts'
import { ClientStatements } from '../../../lib/statements/client-statements.ts'
import { ServerStatements } from '../../../lib/statements/server-statements.ts'
import { StatementStores } from '../../../lib/statements/statement-stores.ts'

const body = Buffer.from('select * from t\0\0\0')

t.test('a text is another statement in another database, and what is altered there may be the same', async (t) => {
  const stores = new StatementStores()
  const one = stores.of('one')
  const two = stores.of('two')
  t.equal(stores.of('one'), one)
  const account = one.join('user')
  const entry = one.hold(NO_SETTING_VALUES, body, account)
  t.not(two.hold(NO_SETTING_VALUES, body, two.join('user')), entry)
  two.alter()
  t.equal(one.find(NO_SETTING_VALUES, body), undefined)
  t.equal(two.find(NO_SETTING_VALUES, body), undefined)
})

t.test('they are counted together', async (t) => {
  const stores = new StatementStores()
  const names = new ClientStatements(stores.of('one'), 'user')
  const server = new ServerStatements(stores.of('two'))
  const other = new ClientStatements(stores.of('two'), 'user')
  const entry = other.hold(NO_SETTING_VALUES, body)
  server.add(entry).ready = true
  other.change('s', entry, 1)
  other.settle('s', true)
  const { bytes } = stores.of('one')
  t.ok(bytes > body.length)
  t.equal(names.judge(NO_SETTING_VALUES, body, 3 * bytes), 'user', 'the same user in another database')
  other.clear()
  t.ok(stores.of('one').bytes > 0, 'a server keeps it')
  // Room for one of them, as each user is to leave as much as it takes.
  t.equal(names.judge(NO_SETTING_VALUES, body, 2.6 * bytes), 'fits', 'it makes room for one of another database')
  t.equal(server.size, 0)
})

t.test('nothing is left of a database that nobody uses', async (t) => {
  const stores = new StatementStores()
  const names = new ClientStatements(stores.of('one'), 'user')
  const server = new ServerStatements(stores.of('one'))
  names.change('s', names.hold(NO_SETTING_VALUES, body), 1)
  server.add(names.get('s')!)
  names.destroy()
  t.equal(stores.databases, 1)
  server.destroy()
  t.equal(stores.databases, 0)
  t.equal(stores.of('one').bytes, 0)
})
