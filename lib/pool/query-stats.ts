/**
 * Statistics of statements, by fingerprint, database and user (`query_stats_max`). At most so many are kept; for a new one
 * the least used of a few goes, so that a flood of texts that are sent once costs no more than others do, and takes the
 * place of those that are sent again and again only slowly.
 *
 * Told by clients (client/requests/running-statements.ts), shown by SHOW QUERIES.
 */

import type { Config } from '../config/options.ts'
import type { Fingerprint } from '../sql/fingerprint.ts'
import { now } from '../util/clock.ts'
import { type Call, QueryRecord, type QuerySnapshot } from './query-record.ts'

/** So many are looked at for the least used. */
const LOOKS = 16

/** How many statements are kept, 0 for none, and whether texts are. */
type QuerySettings = Pick<Config, 'queryStatsMax' | 'logParameters'>

/** The statements of one database and user. */
export class QueryTally {
  readonly database: string
  readonly user: string
  /** Clients that use it. */
  clients = 0
  readonly #stats: QueryStats
  readonly #records = new Map<string, QueryRecord>()
  /** The record that was used last. */
  #last: QueryRecord | undefined

  constructor(stats: QueryStats, database: string, user: string) {
    this.#stats = stats
    this.database = database
    this.user = user
  }

  /** A call of the statement has ended. */
  add(fingerprint: Fingerprint, call: Call): void {
    let record = this.#last
    if (record === undefined || record.fingerprint !== fingerprint) {
      record = this.#records.get(fingerprint.id) ?? this.#stats.make(this, fingerprint)
      if (record === undefined) return
      this.#last = record
    }
    record.add(call, now())
  }

  /** Nothing of it is kept, and nobody uses it. */
  get unused(): boolean {
    return this.clients === 0 && this.#records.size === 0
  }

  // ---- for QueryStats ----

  keep(record: QueryRecord): void {
    this.#records.set(record.fingerprint.id, record)
  }

  forget(record: QueryRecord): void {
    if (this.#last === record) this.#last = undefined
    this.#records.delete(record.fingerprint.id)
  }
}

/** The statements of all. */
export class QueryStats {
  /** Texts are to be kept while their statements run (`log_parameters`). */
  logParameters: boolean
  /** Changes with each configuration: what clients have read of one is to be read again. */
  revision = 0
  #limit: number
  readonly #tallies = new Map<string, QueryTally>()
  /** All records, and which is looked at next. */
  readonly #records: QueryRecord[] = []
  #hand = 0

  constructor(settings: QuerySettings) {
    this.#limit = settings.queryStatsMax
    this.logParameters = settings.logParameters
  }

  /** Another configuration counts. */
  configure({ queryStatsMax, logParameters }: QuerySettings): void {
    this.revision++
    this.logParameters = logParameters
    this.#limit = queryStatsMax
    while (this.#records.length > queryStatsMax) this.#forget(this.#records.pop()!)
  }

  /** Something is counted. */
  get enabled(): boolean {
    return this.#limit > 0
  }

  /** A client of `database` and `user` begins to count, until `leave`. */
  join(database: string, user: string): QueryTally {
    const key = keyOf(database, user)
    let tally = this.#tallies.get(key)
    if (tally === undefined) this.#tallies.set(key, (tally = new QueryTally(this, database, user)))
    tally.clients++
    return tally
  }

  leave(tally: QueryTally): void {
    tally.clients--
    this.#dropUnused(tally)
  }

  /** A new record; undefined where nothing is counted. */
  make(tally: QueryTally, fingerprint: Fingerprint): QueryRecord | undefined {
    const limit = this.#limit
    if (limit === 0) return undefined
    const full = this.#records.length === limit
    const at = full ? this.#leastUsed() : this.#records.length
    const former = this.#records[at]
    if (former !== undefined) this.#forget(former)
    const record = new QueryRecord(fingerprint, tally.database, tally.user, former)
    this.#records[at] = record
    tally.keep(record)
    return record
  }

  /** Forget all. */
  reset(): void {
    for (const record of this.#records) this.#forget(record)
    this.#records.length = 0
    this.#hand = 0
  }

  /** All of them as plain data. */
  snapshot(): QuerySnapshot[] {
    const epoch = Date.now() - now()
    return this.#records.map((record) => record.snapshot(epoch))
  }

  /** The least used of those that are looked at; all of them have been used less from then on. */
  #leastUsed(): number {
    const records = this.#records
    let least = -1
    let uses = Number.POSITIVE_INFINITY
    for (let looks = Math.min(LOOKS, records.length); looks > 0; looks--) {
      this.#hand = this.#hand + 1 < records.length ? this.#hand + 1 : 0
      const record = records[this.#hand]!
      if (record.uses < uses) {
        uses = record.uses
        least = this.#hand
      }
      if (record.uses > 0) record.uses--
    }
    return least
  }

  #forget(record: QueryRecord): void {
    const tally = this.#tallies.get(keyOf(record.database, record.user))
    if (tally === undefined) return
    tally.forget(record)
    this.#dropUnused(tally)
  }

  #dropUnused(tally: QueryTally): void {
    if (tally.unused) this.#tallies.delete(keyOf(tally.database, tally.user))
  }
}

function keyOf(database: string, user: string): string {
  return `${database}\0${user}`
}
