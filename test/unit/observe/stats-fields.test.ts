/** The line of statistics: numbers with their units, and none where nothing happens. */
import t from 'tap'
import type { Snapshot } from '../../../lib/observe/snapshot.ts'
import { statsFields } from '../../../lib/observe/stats-fields.ts'
import { type Counters, createCounters } from '../../../lib/pool/counters.ts'

function snapshot(counters: Partial<Counters>, waiting = 0, forgotten: Partial<Counters> = {}): Snapshot {
  const pool = { waiting, counters: { ...createCounters(), ...counters } }
  return {
    clientCount: 3,
    servers: [{}, {}],
    pools: [pool],
    forgotten: { ...createCounters(), ...forgotten },
    ends: {},
    clients: [],
  } as unknown as Snapshot
}

t.test('all are numbers, with the unit in the name', async (t) => {
  const before = { ...createCounters(), queries: 100, received: 1000 }
  const now = {
    logins: 2,
    queries: 400,
    transactions: 200,
    received: 61_000,
    sent: 1,
    leases: 8,
    opened: 3,
    transactionTime: 25,
    waitTime: 20,
  }
  t.strictSame(statsFields(snapshot(now), before, 60_000), {
    clients: 3,
    waiting: 0,
    servers: 2,
    logins_per_s: 0.0333,
    transactions_per_s: 3.33,
    queries_per_s: 5,
    bytes_in_per_s: 1000,
    bytes_out_per_s: 0.0167,
    transaction_ms: 0.125,
    wait_ms: 2.5,
    leases_total: 8,
    connections_opened_total: 3,
  })
})

t.test('nothing is said where nothing happened', async (t) => {
  const counters = { ...createCounters(), queries: 7, received: 10, leases: 3 }
  t.equal(statsFields(snapshot({}), undefined, 60_000), undefined, 'since the start')
  t.equal(statsFields(snapshot(counters), counters, 60_000), undefined, 'since the last time')
  t.equal(
    statsFields(snapshot({}, 0, counters), counters, 60_000),
    undefined,
    'a pool that was forgotten is nothing that happened',
  )
  t.match(
    statsFields(snapshot(counters, 2), counters, 60_000),
    { waiting: 2, queries_per_s: 0 },
    'but that clients wait is',
  )
  t.match(statsFields(snapshot({ ...counters, logins: 1 }), counters, 60_000), { logins_per_s: 0.0167 })
})

t.test('totals count from the start, also what pools did that are forgotten', async (t) => {
  const before = { ...createCounters(), leases: 5, opened: 2 }
  t.match(statsFields(snapshot({ leases: 7, opened: 1 }, 0, { leases: 4, opened: 2 }), before, 60_000), {
    leases_total: 11,
    connections_opened_total: 3,
  })
})
