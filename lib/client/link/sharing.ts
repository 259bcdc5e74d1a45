/**
 * Whether the next request of a client may be sent behind those of others (`server_pipelining`), and what is to be done where
 * it was, and was not run. Owned by server-link.ts.
 */

import type { Lease } from '../../pool/lease.ts'
import type { ShortText } from '../../pool/short-texts.ts'
import type { Batch } from '../../protocol/batch.ts'
import { requestsIn } from '../../protocol/requests-in.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { StatementEntry } from '../../statements/shared-statements.ts'
import type { LinkedSession } from '../lifecycle/linked-session.ts'
import { keptRequest } from '../requests/read-request.ts'
import { type Shareable, shareable } from '../requests/shareable.ts'
import type { Upstream } from '../requests/upstream.ts'
import type { ClientEffects } from '../state/client-effects.ts'
import type { PoolChoice } from './pool-choice.ts'

/** Of one client. */
export class Sharing {
  #shareable: Shareable | undefined
  readonly #session: LinkedSession
  readonly #effects: ClientEffects
  readonly #choice: PoolChoice
  readonly #upstream: () => Upstream
  readonly #statement: (name: string) => StatementEntry | undefined
  #request: Buffer | undefined
  /** The next request was sent so, and was not run. */
  #alone = false

  /** @param upstream where the client's statements are known */
  constructor(session: LinkedSession, effects: ClientEffects, choice: PoolChoice, upstream: () => Upstream) {
    this.#upstream = upstream
    this.#statement = (name) => upstream().statementNamed(name)
    this.#session = session
    this.#effects = effects
    this.#choice = choice
  }

  /** What the request that waits for a server, or runs, is; undefined where its client is to have a server for itself. */
  get short(): ShortText | undefined {
    return this.#shareable?.short
  }

  /** The request of `lease`, where it can be sent again apart from the others that it is among; undefined otherwise. */
  apartFrom(lease: Lease): Buffer | undefined {
    return lease.amongOthers ? this.#request : undefined
  }

  /** The request at the cursor of `batch` is about to be sent. */
  look(batch: Batch): void {
    const { mode, pool } = this.#effects
    this.#shareable = undefined
    const alone = this.#alone
    this.#alone = false
    if (!pool.settings.pipelines || mode === 'session' || this.#choice.mayVary) return
    // There is nobody to share with: the client of a pool that has no other pays nothing for it.
    if (alone || pool.clients < 2 || this.#session.closing !== 'not') return
    this.#shareable = shareable(batch, this.#effects, this.#statement)
    if (this.#shareable !== undefined) this.#request = keptRequest(batch)
  }

  /** Whether `server` has the statement that the request names. */
  isReadyOn(server: ServerConnection): boolean {
    const name = this.#shareable?.name
    return name === undefined || this.#upstream().has(server, name)
  }

  /** The request, whose lease on `server` is over, has not been run, or has left nothing: it is sent again. */
  sendAgain(server: ServerConnection): void {
    const session = this.#session
    const request = this.#request
    if (session.state !== 'active' || request === undefined) return
    this.#upstream().settled(server)
    session.activity.answered()
    session.activity.transactionSince = 0
    session.setState('idle')
    if (session.closing === 'between transactions') {
      session.endWith('admin_shutdown')
      return
    }
    this.#alone = true
    session.putBack(requestsIn(request))
    session.pump()
  }
}
