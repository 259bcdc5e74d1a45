/** What is measured: the table of cases. Pure data. */

import type { TargetKind } from './targets.ts'

/** What a transaction runs; see scripts.ts. `one row` is pgbench's built-in select-only script. */
export type Script = 'one row' | '50 kB' | '10 MB' | 'set' | 'set custom' | 'mixed' | 'seldom long'

/** How poolers are set up for a case. Cases with equal setups share the running poolers. */
export interface Setup {
  poolMode: 'transaction' | 'session'
  auth: 'trust' | 'scram-sha-256'
  poolSize: number
  /** Clients connect over TLS. Towards PostgreSQL poolers connect without. */
  tls: boolean
  /** How poolers reach PostgreSQL: by TCP or its unix socket. */
  upstream: 'tcp' | 'socket'
  /** Connections that may wait to be accepted: the same number for both poolers, or as each of them is shipped. */
  backlog: 'equal' | 'shipped'
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
  /** Also through a pgbun that does not send requests behind those of others (`server_pipelining` off). */
  unshared?: boolean
  /** Also through a pgbun that is observed, and one that counts nothing. */
  observed?: boolean
  /** Startup parameters of the clients; where there are several sets, an equal part of the clients has each. */
  parameters?: readonly Record<string, string>[]
  /** Targets left out because they do something else with the same load. */
  without?: readonly TargetKind[]
  /** A proxy that does nothing can do it, too, and shows what the runtime costs (relay.mjs). */
  relay?: boolean
}

/** Server connections of a pool in transaction mode, the same for both poolers. */
export const POOL_SIZE = 20
/** Client connections a pooler admits. */
export const MAX_CLIENTS = 12_000

/** Connections that may wait to be accepted, where that is the same for both. */
export const BACKLOG = 4096

export const PLAIN: Setup = {
  poolMode: 'transaction',
  auth: 'trust',
  poolSize: POOL_SIZE,
  tls: false,
  upstream: 'tcp',
  backlog: 'equal',
}
export const TLS: Setup = { ...PLAIN, tls: true }
const MANY = 'many clients on 20 servers'
const select = { script: 'one row', reconnect: false, setup: PLAIN, clients: undefined, bystander: false } as const
const rows = { protocol: 'simple', reconnect: false, setup: PLAIN, bystander: false } as const

export const CASES: readonly Case[] = [
  { ...select, name: 'simple', title: 'pgbench -S, simple protocol', protocol: 'simple', relay: true, unshared: true },
  { ...select, name: 'extended', title: 'pgbench -S, extended protocol', protocol: 'extended', unshared: true },
  { ...select, name: 'prepared', title: 'pgbench -S, prepared statements', protocol: 'prepared', unshared: true },
  {
    ...select,
    name: 'observed',
    title: 'pgbench -S, simple protocol, with metrics, query statistics and an open page, and without all of them',
    protocol: 'simple',
    // Of its own: who looks would be in the way of the others.
    setup: { ...PLAIN },
    without: ['direct', 'pgbouncer', 'pgbun'],
    observed: true,
  },
  {
    ...select,
    name: 'socket',
    title: 'pgbench -S, simple protocol, poolers on the unix socket of PostgreSQL',
    protocol: 'simple',
    setup: { ...PLAIN, upstream: 'socket' },
    clients: [8, 32],
    // Its clients would have to be on the socket, too.
    without: ['direct'],
  },
  {
    ...select,
    name: 'prepared-session',
    title: 'pgbench -S, prepared statements, session mode',
    protocol: 'prepared',
    setup: { ...PLAIN, poolMode: 'session', poolSize: 64 },
    clients: [32],
  },
  {
    ...select,
    name: 'set',
    title: 'BEGIN, SET TimeZone, SELECT, COMMIT',
    script: 'set',
    protocol: 'simple',
    clients: [8, 32],
  },
  {
    // PgBouncer leaves such a setting on the server for whoever comes next, which costs nothing.
    ...select,
    name: 'set-custom',
    title: "set_config('app.tenant', …, false), then SELECT in a transaction of its own",
    script: 'set custom',
    protocol: 'simple',
    clients: [8, 32],
    without: ['pgbouncer'],
  },
  {
    ...select,
    name: 'settings',
    title: 'pgbench -S, half of the clients with another TimeZone and DateStyle',
    protocol: 'simple',
    clients: [8, 32, 200],
    parameters: [
      { TimeZone: 'Asia/Tokyo', DateStyle: 'German' },
      { TimeZone: 'America/New_York', DateStyle: 'SQL, MDY' },
    ],
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
    relay: true,
  },
  {
    ...select,
    name: 'scram',
    title: 'connect with SCRAM-SHA-256, one query, disconnect',
    protocol: 'simple',
    reconnect: true,
    setup: { ...PLAIN, auth: 'scram-sha-256' },
    clients: [8],
    bystander: true,
  },
  {
    ...select,
    name: 'many',
    title: `pgbench -S, simple protocol, ${MANY}`,
    protocol: 'simple',
    clients: [1000],
    without: ['direct'],
    relay: true,
    unshared: true,
  },
  {
    ...select,
    name: 'many-extended',
    title: `pgbench -S, extended protocol, ${MANY}`,
    protocol: 'extended',
    clients: [1000],
    without: ['direct'],
    unshared: true,
  },
  {
    ...select,
    name: 'many-prepared',
    title: `pgbench -S, prepared statements, ${MANY}`,
    protocol: 'prepared',
    clients: [1000],
    without: ['direct'],
    unshared: true,
  },
  {
    ...select,
    name: 'mixed',
    title: 'nine of ten as pgbench -S, one of ten sleeps for 20 ms',
    script: 'mixed',
    protocol: 'simple',
    clients: [32],
    bystander: true,
    unshared: true,
  },
  {
    ...select,
    name: 'seldom-long',
    title: 'one statement, of which one of a thousand waits for 100 ms',
    script: 'seldom long',
    protocol: 'simple',
    clients: [32],
    bystander: true,
    unshared: true,
  },
  { ...select, name: 'tls', title: 'pgbench -S over TLS', protocol: 'simple', setup: TLS, clients: [8, 32] },
  { ...rows, name: 'tls-50kB', title: 'results of 50 kB over TLS', script: '50 kB', setup: TLS, clients: [8] },
  {
    ...select,
    name: 'tls-connect',
    title: 'connect over TLS, one query, disconnect',
    protocol: 'simple',
    reconnect: true,
    setup: TLS,
    clients: [8],
  },
]

/** Names for --only. */
export const CASE_NAMES: readonly string[] = CASES.map(({ name }) => name)
