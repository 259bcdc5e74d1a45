/** Prepared statements shared by clients: who holds an entry, and when it goes. */
import t from 'tap'
import { NO_SETTING_VALUES, SettingValues } from '../../../lib/settings/setting-values.ts'
import { ClientStatements } from '../../../lib/statements/client-statements.ts'
import { Description } from '../../../lib/statements/description.ts'
import { ServerStatements } from '../../../lib/statements/server-statements.ts'
import { agrees, StatementStore, speaksOfSession } from '../../../lib/statements/shared-statements.ts'
import type { StatementAccount } from '../../../lib/statements/statement-memory.ts'

/** Of the one user there is. */
const account = (store: StatementStore): StatementAccount => store.join('user')
const body = (sql: string): Buffer => Buffer.from(`${sql}\0\0\0`)

t.test('one entry per text and settings, for as long as somebody holds it', async (t) => {
  const store = new StatementStore()
  const one = store.hold(NO_SETTING_VALUES, body('select 1'), account(store))
  t.equal(store.hold(NO_SETTING_VALUES, body('select 1'), account(store)), one)
  t.not(store.hold(new SettingValues(new Map([['datestyle', 'German']])), body('select 1'), account(store)), one)
  t.not(store.hold(NO_SETTING_VALUES, body('select 2'), account(store)), one)
  t.equal(store.size, 3)
  store.releaseName(one, account(store))
  t.equal(store.size, 3, 'it is held once more')
  store.releaseName(one, account(store))
  t.equal(store.size, 2)
  const { bytes } = store
  t.ok(bytes > 2 * body('select 1').length)
  store.hold(NO_SETTING_VALUES, body('select 2'), account(store))
  t.ok(store.bytes - bytes < bytes / 2, 'a name, and no text')
})

t.test('an entry does not look into the chunk it came in', async (t) => {
  const store = new StatementStore()
  const chunk = body('select 1')
  const entry = store.hold(NO_SETTING_VALUES, chunk, account(store))
  chunk.fill(0xff)
  t.strictSame(entry.body, body('select 1'))
})

t.test("a client's names let go of what they stood for", async (t) => {
  const store = new StatementStore()
  const names = new ClientStatements(store, 'user')
  const change = (name: string, sql: string | undefined): void => {
    names.change(name, sql === undefined ? undefined : store.hold(NO_SETTING_VALUES, body(sql), account(store)), 1)
    names.settle(name, true)
  }
  change('a', 'select 1')
  change('b', 'select 1')
  change('a', 'select 2')
  t.equal(store.size, 2)
  change('b', undefined)
  change('b', undefined)
  t.equal(store.size, 1)
  t.equal(names.get('b'), undefined)
  names.clear()
  t.strictSame([names.size, store.size, store.bytes], [0, 0, 0])
})

t.test('a name is what the server made of it, and what is under way counts for its own batch alone', async (t) => {
  const store = new StatementStore()
  const names = new ClientStatements(store, 'user')
  const [old, fresh] = ['select 1', 'select 2'].map((sql) => store.hold(NO_SETTING_VALUES, body(sql), account(store)))
  names.change('a', old, 1)
  t.equal(names.get('a'), old)
  t.ok(names.certain('a', 1))
  t.notOk(names.certain('a', 2), 'the next batch has to wait for the answer')
  t.ok(names.certain('b', 2))
  names.settle('a', true)
  t.ok(names.certain('a', 2))

  names.change('a', undefined, 2)
  names.change('a', fresh, 2)
  t.equal(names.get('a'), fresh)
  names.settle('a', false)
  names.settle('a', false)
  t.equal(names.get('a'), old, 'a Close and a Parse behind an error have not happened')
  t.equal(store.size, 1)

  names.change('c', store.hold(NO_SETTING_VALUES, body('select 3'), account(store)), 3)
  names.change('c', undefined, 3)
  names.settle('c', false)
  names.settle('c', false)
  t.equal(names.get('c'), undefined, 'nor have a Parse and a Close')

  names.change('d', store.hold(NO_SETTING_VALUES, body('select 4'), account(store)), 4)
  names.destroy()
  names.settle('d', true)
  t.strictSame([names.size, store.size], [0, 0], 'nothing is left behind by a session that ends meanwhile')
})

t.test('a server keeps the statements used last', async (t) => {
  const store = new StatementStore()
  const server = new ServerStatements(store)
  const entries = [1, 2, 3].map((i) => store.hold(NO_SETTING_VALUES, body(`select ${i}`), account(store)))
  const slots = entries.map((entry) => server.add(entry))
  t.equal(new Set(slots.map((slot) => slot.name.toString())).size, 3, 'each under a name of its own')
  t.equal(server.overflow(1), undefined, 'what is not confirmed cannot be closed')
  for (const slot of slots) slot.ready = true
  server.use(entries[0]!)
  t.equal(server.overflow(2), slots[1], 'the least recently used')
  t.equal(server.overflow(3), undefined)
  server.remove(slots[1]!)
  server.remove(slots[1]!)
  t.equal(server.size, 2)
  for (const entry of entries) store.releaseName(entry, account(store))
  t.equal(store.size, 2, 'the server still has two')
  server.destroy()
  t.equal(store.size, 0)
})

t.test('a statement prepared anew leaves its old name to be closed', async (t) => {
  const store = new StatementStore()
  const server = new ServerStatements(store)
  const entry = store.hold(NO_SETTING_VALUES, body('select 1'), account(store))
  const old = server.add(entry)
  const fresh = server.add(entry)
  t.equal(server.use(entry), fresh)
  t.strictSame(server.takeRetired(), [old.name])
  t.strictSame(server.takeRetired(), [])
  server.remove(old)
  t.equal(server.use(entry), fresh, 'the old slot is gone already')
})

t.test('DEALLOCATE ALL takes what was confirmed', async (t) => {
  const store = new StatementStore()
  const server = new ServerStatements(store)
  const [done, under] = ['select 1', 'select 2'].map((sql) => store.hold(NO_SETTING_VALUES, body(sql), account(store)))
  server.add(done!).ready = true
  server.add(under!)
  server.clear()
  t.equal(server.use(done!), undefined)
  t.ok(server.use(under!))
})

t.test('a statement that was sent and not confirmed counts for its own batch alone', async (t) => {
  const store = new StatementStore()
  const server = new ServerStatements(store)
  const entry = store.hold(NO_SETTING_VALUES, body('select 1'), account(store))
  t.ok(server.certain(entry, 7), 'it is not there for sure')
  const slot = server.add(entry, 7)
  t.ok(server.certain(entry, 7))
  t.notOk(server.certain(entry, 8))
  slot.ready = true
  t.ok(server.certain(entry, 8))
})

t.test('after a change of what texts mean, names given from then on stand for new entries', async (t) => {
  const store = new StatementStore()
  const server = new ServerStatements(store)
  const old = store.hold(NO_SETTING_VALUES, body('select 1'), account(store))
  server.add(old).ready = true
  server.alter()
  const inside = store.hold(NO_SETTING_VALUES, body('select 1'), account(store))
  t.not(inside, old)
  t.equal(server.use(inside), undefined)
  t.ok(server.use(old), 'a name given before is what it was')
  t.ok(server.altering, 'until the transaction is over')
  server.altered()
  const fresh = store.hold(NO_SETTING_VALUES, body('select 1'), account(store))
  t.not(fresh, inside)
  t.equal(store.hold(NO_SETTING_VALUES, body('select 1'), account(store)), fresh)
  store.releaseName(inside, account(store))
  store.releaseName(old, account(store))
  t.equal(store.find(NO_SETTING_VALUES, body('select 1')), fresh, 'old entries go by themselves')
  server.destroy()
  t.equal(store.size, 1)
})

t.test('what turns out to be something else is another entry from then on', async (t) => {
  const store = new StatementStore()
  const server = new ServerStatements(store)
  const names = new ClientStatements(store, 'user')
  const [old, fresh] = [undefined, Buffer.alloc(2)].map((row) => new Description(Buffer.alloc(2), row))
  const entry = names.hold(NO_SETTING_VALUES, body('select 1'))
  names.change('a', entry, 1)
  names.settle('a', true)
  t.ok(agrees(entry, old!), 'the first to come')
  t.ok(agrees(entry, old!))
  t.notOk(agrees(entry, fresh!))
  const slot = server.add(entry)
  entry.outdated = true
  const variant = names.become('a', entry, entry.body, fresh!)!
  server.rehome(slot, variant)
  t.equal(names.get('a'), variant)
  t.equal(server.use(variant), slot)
  t.equal(server.use(entry), undefined)
  t.equal(names.become('a', entry, entry.body, old!), undefined, 'it stands for something else by now')
  const other = names.hold(NO_SETTING_VALUES, body('select 1'))
  t.equal(other, variant, 'whoever prepares it gets that one')
  names.change('b', other, 2)
  names.settle('b', true)
  server.discard(slot)
  t.strictSame(server.takeRetired(), [slot.name])
  names.destroy()
  t.strictSame([store.size, store.bytes], [0, 0])
})

t.test('texts that speak of their session are shared by nobody', async (t) => {
  const store = new StatementStore()
  const hold = (text: string): unknown => store.hold(NO_SETTING_VALUES, body(text), account(store))
  for (const text of ['execute a', ' /* x */ EXECUTE a(1)', 'fetch 1 from c', '-- x\n;Fetch c']) {
    t.ok(speaksOfSession(text), text)
    t.not(hold(text), hold(text))
  }
  for (const text of ['select 1 fetch first row only', 'executed', 'explain execute a', '/* fetch', '']) {
    t.notOk(speaksOfSession(text), text)
    t.equal(hold(text), hold(text))
  }
})

t.test('a change under way when its server is lost may have been made', async (t) => {
  const store = new StatementStore()
  const server = new ServerStatements(store)
  server.alter()
  const entry = store.hold(NO_SETTING_VALUES, body('select 1'), account(store))
  server.destroy()
  t.not(store.hold(NO_SETTING_VALUES, body('select 1'), account(store)), entry)
})

t.test('one user gets half of the memory, the next half of the rest', async (t) => {
  const store = new StatementStore()
  const limit = 10_000_000
  const fill = (user: string, size: number): number => {
    const account = store.join(user)
    let count = 0
    for (
      ;
      store.judge(NO_SETTING_VALUES, body(`${user} ${count} ${'x'.repeat(size)}`), account, limit) === 'fits';
      count++
    ) {
      store.hold(NO_SETTING_VALUES, body(`${user} ${count} ${'x'.repeat(size)}`), account)
    }
    t.equal(store.judge(NO_SETTING_VALUES, body('x'.repeat(size)), account, limit), 'user')
    return count * size
  }
  const [one, two, three] = [fill('one', 100_000), fill('two', 50_000), fill('three', 20_000)] as [
    number,
    number,
    number,
  ]
  t.ok(one > 4_500_000 && one <= limit / 2, `${one}`)
  t.ok(two > 2_000_000 && two <= limit / 4, `${two}`)
  t.ok(three > 900_000 && three <= limit / 8, `${three}`)
  t.ok(store.bytes < limit)
  const text = body(`one 0 ${'x'.repeat(100_000)}`)
  t.equal(
    store.judge(NO_SETTING_VALUES, text, store.join('four'), limit),
    'fits',
    'what others have, too, is counted in full',
  )
  t.equal(store.judge(NO_SETTING_VALUES, text, store.join('one'), limit), 'user', 'a name takes memory by itself')
  t.equal(store.judge(NO_SETTING_VALUES, body('x'.repeat(limit)), store.join('five'), limit), 'all')
})

t.test('long texts and long settings are kept once', async (t) => {
  const store = new StatementStore()
  const long = body(`select '${'x'.repeat(100_000)}'`)
  const one = store.hold(NO_SETTING_VALUES, long, account(store))
  t.equal(store.hold(NO_SETTING_VALUES, Buffer.from(long), account(store)), one)
  t.ok(store.bytes < 105_000, `${store.bytes}`)
  const wanting = (value: string): SettingValues => new SettingValues(new Map([['app.text', value]]))
  const large = store.hold(wanting('y'.repeat(1_000_000)), long, account(store))
  t.not(large, one)
  t.equal(store.hold(wanting('y'.repeat(1_000_000)), long, account(store)), large)
  t.not(store.hold(wanting(`${'y'.repeat(999_999)}z`), long, account(store)), large)
  t.equal(large.settings.values, undefined)
  t.ok(store.bytes < 315_000, `${store.bytes}`)
})
