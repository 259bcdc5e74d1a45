/** Pools are told apart up to a limit; those beyond are counted together for as long as they live. */
import t from 'tap'
import { DurationBook } from '../../../lib/pool/durations.ts'

t.test('pools beyond the limit are counted together, and no sum goes down', async (t) => {
  const book = new DurationBook(2)
  const [first, second, third] = [book.enter(), book.enter(), book.enter()]
  t.not(first, second)
  t.equal(third, book.others)
  t.same(
    [first, second, third].map((one) => book.isOwn(one!)),
    [true, true, false],
  )
  third!.query.record(5)
  book.leave(third!)
  t.equal(book.others.counts().query.sum, 5, 'what they counted stays')
  book.leave(first!)
  const fourth = book.enter()
  t.ok(book.isOwn(fourth), 'one that is forgotten makes room')
  t.equal(fourth.counts().query.sum, 0)
})
