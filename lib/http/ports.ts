/** What the HTTP surface needs from the process it lives in: the daemon passes it in. */

import type { Control } from '../admin/control.ts'
import type { View } from '../admin/view.ts'
import type { ProcessView } from '../observe/own-metrics.ts'
import type { Pulse } from '../observe/pulse.ts'
import type { CountSnapshot } from '../observe/snapshot.ts'
import type { Logger } from '../util/logger.ts'

/** What a visitor may do: look, or everything. */
export type Role = 'admin' | 'stats'

/** Whether clients should be sent here. */
export interface Readiness {
  /** Clients can connect. */
  readonly listening: boolean
  /** A shutdown has begun. */
  readonly draining: boolean
  /** SUSPEND: no client gets an answer. */
  readonly suspended: boolean
  /** Why the last reload has changed nothing; '' where it has, or there was none. */
  readonly reloadFailure: string
}

/** Where a visitor comes from. */
export interface Origin {
  /** IP address. */
  readonly address: string
  readonly port: number
  readonly tls: boolean
}

/** Of the configuration in force. */
export interface HttpSettings {
  /** `http_token`; '' for none. */
  readonly token: string
  /** `allow_cleartext_password` */
  readonly cleartextAllowed: boolean
}

/** Passed in by whoever starts it. */
export interface HttpPorts {
  settings(): HttpSettings
  view(): View
  /** What is counted and how much there is of everything, without a look at each client. */
  counts(): CountSnapshot
  /** The same in a few numbers. */
  pulse(): Pulse
  process(): ProcessView
  readiness(): Readiness
  /** Why clients of `database` would get no server; '' where one answers. */
  whyUnavailable(database: string): Promise<string>
  /**
   * Who `user` is if `password` is right: one of `admin_users` or `stats_users`, or nobody, which is said in the log. `signal`
   * is aborted when the visitor leaves.
   */
  login(user: string, password: string, origin: Origin, signal: AbortSignal): Promise<Role | undefined>
  /** What admins can have done. */
  readonly control: Control
  readonly log: Logger
}
