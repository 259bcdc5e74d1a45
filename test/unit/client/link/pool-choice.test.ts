/** When a read that a standby was to answer may be sent to the primary instead. */
import t from 'tap'
import { PoolChoice } from '../../../../lib/client/link/pool-choice.ts'
import type { ReadRouting } from '../../../../lib/client/link/read-routing.ts'
import type { Pool } from '../../../../lib/pool/pool.ts'
import { requestsIn } from '../../../../lib/protocol/requests-in.ts'
import { backend, frontend } from '../../../fixtures/messages.ts'

const own = { settings: { routesReads: true } } as unknown as Pool
const replicas = {} as Pool
const query = frontend.query('SELECT 1')
const row = Buffer.from('D\0\0\0\x0a\0\x01\xff\xff\xff\xff', 'latin1')

/** The choice of a client whose read goes to a standby. */
function chosen(mayRepeat = true): PoolChoice {
  const reads = { poolFor: () => replicas, mayRepeat, released() {}, sendsMore() {} } as unknown as ReadRouting
  const choice = new PoolChoice(own, () => reads)
  t.equal(choice.choose(requestsIn(query)), replicas)
  return choice
}

t.test('once all of it was sent, as long as no row has come', async (t) => {
  const choice = chosen()
  t.notOk(choice.canRescue, 'a part of it may wait still, and would be sent twice')
  t.equal(choice.rescue(), undefined)
  choice.sent(true)
  t.ok(choice.canRescue)
  t.ok(choice.holds(backend.rowDescription('a')))
  t.strictSame(choice.rescue(), query)
  t.equal(choice.choose(requestsIn(query)), own, 'the next is for the primary')
  t.equal(choice.choose(requestsIn(query)), replicas)
})

t.test('not behind a row, and not what may be no read', async (t) => {
  const choice = chosen()
  choice.sent(true)
  t.ok(choice.holds(backend.rowDescription('a')))
  t.notOk(choice.holds(row))
  t.strictSame(choice.takeHeld(), [backend.rowDescription('a')])
  t.notOk(choice.canRescue)
  const forced = chosen(false)
  forced.sent(true)
  t.notOk(forced.canRescue)
})
