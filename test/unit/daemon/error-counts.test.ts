/** Errors are told apart by database and SQLSTATE as long as there are not too many of them, and none is lost. */
import t from 'tap'
import { ErrorCounts } from '../../../lib/daemon/error-counts.ts'

t.test('kinds are bounded', async (t) => {
  const errors = new ErrorCounts()
  for (let i = 0; i < 3000; i++) for (const code of ['22012', '23505']) errors.add(`db${i}`, code)
  errors.add('db0', '22012')
  const all = [...errors.all()]
  t.equal(all.length, 2001)
  t.same(all[0], { database: 'db0', sqlstate: '22012', count: 2 })
  t.equal(
    all.reduce((sum, { count }) => sum + count, 0),
    6001,
  )
})
