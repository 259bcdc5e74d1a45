/** The answer to a query of the pooler's own, in whatever pieces it comes. */
import t from 'tap'
import { QueryResult } from '../../../lib/server/query-result.ts'
import { backend } from '../../fixtures/messages.ts'

const messages = [
  backend.rowDescription('a', 'b'),
  backend.dataRow('one', null),
  backend.notification(7, 'channel', 'payload'),
  backend.dataRow('', 'two'),
  backend.commandComplete('SELECT 2'),
  backend.ready('I'),
]

t.test('pieces of any size', async (t) => {
  const all = Buffer.concat(messages)
  for (const size of [1, 2, 3, 5, 7, all.length]) {
    const answer = new QueryResult()
    for (let at = 0; at < all.length; at += size) answer.add(all.subarray(at, at + size))
    t.strictSame(
      answer.rows(),
      [
        ['one', null],
        ['', 'two'],
      ],
      `pieces of ${size}`,
    )
    t.strictSame(answer.notifications(0, 0), [messages[2]])
  }
})

t.test('too long', async (t) => {
  const answer = new QueryResult()
  for (let i = 0; i < 3; i++) answer.add(backend.dataRow('x'.repeat(400 * 1024)))
  answer.add(messages[2]!)
  t.ok(answer.tooLong)
  t.throws(() => answer.rows(), { message: 'answer too long' })
  t.strictSame(answer.notifications(0, 0), [messages[2]], 'what the client waits for is not lost')
  answer.forgetRows()
  answer.add(messages[1]!)
  t.strictSame(answer.rows(), [['one', null]], 'asked again')
})
