/**
 * Server connections that belong to one client each, from its login to its end: replication connections. PostgreSQL
 * knows no way to make a walsender as good as new, so none is ever lent twice, and none counts towards `pool_size`: a
 * stream has no end, and would make the pool smaller for good. PostgreSQL's own limit for them is max_wal_senders.
 *
 * Comes in: connections opened for a client. Goes out: leases that end with the connection.
 */

import type { ServerConnection } from '../server/connection.ts'
import type { Consumer, ServerOwner } from '../server/ports.ts'
import { now } from '../util/clock.ts'
import { List } from '../util/list.ts'
import { Lease, type LeaseOutcome, type LeaseOwner } from './lease.ts'

/** The connections of one database and user that are not shared. */
export class DedicatedServers implements ServerOwner<ServerConnection>, LeaseOwner {
  /** Clients that have or will have one of their own. */
  clients = 0
  readonly #servers = new List<ServerConnection>('dedicated')
  readonly #cancel: (server: ServerConnection) => void

  /** @param cancel asks PostgreSQL to cancel what runs on a server */
  constructor(cancel: (server: ServerConnection) => void) {
    this.#cancel = cancel
  }

  /** All connections. */
  servers(): Iterable<ServerConnection> {
    return this.#servers
  }

  /** Lend a connection of ours, opened a moment ago, to the client it was opened for. */
  lend(server: ServerConnection, consumer: Consumer): Lease {
    const lease = new Lease(this, server, 'session', now())
    server.beginLease(consumer, lease)
    return lease
  }

  /** Its client is gone, and so is the connection. Only Lease calls this. */
  takeBack({ server }: Lease, outcome: LeaseOutcome, reason: string): void {
    server.consumer = null
    // Whoever runs a query does not see that nobody waits for it any more. A walsender that streams does.
    if (outcome !== 'finishing' && !server.settled && !server.plan.copyBoth) this.#cancel(server)
    if (outcome === 'broken') server.cut(reason)
    else server.close('its client left')
  }

  // ---- ServerOwner ----

  listOf(): List<ServerConnection> {
    return this.#servers
  }

  onServerParameter(): void {}

  onServerGone(): void {}

  onServerFree(): void {}
}
