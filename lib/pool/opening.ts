/**
 * How a pool gets its connections: one at a time, with a pause that grows after failures, and what newcomers are told
 * while there is none to be had.
 *
 * Holds: while PostgreSQL is only starting up (57P03), or other connections of the pool serve, clients wait; otherwise
 * a failure is told to all who wait, and for as long as the pause lasts to newcomers at once.
 */

import { type ErrorFields, errorFields } from '../errors.ts'
import type { ServerConnection } from '../server/connection.ts'
import { LoginError } from '../server/login.ts'
import { now } from '../util/clock.ts'
import { Backoff } from './backoff.ts'
import type { Durations } from './durations.ts'
import type { Slot } from './server-limits.ts'

/** What opening needs from its pool. */
export interface OpeningPorts {
  /** Open and log in one connection in `slot`. Rejects with a LoginError. */
  open(slot: Slot): Promise<ServerConnection>
  readonly durations: Pick<Durations, 'connect'>
  /** There is one more connection. */
  opened(server: ServerConnection): void
  /** An attempt failed, for the log. */
  failed(error: LoginError): void
  /** Nobody who waits will get a connection, because of `error`. */
  refuseAll(error: LoginError): void
  /** Connections that exist. */
  connected(): number
  /** Another host can be tried at once. */
  hasHost(): boolean
  /** Look again whether a connection is needed. */
  retry(): void
  /** `server_login_retry` in milliseconds. */
  retryMs(): number
  /** `outage_grace` in milliseconds. */
  graceMs(): number
}

/** PostgreSQL is starting up or in recovery: it will be there in a moment. */
const STARTING_UP = '57P03'
/** PostgreSQL, the role or the database has no connection left. */
const TOO_MANY_CONNECTIONS = '53300'
const SERVER_IS_FULL =
  'This is said by PostgreSQL, not by pgbun: lower pool_size of pgbun or raise the limit of PostgreSQL.'
/** Pause between two attempts at a server that is starting up. */
export const STARTING_UP_RETRY_MS = 1000
/** Longest pause where clients wait for a host to come back, or to be promoted. */
const OUTAGE_RETRY_MS = 250

/** No host has the role that target_session_attrs ask for. */
export class HostMisfit extends LoginError {
  constructor(host: string, attrs: string) {
    super(`${host} is not ${attrs} (target_session_attrs)`, { sqlstate: '57P03' })
  }
}

/** The one connection attempt of a pool, and the memory of the last that failed. */
export class Opening {
  readonly #ports: OpeningPorts
  readonly #backoff = new Backoff()
  #running = false
  #failure: LoginError | undefined
  #failedAt = 0
  /** Since when nothing can be used; 0 while something can. */
  #outageSince = 0

  constructor(ports: OpeningPorts) {
    this.#ports = ports
  }

  /** An attempt is under way. */
  get running(): boolean {
    return this.#running
  }

  /** An attempt may begin: none runs, and none failed a moment ago. */
  get possible(): boolean {
    return !this.#running && !this.#backoff.active(now())
  }

  /** Begin an attempt, if there is a slot for it. Only where `possible`. */
  begin(slot: Slot | undefined): void {
    if (slot === undefined) return
    this.#running = true
    const began = now()
    this.#ports.open(slot).then(
      (server) => {
        this.#running = false
        this.#ports.durations.connect.record(now() - began)
        this.#ports.opened(server)
      },
      (error: unknown) => {
        this.#running = false
        this.failed(error)
      },
    )
  }

  /** A connection was made, here or elsewhere. */
  succeeded(): void {
    this.#backoff.succeeded()
    this.#failure = undefined
    this.#outageSince = 0
  }

  /** The error a newcomer gets at once: the server failed a moment ago, and nothing else serves. */
  refusal(): LoginError | undefined {
    if (this.#failure === undefined || this.#running || this.#ports.connected() > 0) return undefined
    if (isStartingUp(this.#failure) || this.#graceful) return undefined
    return this.#backoff.active(now()) ? this.#failure : undefined
  }

  /** A failed login at PostgreSQL in the words a client gets: the server's own where it said something. */
  fields(error: LoginError): ErrorFields {
    const age = Math.round((now() - this.#failedAt) / 1000)
    const cached = error === this.#failure && age > 0 ? `First seen ${age} s ago. ` : ''
    if (error.fromServer) {
      const hint = error.sqlstate === TOO_MANY_CONNECTIONS ? SERVER_IS_FULL : undefined
      const detail = `${cached}${error.detail}`
      return { severity: 'FATAL', sqlstate: error.sqlstate, message: error.message, detail, hint }
    }
    return errorFields('server_connect_failed', {
      args: { what: `cannot connect to the server: ${error.message}` },
      detail: cached,
    })
  }

  /** No connection came of an attempt, or none that can be used. */
  failed(reason: unknown): void {
    const error =
      reason instanceof LoginError ? reason : new LoginError(String(reason), { sqlstate: 'XX000', cause: reason })
    this.#ports.failed(error)
    // Another one is tried at once, and nobody need hear of this one.
    if (isHostFault(error) && this.#ports.hasHost()) {
      this.#ports.retry()
      return
    }
    if (this.#outageSince === 0) this.#outageSince = now()
    this.#backoff.failed(now(), this.#pauseBehind(error))
    this.#failure = error
    this.#failedAt = now()
    if (isStartingUp(error) || this.#graceful || this.#ports.connected() > 0) return
    this.#ports.refuseAll(error)
  }

  /** Clients still wait for a host to come back. */
  get #graceful(): boolean {
    const grace = this.#ports.graceMs()
    return grace > 0 && this.#outageSince > 0 && now() - this.#outageSince < grace
  }

  #pauseBehind(error: LoginError): number {
    if (error instanceof HostMisfit || this.#graceful) return OUTAGE_RETRY_MS
    return isStartingUp(error) ? STARTING_UP_RETRY_MS : this.#ports.retryMs()
  }
}

/** SQLSTATEs by which PostgreSQL says that it, rather than the role or the database, cannot be used at the moment. */
const OF_THE_HOST = [STARTING_UP, TOO_MANY_CONNECTIONS, '57P01', '57P02']

/** True where the host of the attempt is at fault, and another may do. */
export function isHostFault(error: unknown): error is LoginError {
  if (!(error instanceof LoginError)) return false
  if (error instanceof HostMisfit) return true
  return error.fromServer ? OF_THE_HOST.includes(error.sqlstate) : error.sqlstate.startsWith('08')
}

/** True where PostgreSQL says that it is only starting up. */
export function isStartingUp(error: LoginError): boolean {
  return error.fromServer && error.sqlstate === STARTING_UP
}
