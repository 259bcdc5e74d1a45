/** What a pool needs from the process it lives in. */

import type { ServerConnection } from '../server/connection.ts'
import type { RoleChange } from '../server/ports.ts'
import type { Logger } from '../util/logger.ts'
import type { Pool } from './pool.ts'
import type { ServerLimits, Slot } from './server-limits.ts'

/** Passed in by whoever makes the pool. */
export interface PoolPorts {
  /** Open and log in one more connection of this pool in `slot`. Rejects with a LoginError. */
  open(pool: Pool, slot: Slot): Promise<ServerConnection>
  readonly limits: ServerLimits
  /** Ask PostgreSQL to cancel what runs on `server`. */
  cancel(server: ServerConnection): Promise<void>
  /** Roles have changed, as a connection of `user` tells. */
  rolesChanged(user: string, change: RoleChange): void
  log: Logger
}
