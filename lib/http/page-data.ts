/** What the live page shows beside the stream of events, as plain data of a view. Pure. */

import type { View } from '../admin/view.ts'
import type { ProcessView } from '../observe/own-metrics.ts'
import type { ClientSnapshot, Snapshot } from '../observe/snapshot.ts'
import type { QuerySnapshot } from '../pool/query-record.ts'
import type { Role } from './ports.ts'

/** The process, its databases and hosts, and what went wrong. */
export interface Overview extends Pick<Snapshot, 'version' | 'at' | 'uptime' | 'hosts' | 'ends' | 'errors'> {
  readonly role: Role
  readonly runtime: string
  readonly cpu: number
  readonly memory: ProcessView['memory']
  readonly paused: boolean
  readonly suspended: boolean
  readonly draining: boolean
  readonly databases: readonly { readonly name: string; readonly paused: boolean; readonly disabled: boolean }[]
  readonly certificates: readonly { side: string; subject: string; notAfter: number; daysLeft: number }[]
}

const DAY_MS = 24 * 60 * 60 * 1000

/** All of it. */
export function overviewOf({ snapshot, certificates }: View, process: ProcessView, role: Role): Overview {
  const { version, at, uptime, hosts, ends, errors } = snapshot
  const { runtime, runtimeVersion, cpu, memory, paused, suspended, draining } = process
  return {
    ...{ role, version, at, uptime, cpu, memory, paused, suspended, draining, hosts, ends, errors },
    runtime: `${runtime} ${runtimeVersion}`,
    databases: snapshot.databases.map(({ name, paused, disabled }) => ({ name, paused, disabled })),
    certificates: certificates().map(({ side, subject, notAfter }) => {
      return { side, subject, notAfter, daysLeft: Math.floor((notAfter - at) / DAY_MS) }
    }),
  }
}

/** A client as the page shows it, with the process id of its backend; 0 where it has none. */
export type PageClient = Pick<
  ClientSnapshot,
  | 'id'
  | 'user'
  | 'database'
  | 'state'
  | 'address'
  | 'applicationName'
  | 'age'
  | 'request'
  | 'waited'
  | 'transaction'
  | 'running'
  | 'pinned'
  | 'pinnedFor'
> & { pid: number; why: string }

/** Clients that hold a server or wait for one, and where `all` is set those that do nothing. */
export function clientsOf({ clients, servers }: Snapshot, all: boolean): PageClient[] {
  const pids = new Map(servers.map(({ id, pid }) => [id, pid]))
  return clients
    .filter(({ server, state, pinned }) => all || server !== 0 || state === 'waiting' || pinned !== '')
    .map((client) => {
      const { id, user, database, state, address, applicationName, age, request } = client
      const { waited, transaction, running, pinned, pinnedFor } = client
      return {
        ...{ id, user, database, state, address, applicationName, age, request, waited, transaction, running, pinned },
        ...{ pinnedFor, pid: pids.get(client.server) ?? 0, why: whyHeld(client) },
      }
    })
}

/** Why a client has a server, or has none. */
function whyHeld({ state, server, running, transaction, pinned, replication }: ClientSnapshot): string {
  if (state === 'waiting') return 'waits for a server'
  if (server === 0) return ''
  if (replication !== 'none') return 'replication'
  if (running) return 'a request runs'
  if (transaction > 0) return 'idle in transaction'
  return pinned === '' ? 'session' : `pinned: ${pinned}`
}

/** What queries can be sorted by. */
export const QUERY_ORDERS = ['total', 'mean', 'calls', 'p99', 'max', 'errors', 'wait'] as const
export type QueryOrder = (typeof QUERY_ORDERS)[number]

/** A statement as the page shows it: without its text for those who may not see it. */
export type PageQuery = Omit<QuerySnapshot, 'text'> & { readonly text: string | null }

/** The first `limit` statements in that order. Without literals, a text still names tables and columns. */
export function queriesOf(view: View, role: Role, order: QueryOrder, limit: number): PageQuery[] {
  const showsTexts = role === 'admin' || view.showsQueries
  return view
    .queries()
    .toSorted((a, b) => b[order] - a[order])
    .slice(0, limit)
    .map((row) => ({ ...row, text: showsTexts ? row.text : null }))
}
