/** Readers that take nothing keep a bounded number of answers in memory, for a bounded time. */

import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import t from 'tap'
import { UnreadAnswers } from '../../../lib/http/unread-answers.ts'
import { waitFor } from '../../fixtures/wait.ts'

class Response extends EventEmitter {
  destroyed = false
  destroy(): void {
    this.destroyed = true
    this.emit('close')
  }
}
const begin = (answers: UnreadAnswers): Response => {
  const response = new Response()
  answers.begin(response as unknown as ServerResponse)
  return response
}

t.test('a limit, and a time', async (t) => {
  const answers = new UnreadAnswers(50)
  const first = begin(answers)
  const others = Array.from({ length: 19 }, () => begin(answers))
  t.notOk(answers.hasRoom)
  first.emit('close')
  t.ok(answers.hasRoom, 'one was taken')
  await waitFor(() => others.every(({ destroyed }) => destroyed), { what: 'the others to be cut' })
  t.notOk(first.destroyed)
  const more = Array.from({ length: 19 }, () => begin(answers))
  t.ok(answers.hasRoom, 'each was counted off once')
  for (const one of more) one.emit('close')
})
