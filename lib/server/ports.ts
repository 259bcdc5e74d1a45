/**
 * What the server side needs from whoever uses it. It never knows clients or pools: only a Consumer that takes the
 * replies of one lease, and an owner that keeps the lists.
 */

import type { ErrorFields } from '../errors.ts'
import type { ErrorSummary } from '../protocol/error-response.ts'
import type { List, ListNode } from '../util/list.ts'

/** Answer to `onServerRefused`: neither the error nor the ReadyForQuery behind it passes, the consumer asks again. */
export const REPEAT = Buffer.alloc(0)

/** Answer to `onServerRefused` of one among others (pool/pipeline.ts): it is to be told `onNotRun` instead. */
export const NOT_RUN = Buffer.alloc(0)

/** Answer to `onServerRefused`: the error does not pass. */
export const NOTHING = Buffer.alloc(0)

/** Data of a plan entry that wants to know how its request ended. */
export interface PlanRef {
  /** The server answered it, or its turn to be answered by us came. */
  answered(): void
  /** It failed, or, where not `failed`, the server discarded it unseen. */
  dropped(failed: boolean): void
  /** An ErrorResponse for the client in the place of the one that was provoked (an undefined column). */
  readonly error?: Buffer
  /** The client shall not hear of its failing. */
  readonly silent?: boolean
  /** A statement of it was completed (CommandComplete); there may be more. */
  completed?(): void
  /**
   * A part of the answer to a Describe: of a ParameterDescription, RowDescription or NoData of `type`. `bytes` are a
   * view, `flags` those of a segment (protocol/batch); the last part comes behind `answered`.
   */
  described?(type: number, bytes: Buffer, flags: number): void
}

/**
 * Told how the requests go that a client has sent, one after the other: a Query or an Execute. Each of them comes to `ended`,
 * once, or, with all that are behind it, to `lost`.
 */
export interface RequestWatcher {
  /** A command of the first of them was completed, which had so many rows. */
  completed(rows: number): void
  /** An error passes, which is the end of the first of them, or of what is in front of it in its batch. */
  failing(sqlstate: string): void
  /**
   * The first of them is over.
   * @param bytes the answer, with that to what was sent in front of it in its batch
   * @param reached false where the server has discarded it unseen behind an error
   */
  ended(bytes: number, reached: boolean): void
  /** The server is gone. */
  lost(): void
}

/** Takes what one server sends while it is lent out. */
export interface Consumer {
  /** As which process its client knows the server; 0 or nothing where there is no client. */
  readonly pid?: number
  /** Its client may have no transaction block: the ReadyForQuery that says it has one is not handed over. */
  readonly forbidsBlocks?: boolean
  /** The server ends its session with an error: true where that is not to be handed over, and onServerClosed will do. */
  onServerFatal?(): boolean
  /** Bytes for the other end, whole or parts of messages, in order. */
  onServerBytes(bytes: Buffer): void
  /** ReadyForQuery came, and was handed over unless not `shown`; `status` is its transaction status byte. */
  onServerReady(status: number, shown: boolean): void
  /** An ErrorResponse passes; `body` is what is there of it. Its bytes come by onServerBytes. */
  onServerError?(body: Buffer): void
  /**
   * The request with the plan data `ref` failed; `body` is the whole ErrorResponse. Returns what passes in its place: a
   * message, nothing (an empty buffer), or, in place of it and of the ReadyForQuery behind it, REPEAT or NOT_RUN; undefined
   * for the server's own words.
   */
  onServerRefused?(error: ErrorSummary, body: Buffer, ref: PlanRef): Buffer | undefined
  /** Ask again, after REPEAT. */
  onServerRepeat?(): void
  /** The server reports that `name` is `value`. Returns the value to tell of instead; undefined for this one. */
  onServerParameter?(name: string, value: string): string | undefined
  /** The server deallocated one prepared statement (DEALLOCATE), or `all` (DEALLOCATE ALL, DISCARD ALL). */
  onServerDeallocated?(all: boolean): void
  /** COPY FROM STDIN begins: what the server gets next decides what becomes of it, and nothing is answered before. */
  onServerCopyIn?(): void
  /** More waits to be sent to the server than may: write no more until onServerDrain. */
  onServerFull(): void
  /** The kernel took all that was written to the server, after onServerFull. */
  onServerDrain(): void
  /** A chunk of replies is handed over: its bytes are not valid for longer. */
  onServerChunkOver?(): void
  /** The last cancel request towards the server is over. */
  onServerCancelOver?(): void
  /** The connection is gone. Nothing comes after this. */
  onServerClosed(end: ServerEnd): void
}

/** How a server connection ended. */
export interface ServerEnd {
  /** What a client that depended on it must be told, if it has not been told already. */
  fields: ErrorFields
  /** Why, for the log. */
  reason: string
  /** The server's own last word, a FATAL or the end of a replication stream, was handed to the consumer before. */
  relayed: boolean
  /** The consumer has only a part of the last message: nothing can be said to its client any more. */
  midMessage: boolean
}

/** States of a server connection after its login. Each is the name of a list of its pool. */
export type ServerState =
  /** Free for the next lease. */
  | 'idle'
  /** Lent out. */
  | 'active'
  /** Runs a query of the pooler: a reset, a check. */
  | 'busy'
  /** Its client left while something was outstanding: canceled, drained, rolled back. */
  | 'draining'
  /** Done, but a cancel request towards it is under way and might hit whoever came next. */
  | 'beingCanceled'
  | 'closed'

/**
 * What has become of roles: who may log in with what has changed; one was made or dropped, and may be another under the
 * same name; the role of these connections is not there any more, or has another password.
 */
export type RoleChange = 'logins' | 'replaced' | 'gone'

/** Keeps the connections of one pool, each of which is a `Server`. */
export interface ServerOwner<Server extends ListNode<Server>> {
  /** The list of the connections in `state`. */
  listOf(state: ServerState): List<Server>
  /** A client got an error of PostgreSQL's. */
  onError?(sqlstate: string): void
  /** Roles have changed. */
  onRoles?(change: RoleChange): void
  /** A reported parameter of an unlent server changed (a promotion flips in_hot_standby). */
  onServerParameter(server: Server, name: string, value: string): void
  /** The connection is gone and on no list. */
  onServerGone(server: Server, end: ServerEnd): void
  /** Nothing holds the server any more: no lease, no task, no cancel request. */
  onServerFree(server: Server): void
}
