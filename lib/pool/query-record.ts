/**
 * What is counted of one statement of one database and user: sums, and how often it took how long. A histogram with steps of
 * a tenth says any percentile within five percent. Takes 1.2 kB beside its text; nothing is allocated for a call.
 */

import type { Fingerprint } from '../sql/fingerprint.ts'

/** Plain data of it. Times are milliseconds. */
export interface QuerySnapshot {
  id: string
  /** Without literals. */
  text: string
  database: string
  user: string
  calls: number
  /** Calls that ended with an error. */
  errors: number
  rows: number
  /** Of answers. */
  bytes: number
  /** Running, from when PostgreSQL had nothing to do before it. */
  total: number
  max: number
  /** Waiting for a server. */
  wait: number
  maxWait: number
  /** Calls sent behind those of other clients on the same server (`server_pipelining`). */
  shared: number
  /** When the first and the last call ended: milliseconds since 1970. */
  firstSeen: number
  lastSeen: number
  mean: number
  /** How long half, 95 and 99 percent of the calls took at most. */
  p50: number
  p95: number
  p99: number
}

const CALLS = 0
const ERRORS = 1
const ROWS = 2
const BYTES = 3
const TOTAL = 4
const MAX = 5
const WAIT = 6
const MAX_WAIT = 7
const FIRST = 8
const LAST = 9
const SHARED = 10
const FIELDS = 11

/** The first step ends here (ms), each of the others is a tenth longer, and the last begins after an hour. */
const LEAST_MS = 0.01
const GROWTH = 1.1
const STEPS = 208
const PER_STEP = 1 / Math.log(GROWTH)

/** Of calls, for p50, p95 and p99. */
const SHARES = [0.5, 0.95, 0.99]

/** Calls that are remembered against being forgotten. */
const USES_LIMIT = 255

/** One call. */
export interface Call {
  /** Milliseconds. */
  duration: number
  wait: number
  rows: number
  bytes: number
  failed: boolean
  /** It was sent behind those of other clients. */
  shared: boolean
}

/** The counts of one statement. */
export class QueryRecord {
  readonly fingerprint: Fingerprint
  readonly database: string
  readonly user: string
  /** How much it was used of late. */
  uses = 0
  readonly #fields: Float64Array
  readonly #steps: Uint32Array

  /** @param former one that is forgotten: its memory is used again */
  constructor(fingerprint: Fingerprint, database: string, user: string, former: QueryRecord | undefined) {
    this.fingerprint = fingerprint
    this.database = database
    this.user = user
    this.#fields = former === undefined ? new Float64Array(FIELDS) : former.#fields.fill(0)
    this.#steps = former === undefined ? new Uint32Array(STEPS) : former.#steps.fill(0)
  }

  /** A call ended at `at` (ms of the clock). */
  add({ duration, wait, rows, bytes, failed, shared }: Call, at: number): void {
    const fields = this.#fields
    if (fields[CALLS] === 0) fields[FIRST] = at
    fields[CALLS]!++
    if (failed) fields[ERRORS]!++
    if (shared) fields[SHARED]!++
    fields[ROWS]! += rows
    fields[BYTES]! += bytes
    fields[TOTAL]! += duration
    if (duration > fields[MAX]!) fields[MAX] = duration
    fields[WAIT]! += wait
    if (wait > fields[MAX_WAIT]!) fields[MAX_WAIT] = wait
    fields[LAST] = at
    this.#steps[stepOf(duration)]!++
    if (this.uses < USES_LIMIT) this.uses++
  }

  /** @param epoch what is added to the clock for milliseconds since 1970 */
  snapshot(epoch: number): QuerySnapshot {
    const fields = this.#fields
    const calls = fields[CALLS]!
    const [p50, p95, p99] = this.#percentiles()
    return {
      id: this.fingerprint.id,
      text: this.fingerprint.text,
      database: this.database,
      user: this.user,
      calls,
      errors: fields[ERRORS]!,
      rows: fields[ROWS]!,
      bytes: fields[BYTES]!,
      total: fields[TOTAL]!,
      max: fields[MAX]!,
      wait: fields[WAIT]!,
      maxWait: fields[MAX_WAIT]!,
      shared: fields[SHARED]!,
      firstSeen: fields[FIRST]! + epoch,
      lastSeen: fields[LAST]! + epoch,
      mean: calls === 0 ? 0 : fields[TOTAL]! / calls,
      p50,
      p95,
      p99,
    }
  }

  /** In one pass by index: thousands of records are looked at in one turn. */
  #percentiles(): [number, number, number] {
    const steps = this.#steps
    const calls = this.#fields[CALLS]!
    const max = this.#fields[MAX]!
    const found: [number, number, number] = [max, max, max]
    let at = 0
    let sum = 0
    for (let step = 0; step < STEPS && at < found.length; step++) {
      sum += steps[step]!
      while (at < found.length && sum >= Math.ceil(calls * SHARES[at]!)) found[at++] = Math.min(stepMiddle(step), max)
    }
    return found
  }
}

function stepOf(ms: number): number {
  if (ms <= LEAST_MS) return 0
  const step = Math.ceil(Math.log(ms / LEAST_MS) * PER_STEP)
  return step < STEPS ? step : STEPS - 1
}

/** The middle of a step, in ms; the last has none. */
function stepMiddle(step: number): number {
  if (step === STEPS - 1) return Number.POSITIVE_INFINITY
  return LEAST_MS * GROWTH ** (step - 0.5)
}
