/**
 * The process that this one has succeeded, as long as it has clients: it is asked how it is, and gets the cancel requests
 * of its clients, who find this process at its address.
 */

import { askControl, type ControlAddress } from '../net/control-socket.ts'
import { type ProcessSnapshot, readProcesses } from '../observe/processes.ts'
import { every } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'

/** It is asked so often. */
const PERIOD_MS = 1000

/** One predecessor, with those that it has itself. */
export class Predecessor {
  readonly #path: string
  readonly #pid: number
  readonly #stopAsking: () => void
  readonly #log: Logger
  #processes: readonly ProcessSnapshot[] = []
  #asking = false
  #gone = false

  /** @param address of its control socket */
  constructor({ path, pid }: ControlAddress, log: Logger) {
    this.#path = path
    this.#pid = pid
    this.#log = log
    this.#stopAsking = every(PERIOD_MS, () => void this.#ask())
    void this.#ask()
  }

  /** It has not ended, as far as is known. */
  get alive(): boolean {
    return !this.#gone
  }

  /** What it said last. */
  get processes(): readonly ProcessSnapshot[] {
    return this.#processes
  }

  /** Pass on a cancel request; resolves when it has been answered. */
  async cancel(pid: number, secret: Buffer): Promise<void> {
    if (this.#gone) return
    await askControl(this.#path, { ask: 'cancel', pid, secret: secret.toString('base64') }).catch(() => {})
  }

  /** It is asked no more. */
  stop(): void {
    this.#stopAsking()
    this.#gone = true
    this.#processes = []
  }

  async #ask(): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    try {
      const { processes } = await askControl(this.#path, { ask: 'state' })
      if (!this.#gone) this.#processes = readProcesses(processes)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      // Nobody listens there any more: it has ended.
      if ((code === 'ECONNREFUSED' || code === 'ENOENT') && !this.#gone) {
        this.#log.info('the pgbun that was succeeded has ended', { pid: this.#pid })
        this.stop()
      }
    } finally {
      this.#asking = false
    }
  }
}
