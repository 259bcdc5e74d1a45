/** Reading PostgreSQL's answer: which texts are suspected. The question itself: test/e2e/hidden-functions.test.ts. */
import t from 'tap'
import { ALL_HIDDEN, isAnswer, readFunctionSources, unanswered } from '../../../lib/sql/function-sources.ts'
import type { Suspicion } from '../../../lib/sql/suspect-words.ts'

const leaving = (...names: string[]): Suspicion | undefined =>
  readFunctionSources(names.map((name) => ['leaving', name, null])).leaving

t.test('names', async (t) => {
  t.equal(leaving(), undefined)
  const found = leaving('leave', 'a "b"', 'x$1', 'c.d+')!
  for (const text of ['leave()', 'select s.LEAVE (1)', '"a ""b"""()', 'x$1()', '"c.d+"', 'u&"x"'])
    t.ok(found.test(text), text)
  for (const text of ['leaves', 'xleave', 'leave$', 'leave_1', 'a b', 'x$10', 'cxd+']) t.notOk(found.test(text), text)
})

t.test('a name outside of ASCII: any text that has such letters, in whatever encoding', async (t) => {
  t.ok(leaving('grün', 'b')!.test(Buffer.from('select grün()').toString('latin1')))
  t.notOk(leaving('grün', 'b')!.test('select gr()'))
})

t.test('no name at all stands for every text', async (t) => {
  t.ok(leaving('a', '')!.test('SELECT 1'))
})

t.test('the other kinds', async (t) => {
  const rows = [
    ['defining', 'makes'],
    ['setting', 'app.x'],
  ]
  const found = readFunctionSources(rows)
  t.match(found, { leaving: undefined, settings: ['app.x'] })
  t.ok(found.defining?.test('CALL makes()'))
  t.equal(found.key, readFunctionSources([...rows].reverse()).key, 'their order does not matter')
})

t.test('functions count where they are called, keywords where they are names', async (t) => {
  const found = readFunctionSources([
    ['leaving', 'id', 'call'],
    ['leaving', 'select', 'call keyword'],
    ['leaving', 'table', 'keyword'],
    ['leaving', 'insert', null],
  ]).leaving!
  for (const text of [
    ...[
      'SELECT ID(1)',
      'select s."id" (1)',
      'select id/* */(1)',
      'select id -- x\n(1)',
      'insert into t default values',
    ],
    ...['SELECT "select"()', 'SELECT s.select()', 'SELECT s . /* x */ select()', 'SELECT s.--x\n select()'],
    ...['TABLE "table"', 'SELECT * FROM s.table'],
  ]) {
    t.ok(found.test(text), text)
  }
  for (const text of ['SELECT id, t.id FROM t WHERE (id) = 1', 'SELECT (1)', 'SELECT (SELECT 1)', 'TABLE t']) {
    t.notOk(found.test(text), text)
  }
})

t.test('there is an end to what is looked for', async (t) => {
  const many = Array.from({ length: 3000 }, (_, at) => ['leaving', `f${at}`, 'call'])
  t.throws(() => readFunctionSources(many), /more than/)
  t.throws(() => readFunctionSources([['excess', '30000 functions', '']]), /too much to look into: 30000 functions/)
})

t.test('what was known is not forgotten while there is no answer', async (t) => {
  const known = readFunctionSources([
    ['keeping', 'seeded', 'call'],
    ['defining', 'makes', 'call'],
    ['setting', 'app.tenant', ''],
  ])
  t.ok(isAnswer(known))
  t.notOk(isAnswer(ALL_HIDDEN))
  // Also where one question fails after the other.
  for (const then of [unanswered(known), unanswered(unanswered(known))]) {
    t.notOk(isAnswer(then))
    t.ok(then.leaving?.test('SELECT 1'), 'any statement may do anything')
    t.ok(then.readsSequences)
    t.ok(then.keeping?.test('SELECT seeded()'))
    t.notOk(then.keeping?.test('SELECT 1'))
    t.ok(then.defining?.test('SELECT makes()'))
    t.strictSame(then.settings, ['app.tenant'])
    t.notSame(then.key, known.key)
  }
  t.same(unanswered(ALL_HIDDEN), ALL_HIDDEN, 'nothing was known')
})
