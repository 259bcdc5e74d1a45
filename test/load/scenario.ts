/** What a scenario of the load scripts is, and what it says when something is not as it must be. */
import type { LoadClient } from './client.ts'

export const POOL_MODES = ['session', 'transaction', 'statement'] as const
export type PoolMode = (typeof POOL_MODES)[number]

/** What every client of a run does again and again. */
export interface Scenario {
  /** One line for --help. */
  says: string
  modes: readonly PoolMode[]
  /** Why it cannot be run in the other modes. */
  because: string
  /**
   * Rounds of a session in session mode, where a server is lent until the client disconnects: so all have their turn,
   * also where there are more clients than servers.
   */
  roundsPerSession: number
  /** Begins a session of `client`; what it returns is called for each round. */
  session(client: LoadClient): (round: number) => Promise<void>
}

/** An answer was that of somebody else, or came from another server than it must have. */
export class MixUp extends Error {}

/** @throws MixUp where `actual` is not `expected` */
export function own(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new MixUp(`mix-up: ${what} is ${show(actual)}, expected ${show(expected)}`)
}

/** @throws Error where `actual` is not `expected` */
export function must(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`${what} is ${show(actual)}, expected ${show(expected)}`)
}

function show(value: unknown): string {
  return value === undefined ? 'missing' : JSON.stringify(value)
}
