/** Statements that a server has under the names of its clients. */
import t from 'tap'
import { NO_SETTING_VALUES } from '../../../lib/settings/setting-values.ts'
import { LentNames } from '../../../lib/statements/lent-names.ts'
import { ServerStatements } from '../../../lib/statements/server-statements.ts'
import { type StatementEntry, StatementStore } from '../../../lib/statements/shared-statements.ts'

const store = new StatementStore()
const account = store.join('alice')
const entry = (sql: string): StatementEntry => store.hold(NO_SETTING_VALUES, Buffer.from(`${sql}\0\0\0`), account)
const one = entry('SELECT 1')
const two = entry('SELECT 2')

function lab() {
  const statements = new ServerStatements(store)
  const names = new LentNames(statements)
  const retired = (): string[] => statements.takeRetired().map((name) => name.toString('latin1'))
  return { names, retired }
}

t.test('a name that is lent has its statement, until that is doubted', async (t) => {
  const { names } = lab()
  t.ok(names.none)
  names.lend('a', one)
  t.ok(names.has('a', one))
  t.notOk(names.has('a', two))
  names.doubt('a')
  t.notOk(names.has('a', one))
  t.ok(names.mayHave('a'), 'it may be there still')
  names.doubt('b')
  t.notOk(names.mayHave('b'), 'doubt puts nothing there')
})

t.test('what was to stay is closed behind its last use, unless it is gone', async (t) => {
  const { names, retired } = lab()
  for (const name of ['a', 'b']) {
    names.lend(name, one)
    names.keep(name)
  }
  names.lend('c', two)
  names.forget('b')
  t.ok(names.keeps)
  names.retireLent()
  t.notOk(names.keeps)
  t.strictSame(retired(), ['a\0'])
  t.notOk(names.none, 'the server has not confirmed it')
  t.ok(names.closing('a'))
  t.notOk(names.closing('pgbun_1'), 'no name of a client')
})

t.test('a Close by the client itself goes to the server where the statement is there for certain', async (t) => {
  const { names } = lab()
  names.lend('a', one)
  t.ok(names.closingOwn('a'))
  t.notOk(names.closingOwn('a'))
  t.ok(names.mayHave('a'), 'the Close may fail')
  t.notOk(names.closingOwn('b'))
})

t.test('a name that is forgotten need not be closed', async (t) => {
  const { names, retired } = lab()
  names.leave('a')
  t.ok(names.mayHave('a'))
  names.forget('a')
  t.ok(names.none)
  t.strictSame(retired(), [])
})

t.test('all is gone where the server has deallocated all, but for what is prepared behind that', async (t) => {
  const { names, retired } = lab()
  names.lend('a', one)
  names.keep('a')
  names.leaveNameless()
  names.deallocated(true)
  t.ok(names.mayHave('a'))
  t.notOk(names.has('a', one))
  names.deallocated(false)
  t.ok(names.none)
  t.notOk(names.keeps)
  names.lend('a', two)
  names.retireLent()
  t.strictSame(retired(), [], 'what was to stay before has no part in what is lent now')
})

t.test('code may have deallocated any', async (t) => {
  const { names } = lab()
  names.lend('a', one)
  names.lend('b', two)
  names.doubtAll()
  t.notOk(names.has('a', one) || names.has('b', two))
  t.ok(names.mayHave('a') && names.mayHave('b'))
})
