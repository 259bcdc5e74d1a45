/** Names of prepared statements in SQL (SQL commands "PREPARE", "EXECUTE", "DEALLOCATE"). */
import t from 'tap'
import { type SpokenName, statementNames } from '../../../lib/sql/statement-names.ts'

const soleDeallocated = (sql: string): string | undefined => statementNames(sql).sole
const namedInSql = (sql: string): readonly SpokenName[] => statementNames(sql).names

t.test('a text that deallocates one statement and does nothing else', async (t) => {
  t.equal(soleDeallocated('DEALLOCATE a'), 'a')
  t.equal(soleDeallocated(' deallocate prepare Pdo_Stmt_01 ; '), 'pdo_stmt_01', 'folded as PostgreSQL does')
  t.equal(soleDeallocated('DEALLOCATE "Mine ""x"""'), 'Mine "x"')
  t.equal(soleDeallocated('DEALLOCATE "all"'), 'all')
  t.equal(soleDeallocated('DEALLOCATE prepare'), 'prepare')
  t.equal(soleDeallocated('/* x */ ; DEALLOCATE -- y\n a;;'), 'a')
  t.equal(soleDeallocated('DEALLOCATE U&"\\0061b"'), 'ab')
  t.equal(soleDeallocated('DEALLOCATE U&"!0061!+0000e9\\" UESCAPE \'!\''), 'a\xc3\xa9\\')
  t.equal(soleDeallocated('DEALLOCATE U&"!b" UESCAPE \'!\''), undefined, 'PostgreSQL refuses it')
  t.equal(soleDeallocated('DEALLOCATE \xc3\x89A'), '\xc3\x89a', 'bytes of other letters stay')
  for (const sql of ['DEALLOCATE ALL', 'DEALLOCATE PREPARE ALL', 'DEALLOCATE a; SELECT 1', 'DEALLOCATE', 'SELECT 1']) {
    t.equal(soleDeallocated(sql), undefined, sql)
  }
  t.equal(soleDeallocated(`DEALLOCATE ${'n'.repeat(64)}`), undefined, 'PostgreSQL would cut it off, and say so')
})

t.test('the names a text speaks of, in order', async (t) => {
  t.strictSame(namedInSql('EXECUTE a(1); DEALLOCATE b; DEALLOCATE ALL; PREPARE "C" AS SELECT 1'), [
    { name: 'a', does: 'execute' },
    { name: 'b', does: 'deallocate' },
    { name: 'C', does: 'prepare' },
  ])
  const named = (sql: string): string[] => namedInSql(sql).map(({ name }) => name)
  t.strictSame(named('SELECT executed FROM prepares'), [])
  t.strictSame(named("SELECT 'deallocate foo'; DEALLOCATE bar; /* execute x */ SELECT $$ prepare y $$"), ['bar'])
  const forms = 'EXECUTE /* c */ a; EXECUTE U&"b"; EXPLAIN (ANALYZE) EXECUTE c; CREATE TABLE t AS EXECUTE d'
  t.strictSame(named(forms), ['a', 'b', 'c', 'd'])
  t.strictSame(named("PREPARE TRANSACTION 'x'"), [])
  t.strictSame(named('PREPARE transaction AS SELECT 1'), ['transaction'])
  t.strictSame(named("DO $$ BEGIN EXECUTE 'EXECUTE a'; EXECUTE 'DEALLOCATE b'; END $$"), ['a'], 'code may run it')
  t.strictSame(named("SELECT '\\'; DEALLOCATE a"), ['a'], 'a text that may mean two things')
  t.strictSame(named(`EXECUTE ${'\xc3\xa9'.repeat(40)}`), ['\xc3\xa9'.repeat(31)], 'cut off between characters')
})

t.test('what the last of several statements deallocates', async (t) => {
  t.strictSame(statementNames('SELECT 1; DEALLOCATE a').last, { before: 1, name: 'a' })
  t.strictSame(statementNames("SELECT ';'; SELECT 2; DEALLOCATE /* c */ PREPARE ALL;").last, {
    before: 2,
    name: undefined,
  })
  for (const sql of ['DEALLOCATE a', 'DEALLOCATE a; SELECT 1', "SELECT '; DEALLOCATE a"]) {
    t.equal(statementNames(sql).last, undefined, sql)
  }
})

t.test('code that may deallocate without saying what', async (t) => {
  const hides = (sql: string): boolean => statementNames(sql).hidden
  t.ok(hides('DO $$ BEGIN DEALLOCATE ALL; END $$'))
  t.ok(hides("CALL run('discard plans')"))
  t.ok(hides("SELECT '\\'; DO 'DISCARD ALL'"))
  t.notOk(hides('DO $$ BEGIN END $$'))
  t.notOk(hides('DEALLOCATE ALL'))
})

t.test('a portal that deallocates when it is run', async (t) => {
  for (const sql of [
    'DEALLOCATE a',
    '/* x */ ; -- y\n discard all',
    "DO 'DEALLOCATE a'",
    "SELECT '\\'; CALL f('discard')",
  ]) {
    t.ok(statementNames(sql).deallocates, sql)
  }
  for (const sql of [
    'SELECT 1',
    'SELECT 1; DEALLOCATE a',
    'DEALLOCATED',
    'EXECUTE a',
    "DO 'EXECUTE a'",
    '/* DEALLOCATE a',
  ]) {
    t.notOk(statementNames(sql).deallocates, sql)
  }
  t.ok(statementNames('SELECT 1; DISCARD ALL').mayDeallocate)
  t.notOk(statementNames('EXECUTE a').mayDeallocate)
})
