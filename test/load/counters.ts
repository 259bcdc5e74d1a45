/**
 * How often pgbun lent servers and how many it opened during a run: from its own counters, never from guesses. They come
 * from a snapshot where the script has started pgbun, otherwise from the `stats` lines of its log (PGBUN_LOG).
 */
import { LogReader, type Totals } from './log-reader.ts'

/** What was counted from `begin` to `end`. */
export interface Counted extends Totals {
  /** Where the numbers come from. */
  from: string
}

/** No numbers can be had: the reason. */
export interface Uncounted {
  reason: string
}

/** What a run did at least, as the script itself knows. */
export interface Needed {
  leases: number
  /**
   * Wall clock in milliseconds, which pgbun's machine shares: until then everything is to be counted. Something must have
   * happened after it, or there is no line.
   */
  until: number
}

export interface Counters {
  begin(): void
  /** After an abort of `stop` it does not wait any longer for what is not there. */
  end(needed: Needed, stop: AbortSignal): Promise<Counted | Uncounted>
}

/** The line of statistics has to come within so long after the run, in milliseconds, if its period is not known. */
const WAIT_MS = 5000
/** And never waits longer than this. */
const LONGEST_WAIT_MS = 30_000

/** The counters of a pgbun in this process. */
export function ownCounters(totals: () => Totals): Counters {
  let before: Totals = { leases: 0, opened: 0 }
  return {
    begin() {
      before = totals()
    },
    async end() {
      return { ...since(before, totals()), from: 'the snapshot of the pgbun that was started for the run' }
    },
  }
}

/** The counters in the log of a pgbun elsewhere. */
export function logCounters(file: string | undefined): Counters {
  if (!file) return uncounted('PGBUN_LOG is not set: it names the file with the log of pgbun')
  const reader = new LogReader(file)
  let before: { totals: Totals; line: string } | undefined
  let startsBefore = 0
  let problem = ''

  const cannotRead = (error: unknown): string => `cannot read PGBUN_LOG=${file}: ${(error as Error).message}`

  return {
    begin() {
      try {
        reader.read()
      } catch (error) {
        problem = cannotRead(error)
        return
      }
      startsBefore = reader.starts
      const { latest } = reader
      if (latest) before = { totals: latest, line: `the stats line of ${iso(latest.time)}` }
      else if (reader.starts > 0) before = { totals: { leases: 0, opened: 0 }, line: 'its start' }
      else problem = `PGBUN_LOG=${file} has neither a stats line with totals nor the start of pgbun`
    },
    async end(needed, stop) {
      if (!before) return { reason: problem }
      const began = performance.now()
      for (;;) {
        try {
          reader.read()
        } catch (error) {
          return { reason: cannotRead(error) }
        }
        const { latest } = reader
        const wait = Math.min(LONGEST_WAIT_MS, Math.max(WAIT_MS, 2 * (reader.period ?? 0)))
        if (reader.starts !== startsBefore) return { reason: 'pgbun was started anew during the run' }
        if (latest && latest.time > needed.until) {
          const counted = since(before.totals, latest)
          if (counted.leases >= needed.leases)
            return {
              ...counted,
              from: `the log of pgbun, from ${before.line} to the stats line of ${iso(latest.time)}`,
            }
          return {
            reason: `PGBUN_LOG=${file} is of another pgbun: it lent servers ${counted.leases} times, the run needed ${needed.leases}`,
          }
        }
        if (stop.aborted || performance.now() - began > wait) {
          const waited = ((performance.now() - began) / 1000).toFixed(1)
          return {
            reason: `no stats line in PGBUN_LOG=${file} within ${waited} s after the run: is stats_period short enough?`,
          }
        }
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    },
  }
}

/** There are no counters, for this reason. */
export function uncounted(reason: string): Counters {
  return { begin() {}, end: async () => ({ reason }) }
}

/** Share of the leases, in percent, that were served by a connection that was there already; null where there were none. */
export function reusePercent({ leases, opened }: Totals): number | null {
  return leases === 0 ? null : Math.round(10_000 * (1 - opened / leases)) / 100
}

function since(before: Totals, now: Totals): Totals {
  return { leases: now.leases - before.leases, opened: now.opened - before.opened }
}

function iso(time: number): string {
  return new Date(time).toISOString()
}
