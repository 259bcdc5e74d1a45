/** What is measured: the table of cases. Pure data. */

/** What a transaction runs. `one row` is pgbench's built-in select-only script. */
export type Script = 'one row' | '50 kB' | '10 MB'

/** How poolers are set up for a case. Cases with equal setups share the running poolers. */
export interface Setup {
  poolMode: 'transaction' | 'session'
  auth: 'trust' | 'scram-sha-256'
  poolSize: number
}

/** One case; it is measured once for each of its numbers of clients. */
export interface Case {
  /** For --only. */
  name: string
  title: string
  script: Script
  protocol: 'simple' | 'extended' | 'prepared'
  /** Connect, run one transaction, disconnect, and so on. */
  reconnect: boolean
  setup: Setup
  /** Numbers of clients; undefined for those of --clients. */
  clients: readonly number[] | undefined
  /** Once more with a lone client of small queries beside the load: its latencies show what the load does to others. */
  bystander: boolean
}

/** Server connections of a pool in transaction mode, the same for both poolers. */
export const POOL_SIZE = 20
/** Client connections a pooler admits. */
export const MAX_CLIENTS = 10_000

const pooled: Setup = { poolMode: 'transaction', auth: 'trust', poolSize: POOL_SIZE }
const select = { script: 'one row', reconnect: false, setup: pooled, clients: undefined, bystander: false } as const
const rows = { protocol: 'simple', reconnect: false, setup: pooled, bystander: false } as const

/** Name of the case of memory.ts, which is no load. */
export const MEMORY = 'memory'

export const CASES: readonly Case[] = [
  { ...select, name: 'simple', title: 'pgbench -S, simple protocol', protocol: 'simple' },
  { ...select, name: 'extended', title: 'pgbench -S, extended protocol', protocol: 'extended' },
  { ...select, name: 'prepared', title: 'pgbench -S, prepared statements', protocol: 'prepared' },
  {
    ...select,
    name: 'prepared-session',
    title: 'pgbench -S, prepared statements, session mode',
    protocol: 'prepared',
    setup: { poolMode: 'session', auth: 'trust', poolSize: 64 },
    clients: [32],
  },
  { ...rows, name: '50kB', title: 'results of 50 kB', script: '50 kB', clients: [8] },
  { ...rows, name: '10MB', title: 'results of 10 MB', script: '10 MB', clients: [4] },
  {
    ...select,
    name: 'connect',
    title: 'connect, one query, disconnect',
    protocol: 'simple',
    reconnect: true,
    clients: [8],
  },
  {
    ...select,
    name: 'scram',
    title: 'connect with SCRAM-SHA-256, one query, disconnect',
    protocol: 'simple',
    reconnect: true,
    setup: { ...pooled, auth: 'scram-sha-256' },
    clients: [8],
    bystander: true,
  },
]

/** Names for --only. */
export const CASE_NAMES: readonly string[] = [...CASES.map(({ name }) => name), MEMORY]
