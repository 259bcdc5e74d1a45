/**
 * The pipelines of one pool (pipeline.ts): which of them a request is sent to, so that few servers carry many clients, and
 * the others are free for transactions and for what takes its time.
 */

import type { ServerConnection } from '../server/connection.ts'
import type { Counters } from './counters.ts'
import { Pipeline, type PipelineOwner } from './pipeline.ts'
import type { SharedLease } from './shared-lease.ts'
import { ShortTexts } from './short-texts.ts'
import type { Waiter } from './waiter.ts'

/** Plain data of the pipelines of a pool. */
export interface PipelineCounts {
  /** `server_pipelining`. */
  on: boolean
  /** Servers with requests that may be shared, those requests, and the most that ever were on one of them. */
  servers: number
  requests: number
  deepest: number
  /** Statements that have shown to be short. */
  texts: number
}

/** The pipelines of one pool. */
export class Pipelines {
  readonly texts: ShortTexts
  readonly #counters: Counters
  readonly #owner: PipelineOwner
  readonly #ofServer = new WeakMap<ServerConnection, Pipeline>()
  /** Those with requests under way. */
  readonly #busy: Pipeline[] = []
  #deepest = 0

  constructor(owner: PipelineOwner) {
    this.#counters = owner.counters
    this.texts = new ShortTexts(owner.counters, () => owner.maxWaitMs())
    this.#owner = {
      ...owner,
      over: (server, mode, outcome, reason) => {
        this.#over(server)
        owner.over(server, mode, outcome, reason)
      },
    }
  }

  /** What is to be seen of them; `on` by the settings of the pool. */
  counts(on: boolean): PipelineCounts {
    let requests = 0
    for (const { size } of this.#busy) requests += size
    return { on, servers: this.#busy.length, requests, deepest: this.#deepest, texts: this.texts.admitted }
  }

  /** `client` gets `server`, which was idle; others may join it, if it has shown to be short. */
  begin(server: ServerConnection, client: Waiter, at: number): SharedLease {
    let pipeline = this.#ofServer.get(server)
    if (pipeline === undefined) this.#ofServer.set(server, (pipeline = new Pipeline(server, this.#owner)))
    this.#busy.push(pipeline)
    return pipeline.begin(client, at)
  }

  /**
   * Send the request of `client` behind those of others, where the most is expected to be done within `budgetMs`; undefined
   * where there is no such server.
   * @param suits whether the pool has nothing to do with a server before `client` uses it
   */
  join(
    client: Waiter,
    budgetMs: number,
    at: number,
    suits: (server: ServerConnection) => boolean,
  ): SharedLease | undefined {
    const { short } = client
    if (!short?.admitted) return undefined
    let best: Pipeline | undefined
    for (const pipeline of this.#busy) {
      if (best !== undefined && pipeline.load <= best.load) continue
      if (pipeline.hasRoom(short, budgetMs, at) && client.suits(pipeline.server) && suits(pipeline.server))
        best = pipeline
    }
    if (best === undefined) return undefined
    this.#counters.sharedRequests++
    const lease = best.join(client, at)
    if (best.size > this.#deepest) this.#deepest = best.size
    return lease
  }

  /** Nothing is under way on `server` any more. */
  #over(server: ServerConnection): void {
    const at = this.#busy.findIndex((pipeline) => pipeline.server === server)
    if (at >= 0) this.#busy.splice(at, 1)
  }
}
