/**
 * The statements of one client that were sent and are not over, for the statistics (`query_stats_max`), the log of slow
 * ones (`log_min_duration`) and spans (OpenTelemetry): what each is, since when it runs, and how long its client has
 * waited for a server. Told of their ends by the reply plan of the server (RequestWatcher).
 *
 * A statement runs from the moment it is sent, or from the end of the one before where several were sent together. The
 * wait for a server is that of the first statement sent behind it.
 */

import type { HostAddress } from '../../config/hosts.ts'
import type { QueryStats, QueryTally } from '../../pool/query-stats.ts'
import type { ClientLimits } from '../../routing/routes.ts'
import type { RequestWatcher } from '../../server/ports.ts'
import type { Fingerprint } from '../../sql/fingerprint.ts'
import type { TraceParent } from '../../sql/trace-parent.ts'
import { now } from '../../util/clock.ts'
import type { Logger } from '../../util/logger.ts'
import type { ClientInfo } from '../lifecycle/client-info.ts'
import type { SpanSink } from '../lifecycle/span-sink.ts'

/** What is kept of a statement besides its fingerprint, where somebody wants it. */
export interface SentDetails {
  /** For the log, with its literals (`log_parameters`). */
  readonly text: string | undefined
  readonly parameters: readonly string[] | undefined
  /** The span that it is a part of, and the host that it was sent to. */
  readonly trace: TraceParent | undefined
  readonly host: HostAddress
}

/** What it needs of the process. */
export interface StatementPorts {
  readonly queryStats: QueryStats
  readonly log: Logger
  readonly spans: SpanSink | undefined
  clientLimits(database: string, user: string): Pick<ClientLimits, 'logMinDuration'>
}

/** Of what cannot be told any more: a text too long to be kept, or prepared while nothing was counted. */
export const UNKNOWN: Fingerprint = { id: '0'.repeat(16), text: '(unknown)', single: false }

/** Statements under way that there is room for at first: nearly all clients send one at a time. */
const ROOM = 4

/** The statements of one client. */
export class RunningStatements implements RequestWatcher {
  readonly #info: ClientInfo
  readonly #ports: StatementPorts
  #tally: QueryTally | undefined
  #isOver = false
  /** Of the configuration that `#logMinDuration` was read of. */
  #revision = -1
  #logMinDuration = -1
  // A ring of those under way, oldest first.
  #fingerprints: (Fingerprint | undefined)[] = new Array<undefined>(ROOM).fill(undefined)
  #sentAt = new Float64Array(ROOM)
  #waits = new Float64Array(ROOM)
  /** Made while texts are logged, or spans are sent. */
  #details: (SentDetails | undefined)[] | undefined
  #first = 0
  #size = 0
  /** When the last one was over. */
  #overAt = 0
  /** Since when the client waits for a server; 0 where it does not. And how long it has, which the next statement tells. */
  #askedAt = 0
  #wait = 0
  // Of the first of them: rows so far, and the SQLSTATE of the error that came; undefined where none did.
  #rows = 0
  #failure: string | undefined
  /** The first of them was sent behind those of other clients. */
  #shared = false
  /** The first of those that were lost with their server. */
  #lost: { fingerprint: Fingerprint; sentAt: number; wait: number; details: SentDetails | undefined } | undefined
  /** One call, told again and again. */
  readonly #call = { duration: 0, wait: 0, rows: 0, bytes: 0, failed: false, shared: false }

  constructor(info: ClientInfo, ports: StatementPorts) {
    this.#info = info
    this.#ports = ports
  }

  /** Somebody wants to know of statements. */
  get watching(): boolean {
    return this.#ports.queryStats.enabled || this.#logsFrom >= 0 || this.wantsTraces
  }

  /** Texts are to be kept until their statements are over. */
  get wantsTexts(): boolean {
    return this.#ports.queryStats.logParameters && this.#logsFrom >= 0
  }

  /** Statements are to be told with the spans that they are parts of. */
  get wantsTraces(): boolean {
    return this.#ports.spans !== undefined
  }

  /** The client asks for a server. */
  asks(): void {
    if (this.#askedAt === 0) this.#askedAt = now()
  }

  /** It gets none. */
  isRefused(): void {
    this.#askedAt = 0
  }

  /** Its requests are sent to one. */
  hasServer(): void {
    // It was sent again.
    this.#lost = undefined
    this.#wait = this.#askedAt === 0 ? 0 : now() - this.#askedAt
    this.#askedAt = 0
  }

  /** A statement is sent. */
  sends(fingerprint: Fingerprint, details: SentDetails | undefined): void {
    if (this.#size === this.#fingerprints.length) this.#grow()
    const at = (this.#first + this.#size++) % this.#fingerprints.length
    this.#fingerprints[at] = fingerprint
    this.#sentAt[at] = now()
    this.#waits[at] = this.#wait
    this.#wait = 0
    if (details !== undefined) this.#details ??= []
    if (this.#details !== undefined) this.#details[at] = details
  }

  /** What others had sent ahead is answered: the first runs from now on, and has waited until then. */
  turnCame(): void {
    if (this.#size === 0) return
    const at = now()
    this.#shared = true
    this.#waits[this.#first]! += at - this.#sentAt[this.#first]!
    this.#sentAt[this.#first] = at
  }

  /** The one that was sent last was not: something else was sent in its place. */
  takeBack(): void {
    this.#size--
  }

  /** The server is gone, and what ran there is not sent again: it has failed with `sqlstate`. */
  failLost(sqlstate: string): void {
    const lost = this.#lost
    this.#lost = undefined
    if (lost !== undefined) this.#tell(lost.fingerprint, lost.sentAt, lost.wait, 0, sqlstate, lost.details)
  }

  /** The session is over. What runs may still come to its end. */
  end(): void {
    this.#isOver = true
    if (this.#tally !== undefined) this.#ports.queryStats.leave(this.#tally)
    this.#tally = undefined
  }

  // ---- RequestWatcher ----

  completed(rows: number): void {
    this.#rows += rows
  }

  failing(sqlstate: string): void {
    this.#failure = sqlstate
  }

  ended(bytes: number, reached: boolean): void {
    const at = this.#first
    const fingerprint = this.#fingerprints[at]
    if (this.#size === 0 || fingerprint === undefined) return
    const failure = this.#failure
    const details = this.#details?.[at]
    const sentAt = this.#sentAt[at]!
    this.#shift()
    if (reached || failure !== undefined) this.#tell(fingerprint, sentAt, this.#waits[at]!, bytes, failure, details)
    this.#rows = 0
    this.#failure = undefined
    this.#shared = false
  }

  lost(): void {
    const at = this.#first
    const fingerprint = this.#fingerprints[at]
    if (this.#size > 0 && fingerprint !== undefined) {
      this.#lost = { fingerprint, sentAt: this.#sentAt[at]!, wait: this.#waits[at]!, details: this.#details?.[at] }
    }
    while (this.#size > 0) this.#shift()
    this.#rows = 0
    this.#failure = undefined
    this.#shared = false
  }

  #shift(): void {
    const at = this.#first
    this.#fingerprints[at] = undefined
    if (this.#details !== undefined) this.#details[at] = undefined
    this.#first = (at + 1) % this.#fingerprints.length
    this.#size--
  }

  #tell(
    fingerprint: Fingerprint,
    sentAt: number,
    wait: number,
    bytes: number,
    failure: string | undefined,
    details: SentDetails | undefined,
  ): void {
    const at = now()
    const call = this.#call
    const startedAt = Math.max(sentAt, this.#overAt)
    call.duration = at - startedAt
    call.wait = wait
    call.rows = this.#rows
    call.bytes = bytes
    call.failed = failure !== undefined
    call.shared = this.#shared
    this.#overAt = at
    const { queryStats } = this.#ports
    if (queryStats.enabled) {
      const { database, user } = this.#info
      this.#tally ??= queryStats.join(database, user)
      this.#tally.add(fingerprint, call)
      // Nobody comes to say so again.
      if (this.#isOver) this.end()
    }
    const from = this.#logsFrom
    if (from >= 0 && call.duration >= from) this.#log(fingerprint, details)
    if (details?.trace === undefined) return
    const { trace, host } = details
    const client = this.#info
    const rows = this.#rows
    this.#ports.spans?.add({ trace, fingerprint, client, host, sentAt, startedAt, endedAt: at, wait, rows, failure })
  }

  /** `log_min_duration`. */
  get #logsFrom(): number {
    const { revision } = this.#ports.queryStats
    if (this.#revision !== revision) {
      const { database, user } = this.#info
      this.#revision = revision
      this.#logMinDuration = this.#ports.clientLimits(database, user).logMinDuration
    }
    return this.#logMinDuration
  }

  #log({ id, text }: Fingerprint, sent: SentDetails | undefined): void {
    const { duration, wait, rows, failed } = this.#call
    this.#ports.log.info('slow statement', {
      ...this.#info.about(),
      application_name: this.#info.applicationName || undefined,
      duration_ms: Math.round(duration),
      wait_ms: Math.round(wait),
      rows,
      failed: failed || undefined,
      query_id: id,
      query: sent?.text ?? text,
      parameters: sent?.parameters?.join(', '),
    })
  }

  #grow(): void {
    const length = this.#fingerprints.length
    const order = Array.from({ length }, (_, i) => (this.#first + i) % length)
    const moved = (numbers: Float64Array): Float64Array<ArrayBuffer> => {
      const larger = new Float64Array(2 * length)
      for (const [i, at] of order.entries()) larger[i] = numbers[at]!
      return larger
    }
    const fingerprints = this.#fingerprints
    this.#fingerprints = [...order.map((at) => fingerprints[at]), ...new Array<undefined>(length).fill(undefined)]
    this.#sentAt = moved(this.#sentAt)
    this.#waits = moved(this.#waits)
    const details = this.#details
    if (details !== undefined) this.#details = order.map((at) => details[at])
    this.#first = 0
  }
}
