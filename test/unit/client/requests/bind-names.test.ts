/** The names of a Bind or Parse are seen whole however it is cut, or it is known that they are not. */
import t from 'tap'
import { hidesNames } from '../../../../lib/client/requests/bind-names.ts'
import { Batch, FIRST } from '../../../../lib/protocol/batch.ts'
import { Scanner } from '../../../../lib/protocol/scanner.ts'
import { FRONTEND_TABLE, NAMES } from '../../../../lib/protocol/types.ts'
import { frontend } from '../../../fixtures/messages.ts'

interface First {
  body: Buffer
  hidden: boolean
}

/** What is shown of `message` at first, where it comes in these pieces. */
function firstOf(pieces: Buffer[]): First | undefined {
  const scanner = new Scanner(FRONTEND_TABLE)
  for (const piece of pieces) {
    if (piece.length === 0) continue
    const batch = Batch.take(piece)
    scanner.scan(piece, batch)
    let first: First | undefined
    if (batch.count > 0 && (batch.flags(0) & FIRST) !== 0) {
      first = { body: Buffer.from(batch.bodyOf(0)), hidden: hidesNames(batch, 0) }
    }
    batch.release()
    if (first !== undefined) return first
  }
  return undefined
}

function namesOf(body: Buffer): string {
  const portalEnd = body.indexOf(0)
  const names = [body.toString('latin1', 0, portalEnd)]
  names.push(body.toString('latin1', portalEnd + 1, body.indexOf(0, portalEnd + 1)))
  return names.join()
}

/** Every place near the ends of names, and some in between. */
function cutsOf(message: Buffer): number[] {
  const cuts = new Set<number>()
  for (let at = 0; at <= message.length; at += 997) cuts.add(at)
  for (let end = message.indexOf(0, 5); end >= 0 && cuts.size < 2000; end = message.indexOf(0, end + 1)) {
    for (let at = end - 3; at <= end + 3; at++) cuts.add(at)
  }
  for (let at = 0; at < 12; at++) cuts.add(at)
  return [...cuts].filter((at) => at >= 0 && at <= message.length)
}

t.test('names are shown whole wherever a Bind is cut', async (t) => {
  const lengths = [
    [2000, 0],
    [0, 2000],
    [7, 3],
    [NAMES / 2, NAMES / 2 - 2],
  ] as const
  for (const [portal, statement] of lengths) {
    const names = ['p'.repeat(portal), 's'.repeat(statement)] as const
    const message = frontend.bind(['x'.repeat(1000)], names[1], names[0])
    let wrong = 0
    for (const cut of cutsOf(message)) {
      const first = firstOf([message.subarray(0, cut), message.subarray(cut)])
      if (first === undefined || first.hidden || namesOf(first.body) !== names.join()) wrong++
    }
    t.equal(wrong, 0, `${portal} and ${statement} bytes`)
    const bytes = portal > 2000 ? 1000 : 1
    const pieces = Array.from({ length: Math.ceil(message.length / bytes) }, (_, i) => {
      return message.subarray(i * bytes, (i + 1) * bytes)
    })
    const first = firstOf(pieces)!
    t.equal(namesOf(first.body), names.join(), 'in many pieces')
    t.ok(first.body.length < portal + statement + 2 + bytes, 'and nothing else is waited for')
  }
})

t.test('longer ones are refused wherever a message is cut', async (t) => {
  const messages = [
    frontend.bind(['x'.repeat(1000)], 's', 'p'.repeat(NAMES)),
    frontend.bind(['x'.repeat(1000)], 's'.repeat(NAMES)),
    frontend.parse('SELECT 1', 's'.repeat(NAMES)),
  ]
  for (const message of messages) {
    let wrong = 0
    for (const cut of cutsOf(message)) {
      const pieces = [message.subarray(0, cut)]
      for (let at = cut; at < message.length; at += 65_536) pieces.push(message.subarray(at, at + 65_536))
      // What came in one piece may show more.
      if (cut < NAMES && !firstOf(pieces)!.hidden) wrong++
    }
    t.equal(wrong, 0)
  }
})
