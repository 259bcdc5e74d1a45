/** What the model of a pipeline (pipeline-model.ts) knows of one request. */

import type { ModelClient } from './pipeline-parts.ts'

/** A request at PostgreSQL. */
export interface Execution {
  client: ModelClient | undefined
  attempt: number
  /** It was sent by a shared lease, in this period of it; `open`: as one that nobody is sent behind. */
  shared: boolean
  open: boolean
  period: number
  /** Changed parameters, of which others were told meanwhile. */
  missed: string
  /** What was said to it, and whether that ends inside of a message. */
  said: string
  mid: boolean
  /** Its client has been told all that. */
  passes: boolean
  /** Others were ahead of it when it was sent. */
  waits: boolean
  /** A cancel request may have hit it; its client has asked for one. */
  exposed: boolean
  asked: boolean
  /** It failed; so that its client is to send it elsewhere, of a cancel that it had not asked for; has sent it again there. */
  failed: boolean
  hit: boolean
  refused: boolean
  /** By a limit of time, or in its place: what comes next may be its answer. */
  heldUp: boolean
  /** Its client is about to send it. */
  awaited: boolean
  /** Its client has been asked to send it again: what is said to it is for nobody. */
  sentAgain: boolean
}

/** Nobody waits for its answer. */
export function isLeft({ client, sentAgain }: Execution): boolean {
  return client === undefined || client.gone || sentAgain
}
