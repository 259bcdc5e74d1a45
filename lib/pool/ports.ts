/** What a pool needs from the process it lives in. */

import type { Credentials } from '../auth/credentials.ts'
import type { HostAddress } from '../config/hosts.ts'
import type { ServerConnection } from '../server/connection.ts'
import type { RoleChange, ServerOwner } from '../server/ports.ts'
import type { Logger } from '../util/logger.ts'
import type { ServerLimits, Slot } from './server-limits.ts'
import type { HostRole } from './session-attrs.ts'
import type { Target } from './target.ts'

/** The pool of a connection that is being opened. */
export interface OpeningPool extends ServerOwner<ServerConnection> {
  readonly database: string
  readonly user: string
  readonly target: Target
  /** What to log in with, where the target has no user for all. */
  readonly credentials: Credentials
}

/** Passed in by whoever makes the pool. */
export interface PoolPorts {
  /** Open and log in one more connection of `pool` in `slot`. Rejects with a LoginError. */
  open(pool: OpeningPool, slot: Slot): Promise<ServerConnection>
  readonly limits: ServerLimits
  /** Where the next connection to `target` may lead, best first. */
  hosts(target: Target): readonly HostAddress[]
  /** Whether any host of `target` can be used, as far as is known. */
  hasHost(target: Target): boolean
  /** Whether a host of `target` that answers may be a standby. */
  mayFindStandby(target: Target): boolean
  /** The host of a connection turned out to have `role`. */
  roleFound(server: ServerConnection, role: HostRole): void
  /** A connection is gone. */
  gone(server: ServerConnection): void
  /** Ask PostgreSQL to cancel what runs on `server`. */
  cancel(server: ServerConnection): Promise<void>
  /** Whether clients of `database` are to wait, because an operator has said so. */
  isPaused(database: string): boolean
  /** PostgreSQL has answered a client of `database` with an error. */
  errorCame(database: string, sqlstate: string): void
  /** Roles have changed, as a connection of `user` tells. */
  rolesChanged(user: string, change: RoleChange): void
  log: Logger
}
