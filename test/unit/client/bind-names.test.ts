/** The names of a Bind are seen whole however it is cut, or it is known that they are not. */
import t from 'tap'
import { showsNames } from '../../../lib/client/bind-names.ts'
import { Batch, FIRST } from '../../../lib/protocol/batch.ts'
import { Scanner } from '../../../lib/protocol/scanner.ts'
import { BIND_NAMES, FRONTEND_TABLE } from '../../../lib/protocol/types.ts'
import { frontend } from '../../fixtures/messages.ts'

/** What is shown of `message` at first, where it comes in two pieces. */
function firstOf(message: Buffer, cut: number): Buffer | undefined {
  const scanner = new Scanner(FRONTEND_TABLE)
  for (const piece of [message.subarray(0, cut), message.subarray(cut)]) {
    if (piece.length === 0) continue
    const batch = Batch.take(piece)
    scanner.scan(piece, batch)
    const body = batch.count > 0 && (batch.flags(0) & FIRST) !== 0 ? Buffer.from(batch.bodyOf(0)) : undefined
    batch.release()
    if (body !== undefined) return body
  }
  return undefined
}

function namesOf(body: Buffer): [string, string] {
  const portalEnd = body.indexOf(0)
  return [body.toString('latin1', 0, portalEnd), body.toString('latin1', portalEnd + 1, body.indexOf(0, portalEnd + 1))]
}

t.test('names are shown whole wherever a Bind is cut', async (t) => {
  const names: [string, string][] = [
    ['p'.repeat(2000), ''],
    ['', 's'.repeat(2000)],
    ['p'.repeat(BIND_NAMES / 2), 's'.repeat(BIND_NAMES / 2 - 2)],
  ]
  for (const [portal, statement] of names) {
    const message = frontend.bind(['x'.repeat(1000)], statement, portal)
    let wrong = 0
    for (let cut = 0; cut <= message.length; cut++) {
      const body = firstOf(message, cut)
      if (body === undefined || !showsNames(body)) wrong++
      else if (namesOf(body).join() !== `${portal},${statement}`) wrong++
    }
    t.equal(wrong, 0, `${portal.length} and ${statement.length} bytes`)
  }
})

t.test('longer ones are refused wherever a Bind is cut', async (t) => {
  const message = frontend.bind(['x'], 's', 'p'.repeat(BIND_NAMES - 2))
  let shown = 0
  for (let cut = 0; cut <= message.length; cut++) if (showsNames(firstOf(message, cut)!)) shown++
  t.equal(shown, 0)
})
