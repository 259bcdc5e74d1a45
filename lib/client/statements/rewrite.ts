/** What the parts that look into a client's message decide, and upstream.ts carries out. */

/** What is done with one message on its way to the server. */
export interface Rewrite {
  /** The message is not sent at all. */
  omit: boolean
  /** Sent before the rest of the message. */
  prefix: Buffer | undefined
  /** Where the rest of the message begins, in bytes from its start. */
  skip: number
  /** Only `prefix` is sent: the message waits for what comes of it, and is looked at once more then. */
  held: boolean
}

/** The message is sent as it is. */
export function clear(rewrite: Rewrite): void {
  rewrite.omit = false
  rewrite.prefix = undefined
  rewrite.skip = 0
  rewrite.held = false
}
