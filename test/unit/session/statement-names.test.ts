/** Names of prepared statements in SQL (SQL commands "PREPARE", "EXECUTE", "DEALLOCATE"). */
import t from 'tap'
import { soleDeallocated, spokenNames } from '../../../lib/session/statement-names.ts'

t.test('a text that deallocates one statement and does nothing else', async (t) => {
  t.equal(soleDeallocated('DEALLOCATE a'), 'a')
  t.equal(soleDeallocated(' deallocate prepare Pdo_Stmt_01 ; '), 'pdo_stmt_01', 'folded as PostgreSQL does')
  t.equal(soleDeallocated('DEALLOCATE "Mine ""x"""'), 'Mine "x"')
  t.equal(soleDeallocated('DEALLOCATE "all"'), 'all')
  for (const sql of ['DEALLOCATE ALL', 'DEALLOCATE PREPARE ALL', 'DEALLOCATE a; SELECT 1', 'DEALLOCATE', 'SELECT 1']) {
    t.equal(soleDeallocated(sql), undefined, sql)
  }
  t.equal(soleDeallocated(`DEALLOCATE ${'n'.repeat(64)}`), undefined, 'PostgreSQL would cut it off')
})

t.test('the names a text speaks of, in order', async (t) => {
  t.strictSame(spokenNames('EXECUTE a(1); DEALLOCATE b; DEALLOCATE ALL; PREPARE "C" AS SELECT 1'), [
    { name: 'a', deallocated: false },
    { name: 'b', deallocated: true },
    { name: 'C', deallocated: false },
  ])
  t.strictSame(spokenNames('SELECT executed FROM prepares'), [])
})
