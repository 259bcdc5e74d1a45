/** COPY BOTH in the reply plan (protocol chapters "COPY Operations", "Streaming Replication Protocol"). */
import t from 'tap'
import { COPY_END, DESYNC, EXECUTE, QUERY, TO_CLIENT } from '../../../lib/replies/reply-kinds.ts'
import { ReplyPlan } from '../../../lib/replies/reply-plan.ts'

function reply(plan: ReplyPlan, types: string): number[] {
  return [...types].map((type) => plan.onMessage(type.charCodeAt(0)))
}

function streaming(): ReplyPlan {
  const plan = new ReplyPlan()
  plan.expect(QUERY)
  reply(plan, 'W')
  t.ok(plan.copyBoth)
  return plan
}

t.test('either side ends its direction first, and what follows belongs to the same query', async (t) => {
  // A newer timeline, told by a result; a keepalive behind CopyDone; PostgreSQL completes it twice.
  for (const types of ['ddcTDCCZ', 'cdCCZ', 'ddCZ']) {
    for (const from of [0, 1, types.length - 1]) {
      const plan = streaming()
      const replies = reply(plan, types.slice(0, from))
      plan.expect(COPY_END)
      replies.push(...reply(plan, types.slice(from)))
      t.ok(
        replies.every((reply) => reply === TO_CLIENT),
        types,
      )
      t.ok(plan.settled)
      t.notOk(plan.copyBoth)
      t.notOk(plan.streamOver, 'the session goes on')
    }
  }
})

t.test('an error ends it, and the client’s late CopyDone nothing', async (t) => {
  const plan = streaming()
  reply(plan, 'dE')
  t.notOk(plan.copyBoth)
  plan.expect(COPY_END)
  t.strictSame(reply(plan, 'Z'), [TO_CLIENT])
  plan.expect(COPY_END)
  t.ok(plan.settled)
  plan.expect(QUERY)
  t.strictSame(reply(plan, 'TDCZ'), Array(4).fill(TO_CLIENT))
  t.ok(plan.settled)
})

t.test('what the client sends without an end costs nothing', async (t) => {
  const plan = streaming()
  for (let i = 0; i < 100; i++) plan.expect(COPY_END)
  t.equal(plan.size, 1)
})

t.test('a server that shuts down ends the stream with its CommandComplete', async (t) => {
  const plan = streaming()
  reply(plan, 'dd')
  t.notOk(plan.streamOver)
  reply(plan, 'C')
  t.ok(plan.streamOver)
  t.notOk(plan.settled)
  const ordinary = new ReplyPlan()
  ordinary.expect(QUERY)
  reply(ordinary, 'C')
  t.notOk(ordinary.streamOver, 'that of an ordinary query does not')
})

t.test('without a simple query it is a surprise', async (t) => {
  const plan = new ReplyPlan()
  plan.expect(EXECUTE)
  t.strictSame(reply(plan, 'W'), [DESYNC])
  t.strictSame(reply(new ReplyPlan(), 'W'), [DESYNC])
})
