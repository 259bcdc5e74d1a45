/** Takes the statements that are parts of spans of an application (OpenTelemetry). */

import type { HostAddress } from '../../config/hosts.ts'
import type { Fingerprint } from '../../sql/fingerprint.ts'
import type { TraceParent } from '../../sql/trace-parent.ts'
import type { ClientInfo } from './client-info.ts'

/** A statement that is over. Times are those of the clock (util/clock). */
export interface TracedStatement {
  readonly trace: TraceParent
  readonly fingerprint: Fingerprint
  readonly client: Pick<ClientInfo, 'user' | 'database' | 'applicationName'>
  readonly host: HostAddress
  readonly sentAt: number
  /** When PostgreSQL had nothing to do before it. */
  readonly startedAt: number
  readonly endedAt: number
  /** How long its client had waited for a server before it was sent. */
  readonly wait: number
  readonly rows: number
  /** SQLSTATE of the error that it ended with; undefined where it ended well. */
  readonly failure: string | undefined
}

/** Owned by whoever sends spans. */
export interface SpanSink {
  add(statement: TracedStatement): void
}
