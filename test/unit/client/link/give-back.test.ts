/** What a session that ends does to the server it holds. */
import t from 'tap'
import { giveBack } from '../../../../lib/client/link/give-back.ts'
import type { Lease } from '../../../../lib/pool/lease.ts'
import { LeaseEffects } from '../../../../lib/server/lease-effects.ts'
import { SessionContent } from '../../../../lib/server/session-content.ts'
import { ServerStatements } from '../../../../lib/statements/server-statements.ts'
import { StatementStore } from '../../../../lib/statements/shared-statements.ts'

/** Give back a server that client 7 used, in `mode`, with `found` left in it. */
function given(mode: string, found: string) {
  const content = new SessionContent(new ServerStatements(new StatementStore()))
  content.usedBy(7)
  const server = {
    content,
    effects: new LeaseEffects(),
    wire: { resume() {} },
    plan: { needsSync: false, copyIn: false },
  }
  const outcomes: string[] = []
  const release = (outcome: string): number => outcomes.push(outcome)
  const lease = { server, mode, midReply: false, settled: true, takesMore: true, release }
  giveBack(lease as unknown as Lease, false, found !== '', { outstanding: 'finishing' })
  return { dirty: content.dirty, lastUser: content.lastUser, outcomes }
}

t.test('a lock of a client that has left is nobody’s to wait for: the server is reset at once', async (t) => {
  t.strictSame(given('transaction', 'advisory lock'), { dirty: true, lastUser: 0, outcomes: ['done'] })
})

t.test('a server without anything left in it is lent on as it is', async (t) => {
  t.strictSame(given('transaction', ''), { dirty: false, lastUser: 7, outcomes: ['done'] })
})

t.test('in session mode the reset query decides', async (t) => {
  t.strictSame(given('session', 'advisory lock'), { dirty: true, lastUser: 7, outcomes: ['done'] })
})
