/**
 * Where the connections of a pool lead, and as whom pgbun logs in there. Plain data, made of the configuration by
 * routing/routes.ts.
 */

import { type HostAddress, hostPort } from '../config/hosts.ts'
import type { PasswordFunction } from '../config/options.ts'
import type { SessionAttrs } from './session-attrs.ts'

/** Where the password of the one user for all clients comes from. */
export type PasswordSource =
  | { readonly kind: 'text'; readonly password: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'command'; readonly command: string; readonly lifetimeMs: number }
  | { readonly kind: 'function'; readonly ask: PasswordFunction; readonly lifetimeMs: number }
  /** The secret of the user in auth_file, if there is one. */
  | { readonly kind: 'auth_file' }

/** The user that pgbun logs in as for all clients of a database. */
export interface ServerUser {
  readonly name: string
  readonly password: PasswordSource
}

/** How a host is chosen for the next connection. */
export type Balance = 'round-robin' | 'least-connections' | 'disable'

/** One database on its hosts. */
export interface Target {
  readonly hosts: readonly HostAddress[]
  /** The same as they are written: one may be a name that stands for several. */
  readonly written: readonly HostAddress[]
  readonly balance: Balance
  /** What is due to each of the hosts, in their order; empty where that is the same. */
  readonly weights: readonly number[]
  /** Those with the lowest are used first; empty where all have the same. */
  readonly priorities: readonly number[]
  /** What a host must be. */
  readonly attrs: SessionAttrs
  /** Its name there. */
  readonly database: string
  /** Undefined where each client is logged in as itself. */
  readonly user: ServerUser | undefined
  /** Its connections serve reads of clients of another pool (`route_reads`). */
  readonly reads: boolean
  /** Startup parameters beside user and database. */
  readonly parameters: readonly (readonly [string, string])[]
  /** The section of `[databases]` whose `server_tls_*` count; undefined for the general ones. */
  readonly tls: string | undefined
  /** Tells this database from others: of two targets with the same, the sessions see the same tables and functions. */
  readonly place: string
  /** Tells targets apart: where it changes, connections opened before are not used again. */
  readonly signature: string
}

/** Why a connection is not used again whose pool has another target by now. */
export const LEADS_ELSEWHERE = 'the database leads elsewhere since a reload'

/** Who logs in, and where: what holds for one login to its end, whatever becomes of its pool meanwhile. */
export interface LoginTo {
  /** As clients call it. */
  readonly database: string
  readonly user: string
  readonly target: Target
}

/** As whom `pool` logs in now, and where. */
export function loginTo({ database, user, target }: LoginTo): LoginTo {
  return { database, user, target }
}

/** The `place` of a database on its hosts. */
export function placeOf({ written, database }: Pick<Target, 'written' | 'database'>): string {
  return JSON.stringify([written.map(hostPort), database])
}
