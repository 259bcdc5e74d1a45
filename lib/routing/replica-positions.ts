/**
 * How far the standbys of a primary have come, as a time: what was acknowledged before that time, whoever reads there
 * sees. Found out by comparing where the primary's log ended when it was asked with what a standby has replayed since.
 * Pure: log sequence numbers and times in milliseconds in, times out.
 */

/** Answers of the primary that are remembered, the older the fewer of them. */
const MARKS = 512
/** The pause between two of them is at most this part of their age. */
const THIN = 16
/** Beside a primary that has answered within so many ms, one of an older timeline is one that should be none. */
const CURRENT_MS = 10_000
/** PostgreSQL begins a page of its log with a header that no record is in: 8 kB, and up to 40 bytes. */
const PAGE = 8192n
const HEADER = 40n

/** What a server has said of itself. */
export interface Position {
  readonly standby: boolean
  /** Where the primary's log ends, or up to where a standby has replayed it. */
  readonly lsn: bigint
  readonly timeline: number
  /** Of the cluster; the same on a primary and its standbys. */
  readonly system: string
}

interface Mark {
  readonly at: number
  readonly lsn: bigint
}

/** Of the hosts of one database. */
export class ReplicaPositions {
  #primary = ''
  #timeline = 0
  #system = ''
  /** Where the log ended, by when that was asked for, oldest first. */
  readonly #marks: Mark[] = []
  readonly #reached = new Map<string, number>()

  /** The host with `key` has answered, what it was asked at `at`, with `position`. */
  answered(key: string, position: Position, at: number): void {
    if (position.standby) this.#standby(key, position)
    else this.#mark(key, position, at)
  }

  #mark(key: string, { lsn, timeline, system }: Position, at: number): void {
    const last = this.#marks.at(-1)
    if (key !== this.#primary && last !== undefined && at - last.at < CURRENT_MS && system === this.#system) {
      if (timeline < this.#timeline) return
      // Who of the two is written to, nobody knows.
      if (timeline === this.#timeline) {
        this.clear()
        return
      }
    }
    if (key !== this.#primary || timeline !== this.#timeline || system !== this.#system) {
      // What a standby had of another primary's log says nothing of this one.
      this.clear()
      this.#primary = key
      this.#timeline = timeline
      this.#system = system
    }
    const into = lsn % PAGE
    this.#marks.push({ at, lsn: into <= HEADER ? lsn - into : lsn })
    if (this.#marks.length > MARKS) this.#thin()
  }

  /** Forget marks, the older the more of them: an older one stands for those that came between it and the next. */
  #thin(): void {
    const now = this.#marks.at(-1)!.at
    const kept: Mark[] = []
    for (let i = this.#marks.length - 1, next = now; i >= 0; i--) {
      const mark = this.#marks[i]!
      const older = this.#marks[i - 1]
      // Without it, the pause between its neighbours is still short beside their age.
      if (older !== undefined && (next - older.at) * THIN < now - next) continue
      kept.push(mark)
      next = mark.at
    }
    this.#marks.splice(0, Number.POSITIVE_INFINITY, ...kept.reverse().slice(-MARKS))
  }

  #standby(key: string, { lsn, timeline, system }: Position): void {
    if (key === this.#primary) this.clear()
    // It follows another, or has not heard of this one's promotion yet.
    if (timeline !== this.#timeline || system !== this.#system) {
      this.#reached.delete(key)
      return
    }
    const mark = this.#marks.findLast((mark) => mark.lsn <= lsn)
    // Behind a crash it may be back at an earlier point.
    if (mark === undefined) this.#reached.delete(key)
    else this.#reached.set(key, mark.at)
  }

  /** What was acknowledged before this time can be read on the host with `key`; minus infinity where nothing is known. */
  upTo(key: string): number {
    return this.#reached.get(key) ?? Number.NEGATIVE_INFINITY
  }

  /** The host with `key` does not answer any more. False where it is not known as a standby. */
  lost(key: string): boolean {
    return this.#reached.delete(key)
  }

  /** The host with `key` is none of them any more. */
  forget(key: string): void {
    this.#reached.delete(key)
    if (key === this.#primary) this.clear()
  }

  /** Nothing is known any more. */
  clear(): void {
    this.#primary = ''
    this.#timeline = 0
    this.#system = ''
    this.#marks.length = 0
    this.#reached.clear()
  }
}

/** Asks for a Position. What needs privileges that the role has not is NULL. */
export const POSITION_QUERY = `SELECT pg_catalog.pg_is_in_recovery(),
  CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
    ELSE pg_catalog.pg_current_wal_insert_lsn() END,
  CASE WHEN pg_catalog.pg_is_in_recovery() THEN GREATEST(
      (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()),
      (SELECT min_recovery_end_timeline FROM pg_catalog.pg_control_recovery()),
      (SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver))
    ELSE ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8))::pg_catalog.bit(32)::pg_catalog.int4
  END,
  (SELECT system_identifier FROM pg_catalog.pg_control_system())`

/** The answer to POSITION_QUERY; undefined where it is none, as of a standby that has replayed nothing. */
export function readPosition([row]: readonly (readonly (string | null)[])[]): Position | undefined {
  const [standby, lsn, timeline, system] = row ?? []
  const parts = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(lsn ?? '')
  if (parts === null || timeline == null || system == null) return undefined
  const position = (BigInt(`0x${parts[1]}`) << 32n) + BigInt(`0x${parts[2]}`)
  return { standby: standby === 't', lsn: position, timeline: Number(timeline), system }
}
