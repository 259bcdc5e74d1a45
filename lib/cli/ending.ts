/**
 * The end of the process: what is to be stopped is stopped, newest first, at a signal, after a failed start, or when the
 * daemon was asked to end by a client.
 *
 * SIGTERM, SIGINT and SIGQUIT mean what they mean to PgBouncer. A second signal hurries: what still runs is lost then,
 * and the exit code says so. A third one does not even say goodbye.
 */
import type { ShutdownMode } from '../admin/control.ts'
import { SHUTDOWN_MODES } from '../daemon/shutdown.ts'
import { asError, type LogControl } from '../util/logger.ts'

/** Windows has SIGINT for Ctrl-C and SIGBREAK for Ctrl-Break, and no others. Elsewhere there is no SIGBREAK. */
const MODES = {
  SIGTERM: 'wait_for_clients',
  SIGINT: 'wait_for_servers',
  SIGBREAK: 'wait_for_servers',
  SIGQUIT: 'now',
} as const satisfies Partial<Record<NodeJS.Signals, ShutdownMode>>

/** Something to be stopped. Where it takes its time, it is called again with `now` if somebody hurries. */
export type EndStep = (mode: ShutdownMode) => Promise<void>

/** The end of one process. */
export class Ending {
  readonly #log: LogControl
  readonly #steps: EndStep[] = []
  #mode: ShutdownMode | undefined
  #running: EndStep | undefined
  #code = 0

  constructor(log: LogControl) {
    this.#log = log
    for (const [signal, mode] of Object.entries(MODES)) process.on(signal, () => this.#onSignal(signal, mode))
  }

  get begun(): boolean {
    return this.#mode !== undefined
  }

  /** Run `step` at the end, before those that were added earlier. */
  add(step: EndStep): void {
    this.#steps.unshift(step)
  }

  /** SHUTDOWN at the console: end, or end faster than was asked for before. */
  byConsole(mode: ShutdownMode): void {
    this.#log.info('SHUTDOWN at the console', { mode })
    if (this.#mode === undefined) void this.end(0, mode)
    else if (SHUTDOWN_MODES.indexOf(mode) > SHUTDOWN_MODES.indexOf(this.#mode)) this.#hurry(mode)
  }

  /** Run all steps and end the process. */
  async end(code: number, mode: ShutdownMode = 'wait_for_servers'): Promise<void> {
    if (this.begun) return
    this.#mode = mode
    this.#code = code
    for (const step of this.#steps) {
      this.#running = step
      // The mode may have changed meanwhile.
      await step(this.#mode).catch((error: unknown) => {
        this.#log.error(`shutdown failed: ${messageOf(error)}`, { err: asError(error) })
        this.#code = 1
      })
    }
    this.#exit()
  }

  #onSignal(signal: string, mode: ShutdownMode): void {
    if (this.#mode === undefined) {
      this.#log.info(`${signal} received`)
      void this.end(mode === 'now' ? 1 : 0, mode)
      return
    }
    this.#log.warn(`${signal} received again, ending at once`)
    this.#code = 1
    if (this.#mode === 'now') this.#exit()
    this.#hurry('now')
  }

  #hurry(mode: ShutdownMode): void {
    this.#mode = mode
    this.#running?.(mode).catch(() => {})
  }

  #exit(): never {
    this.#log.flush()
    process.exit(this.#code)
  }
}

/** What was thrown, in words. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
