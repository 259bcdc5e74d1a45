/** The reply plan: what is expected, and the server's messages that answer it. */
import { BACKEND } from '../../../lib/protocol/types.ts'
import type { PlanObserver } from '../../../lib/replies/reply-kinds.ts'
import { BIND, DESCRIBE, DESYNC, EXECUTE, FAKE, PARSE, QUERY, SKIP, SYNC } from '../../../lib/replies/reply-kinds.ts'
import { ReplyPlan } from '../../../lib/replies/reply-plan.ts'
import type { MicroCase, MicroGroup } from './micro-case.ts'

const { ParseComplete, BindComplete, RowDescription, DataRow, CommandComplete, ReadyForQuery } = BACKEND
const observer: PlanObserver = { onAnswered() {}, onDropped() {} }

/** @param requests entries of the plan, a kind and an action each as one number */
function converse(name: string, requests: readonly number[], answers: readonly number[]): MicroCase {
  const plan = new ReplyPlan(observer)
  return {
    name,
    messages: requests.length + answers.length,
    run() {
      for (let i = 0; i < requests.length; i++) plan.expect(requests[i]! & 15, requests[i]! & ~15)
      for (let i = 0; i < answers.length; i++) {
        if (plan.onMessage(answers[i]!) === DESYNC) throw new Error(`${name}: message ${i} was not expected`)
      }
      if (!plan.settled) throw new Error(`${name}: something is left in the plan`)
    },
  }
}

const rowOf = [RowDescription, DataRow, CommandComplete]

function repeat<T>(count: number, values: readonly T[]): T[] {
  return Array.from({ length: count }, () => values).flat()
}

export const replyPlanCases: MicroGroup = {
  title: 'reply plan (requests and replies counted)',
  cases: [
    converse('Query', [QUERY], [...rowOf, ReadyForQuery]),
    converse(
      'Parse, Bind, Describe, Execute, Sync',
      [PARSE, BIND, DESCRIBE, EXECUTE, SYNC],
      [ParseComplete, BindComplete, ...rowOf, ReadyForQuery],
    ),
    converse(
      "the same, prepared on the client's behalf",
      [PARSE | SKIP, BIND, DESCRIBE, EXECUTE, SYNC],
      [ParseComplete, BindComplete, ...rowOf, ReadyForQuery],
    ),
    converse(
      "the same, with a ParseComplete of pgbun's own",
      [BIND, DESCRIBE, PARSE | FAKE, EXECUTE, SYNC],
      [BindComplete, ...rowOf, ReadyForQuery],
    ),
    converse(
      'a pipeline of 100 Bind and Execute',
      [...repeat(100, [BIND, EXECUTE]), SYNC],
      [...repeat(100, [BindComplete, DataRow, CommandComplete]), ReadyForQuery],
    ),
  ],
}
