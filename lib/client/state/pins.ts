/**
 * The book of one client's pins: since when it keeps its server because of session state, counted by kind and logged.
 * The first pin of a client is worth a line, those after it one for whoever debugs.
 */

import type { PinKind } from '../../sql/state-kinds.ts'
import { now } from '../../util/clock.ts'
import type { ClientRecord } from '../client-record.ts'

const NONE: readonly PinKind[] = []

/** When one client began to keep its server, and what was said of it. */
export class Pins {
  /** When it began to keep its server (ms of the clock); 0 where it does not. */
  since = 0
  #kinds: readonly PinKind[] = NONE
  #reasons = ''
  #told = false

  /** Take down what changed since the last call. */
  update(client: ClientRecord): void {
    const { pinned, pool, remembered } = client
    if (pool === undefined || (pinned === this.#reasons && pinned === '')) return
    if (pinned === '') {
      this.end(client)
      return
    }
    const kinds = [...remembered.kinds.keys()]
    for (const kind of kinds) if (!this.#kinds.includes(kind)) pool.pins.counts[kind]++
    this.#kinds = kinds
    if (this.since === 0) {
      this.since = now()
      pool.pins.now++
      pool.counters.pins++
    }
    if (pinned === this.#reasons) return
    this.#reasons = pinned
    client.ports.log[this.#told ? 'debug' : 'info']('client keeps its server connection', {
      ...client.info.about(),
      server: client.lease?.server.id,
      server_pid: client.lease?.server.identity.pid,
      reason: pinned,
    })
    this.#told = true
  }

  /** The client keeps no server any more. */
  end({ pool }: ClientRecord): void {
    if (this.since === 0 || pool === undefined) return
    pool.pins.now--
    pool.counters.pinTime += now() - this.since
    this.since = 0
    this.#kinds = NONE
    this.#reasons = ''
  }
}
