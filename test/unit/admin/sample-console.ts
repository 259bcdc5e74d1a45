/** A console in front of nothing but a snapshot, for tests of its language. */
import { Console } from '../../../lib/admin/console.ts'
import type { Control } from '../../../lib/admin/control.ts'
import type { View } from '../../../lib/admin/view.ts'
import type { Cell, ConsoleError, ConsoleResult, ConsoleUser } from '../../../lib/client/lifecycle/console-backend.ts'
import { Averages } from '../../../lib/observe/averages.ts'
import type { ClientSnapshot, Snapshot } from '../../../lib/observe/snapshot.ts'
import { createCounters } from '../../../lib/pool/counters.ts'
import { Durations } from '../../../lib/pool/durations.ts'
import type { QuerySnapshot } from '../../../lib/pool/query-record.ts'
import { createPinCounts } from '../../../lib/sql/state-kinds.ts'

export const ADMIN: ConsoleUser = { name: 'boss', role: 'admin' }
export const STATS: ConsoleUser = { name: 'eye', role: 'stats' }

function client(id: number, more: Partial<ClientSnapshot> = {}): ClientSnapshot {
  return {
    id,
    user: 'app',
    database: 'app',
    state: 'idle',
    address: `10.0.0.${id}:5000${id}`,
    tls: '',
    applicationName: '',
    localAddress: '10.0.0.9',
    localPort: 6432,
    age: 1000 * id,
    request: 500,
    waited: 0,
    transaction: 0,
    running: false,
    prepared: 0,
    closing: false,
    server: 0,
    replication: 'none',
    pinned: '',
    pinnedFor: 0,
    ...more,
  }
}

const snapshot: Snapshot = {
  version: '1.2.3',
  at: Date.UTC(2026, 0, 31, 12, 0, 0, 900),
  uptime: 10_000,
  clientCount: 3,
  pools: [],
  forgotten: createCounters(),
  forgottenByDatabase: [
    { database: 'app', counters: { ...createCounters(), logins: 1, queries: 40, queryTime: 80, received: 7 } },
  ],
  forgottenPins: createPinCounts(),
  otherDurations: new Durations().counts(),
  ends: { terminated: 5, query_timeout: 2 },
  errors: [{ database: 'app', sqlstate: '23505', count: 3 }],
  clients: [
    client(3, { state: 'waiting', waited: 2_500.25 }),
    client(1, { user: 'zoe' }),
    client(2, { state: 'active', server: 7, running: true, pinned: 'temporary table', pinnedFor: 3 }),
    client(4, { state: 'startup', user: '', database: '' }),
  ],
  servers: [
    {
      id: 7,
      user: 'app',
      database: 'app',
      state: 'active',
      address: 'db (10.0.0.1), port 5432',
      host: '10.0.0.1',
      port: 5432,
      localAddress: '10.0.0.9',
      localPort: 40000,
      prepared: 2,
      applicationName: 'x',
      closing: '',
      pid: 4711,
      tls: '',
      replication: 'none',
      age: 5000,
      idle: 1,
    },
  ],
  hosts: [],
  databases: [],
  users: [],
  dns: [],
  peers: [{ id: 2, host: '10.0.0.2', port: 6432, poolSize: 25, active: 1, waiting: 3 }],
}

/** What the control was asked to do. */
export const done: string[] = []
function note(what: string): (...args: unknown[]) => void {
  return (...args) => {
    done.push([what, ...args.filter((arg) => typeof arg === 'string' || typeof arg === 'number')].join(' '))
  }
}

/** What the control says of itself. */
export const state = { paused: false, suspended: false }
const control = {
  get paused() {
    return state.paused
  },
  get suspended() {
    return state.suspended
  },
  isPaused: (database: string) => database === 'held',
  isDisabled: () => false,
  serves: (database: string) => database !== 'none',
  pause: note('pause'),
  resume: note('resume'),
  suspend: note('suspend'),
  disable: note('disable'),
  enable: note('enable'),
  reconnect: note('reconnect'),
  kill: note('kill'),
  killClient: (id: number) => id === 7,
  cancelClient: async (id: number) => id === 7,
  waitClose: note('wait_close'),
  resetQueries: note('reset queries'),
  reload: note('reload'),
  set: note('set'),
  shutDown: note('shutdown'),
} as unknown as Control

const QUERIES: QuerySnapshot[] = [
  {
    id: '00000000000000aa',
    text: 'select $1',
    database: 'app',
    user: 'ann',
    calls: 100,
    errors: 1,
    rows: 99,
    bytes: 6000,
    total: 500,
    max: 100,
    wait: 20,
    maxWait: 10,
    shared: 40,
    firstSeen: 0,
    lastSeen: 3_600_000,
    mean: 5,
    p50: 1.0175,
    p95: 1.9829,
    p99: 1.9829,
  },
]

/** What it shows. */
export const view: View = {
  snapshot,
  averages: new Averages(),
  state,
  port: 6432,
  console: { queries: 9, logins: 2 },
  options: () => [{ name: 'pool_size', value: '25', default: '25', source: 'default', changeable: true }],
  prepared: () => [{ database: 'app', text: 'select 1', users: 2, bytes: 100 }],
  queries: () => QUERIES,
  showsQueries: false,
  certificates: () => [],
  processes: () => [
    { pid: 12, version: '0.1.0', startedAt: 1_800_000_000_000, accepting: true, clients: 3, waiting: 1, servers: 2 },
  ],
  memory: () => [{ name: 'heap', bytes: 3_000_000_000 }],
}

export const backend = new Console({ users: () => ({ admin: ['boss'], stats: ['eye'] }), control, view: () => view })

/** The result of one statement. */
export async function run(text: string, user = ADMIN, parameters: (string | null)[] = []): Promise<ConsoleResult> {
  const [statement] = backend.read(text, user)
  return await statement!.run({ parameters, signal: new AbortController().signal })
}

/** Its rows. */
export async function rows(
  text: string,
  user = ADMIN,
  parameters: (string | null)[] = [],
): Promise<readonly (readonly Cell[])[]> {
  return (await run(text, user, parameters)).rows ?? []
}

/** SQLSTATE and message of the error of a statement; '' where there is none. */
export async function errorOf(text: string, user = ADMIN): Promise<string> {
  try {
    await run(text, user)
    return ''
  } catch (error) {
    const { sqlstate, message } = (error as ConsoleError).fields
    return `${sqlstate} ${message}`
  }
}
