/** The vocabulary of the reply plan: what is asked, how it is answered, what is done with a message. */

/** Requests that expect a reply. */
export const PARSE = 1
export const BIND = 2
export const DESCRIBE = 3
export const EXECUTE = 4
export const CLOSE = 5
export const SYNC = 6
export const QUERY = 7
export const FUNCTION_CALL = 8
/** CopyDone or CopyFail: no reply of its own, but the end of a copy mode entered before it. */
export const COPY_END = 9

/** How an entry is answered. */
export const FORWARD = 0
export const SKIP = 16
export const FAKE = 32

/** What is to be done with a server's message. */
export const TO_CLIENT = 0
export const SWALLOW = 1
export const DESYNC = 2

/**
 * Called when FAKE entries reach their turn, and when entries vanish unanswered because of an error. A `watcher` is who was
 * given to ReplyPlan.watch for the entry.
 */
export interface PlanObserver {
  /** Entry `kind` with its `ref` was answered by the server, or, as a FAKE, must be answered now. */
  onAnswered(kind: number, action: number, ref: unknown, watcher: unknown): void
  /** The request of this entry failed, or, where not `failed`, the server discarded it unseen behind one that did. */
  onDropped(kind: number, action: number, ref: unknown, failed: boolean, watcher: unknown): void
  /** The server is gone, and will not answer the entry. */
  onLost?(watcher: unknown): void
}
