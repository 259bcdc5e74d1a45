/** Followers of events: a slow one is written nothing, and gets the whole picture when it has caught up. */

import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import t from 'tap'
import { EventStream } from '../../../lib/http/stream.ts'
import { createCounters } from '../../../lib/pool/counters.ts'
import { waitFor } from '../../fixtures/wait.ts'

/** A response whose reader takes nothing while `full`. */
class Reader extends EventEmitter {
  full = false
  readonly events: string[] = []
  writeHead(): void {}
  write(text: string): boolean {
    this.events.push(/^event: (\w+)/.exec(text)![1]!)
    return !this.full
  }
  destroy(): void {
    this.emit('close')
  }
}

t.test('a slow follower misses events and gets the whole picture again', async (t) => {
  let looks = 0
  const stream = new EventStream({
    counts: () => {
      looks++
      return { clientCount: 0, pools: [], servers: [], forgotten: createCounters(), forgottenByDatabase: [] }
    },
  })
  const [fast, slow] = [new Reader(), new Reader()]
  slow.full = true
  stream.follow(fast as unknown as ServerResponse)
  stream.follow(slow as unknown as ServerResponse)
  await waitFor(() => fast.events.length >= 3)
  t.same(slow.events, ['snapshot'], 'nothing is kept for it')
  slow.full = false
  slow.emit('drain')
  await waitFor(() => slow.events.length >= 3)
  t.same(slow.events.slice(0, 3), ['snapshot', 'snapshot', 'delta'])
  t.same(new Set(fast.events.slice(1)), new Set(['delta']))
  t.ok(looks <= fast.events.length, 'one look is for all')
  fast.destroy()
  slow.destroy()
  const before = looks
  const late = new Reader()
  stream.follow(late as unknown as ServerResponse)
  t.same([late.events, looks - before], [['snapshot'], 1], 'a look at once for the first')
  late.destroy()
  t.ok(stream.hasRoom)
})
