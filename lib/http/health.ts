/**
 * Answers for probes: whether the process runs, and whether clients should be sent here. Both are for everybody, because
 * probes have no credentials; why a database cannot be used is said to those alone who may look at it.
 */

import { type Answer, json } from './answer.ts'
import type { Readiness } from './ports.ts'

/** The event loop turns. */
export function health(): Answer {
  return json(200, { status: 'ok' })
}

/** One thing that has to hold. */
interface Check {
  readonly ok: boolean
  readonly reason?: string
}

/** A database that was asked for: '' where one of its servers answers. */
export interface DatabaseCheck {
  readonly name: string
  readonly whyNot: string
}

/** Whether clients should be sent here. */
export function readiness(state: Readiness, database: DatabaseCheck | undefined): Answer {
  const { listening, draining, suspended, reloadFailure } = state
  const checks: Record<string, Check> = {
    listening: check(listening && !suspended, listening ? 'SUSPEND at the console holds all clients' : 'not yet'),
    // What is in force was checked before it came into force; a file that is wrong by now changes nothing.
    configuration: reloadFailure === '' ? { ok: true } : { ok: true, reason: reloadFailure },
    accepting: check(!draining, 'a shutdown has begun'),
  }
  if (database !== undefined) checks[`database ${database.name}`] = check(database.whyNot === '', database.whyNot)
  const ready = Object.values(checks).every(({ ok }) => ok)
  return json(ready ? 200 : 503, { status: ready ? 'ready' : 'not ready', checks })
}

function check(ok: boolean, reason: string): Check {
  return ok ? { ok } : { ok, reason }
}
