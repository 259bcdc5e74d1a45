/** What changes between two looks: counters that move, pools that differ, pools that are gone. */
import t from 'tap'
import { activityOf, deltaEvent, wholeEvent } from '../../../lib/observe/activity-delta.ts'
import type { CountSnapshot, PoolSnapshot } from '../../../lib/observe/snapshot.ts'
import { type Counters, createCounters } from '../../../lib/pool/counters.ts'

function pool(user: string, counters: Partial<Counters>, more: Partial<PoolSnapshot> = {}): PoolSnapshot {
  return {
    ...{ database: 'app', user, reads: false, mode: 'transaction', size: 5, clients: 1, waiting: 0, maxWait: 0 },
    ...{ pinned: 0, opening: 0, servers: { idle: 1, active: 0, busy: 0, draining: 0, beingCanceled: 0 } },
    counters: { ...createCounters(), ...counters },
    ...more,
  } as PoolSnapshot
}

function counts(pools: PoolSnapshot[], forgotten: Partial<Counters> = {}): CountSnapshot {
  return {
    ...{ clientCount: pools.length, servers: [], forgotten: createCounters(), pools },
    forgottenByDatabase: [{ database: 'app', counters: { ...createCounters(), ...forgotten } }],
  }
}

t.test('the whole picture, and what follows', async (t) => {
  const before = activityOf(counts([pool('u', { queries: 5 }), pool('v', { queries: 1 }), pool('w', {})]), 1000)
  t.match(wholeEvent(before), {
    at: 1000,
    clientCount: 3,
    databases: [{ database: 'app', counters: { queries: 6 } }],
    pools: [{ user: 'u' }, { user: 'v' }, { user: 'w' }],
  })
  // The pool of v is forgotten, what it has counted is not.
  const now = [pool('u', { queries: 7, sent: 10 }, { waiting: 2 }), pool('w', {}), pool('x', {})]
  const after = activityOf(counts(now, { queries: 1 }), 2001)
  t.same(deltaEvent(after, before).databases, [{ database: 'app', counters: { queries: 2, sent: 10 } }])
  t.match(deltaEvent(after, before), {
    ms: 1001,
    pools: [{ user: 'u', waiting: 2 }, { user: 'x' }],
    gone: [{ database: 'app', user: 'v', reads: false }],
  })
  t.same(deltaEvent(after, after), { at: 2001, ms: 0, clientCount: 3, databases: [], pools: [], gone: [] })
})
