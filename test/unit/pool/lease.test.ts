/** A lease ends once. */
import t from 'tap'
import { Lease } from '../../../lib/pool/lease.ts'
import type { Pool } from '../../../lib/pool/pool.ts'
import type { ServerConnection } from '../../../lib/server/connection.ts'

t.test('a second release is an error: two owners are how rows end up with a stranger', async (t) => {
  const back: unknown[] = []
  const pool = { takeBack: (...args: unknown[]) => back.push(args) } as unknown as Pool
  const lease = new Lease(pool, {} as ServerConnection, 'transaction', 5)
  lease.release('abandoned', 'why')
  t.strictSame(back, [[lease, 'abandoned', 'why']])
  t.throws(() => lease.release('done'), /released twice/)
  const gone = new Lease(pool, {} as ServerConnection, 'session', 5)
  gone.forfeit()
  t.throws(() => gone.release('done'), /released twice/)
  t.equal(back.length, 1)
})
