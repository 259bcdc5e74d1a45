/**
 * What one server connection still owes (R2): a queue of the replies expected, in order, for the messages sent to it.
 *
 * Each entry is FORWARD (the client asked), SKIP (pgbun injected the request; its reply is swallowed) or FAKE (nothing
 * was sent; pgbun answers when the entry's turn comes). The server's messages are matched against the head. The plan
 * knows the rules of the protocol chapters "Extended Query", "Pipelining" and "COPY Operations": an error in an
 * extended message discards everything up to the next Sync, Query and FunctionCall included; COPY IN swallows the Syncs
 * behind it. Where a COPY IN with Syncs behind it fails, nobody can say how many of them it had read: up to so many
 * ReadyForQuery messages more may come, and the plan is `doubtful` until a reply to something later settles it. COPY
 * BOTH is all one reply to its Query, whichever side ends it first.
 * The release rule of transaction pooling rests on `settled`. Where the plan and the server disagree, `onMessage`
 * returns DESYNC and both ends must be closed: a server of which one does not know what it owes is never pooled.
 *
 * Pure: no sockets, no clients. Called by server/connection for both directions.
 */

import { BACKEND, TX_IDLE } from '../protocol/types.ts'
import {
  BIND,
  CLOSE,
  COPY_END,
  DESCRIBE,
  DESYNC,
  EXECUTE,
  FAKE,
  FORWARD,
  FUNCTION_CALL,
  PARSE,
  type PlanObserver,
  QUERY,
  SKIP,
  SWALLOW,
  SYNC,
  TO_CLIENT,
} from './reply-kinds.ts'
import { ReplyRing } from './reply-ring.ts'

const KIND = 15
const ACTION = 48

// COPY BOTH of START_REPLICATION; STREAM_OVER from its CommandComplete until the next message.
const NO_STREAM = 0
const STREAMING = 1
const STREAM_OVER = 2

/** The replies one server connection owes, in order. */
export class ReplyPlan {
  /** kind | action of each entry; some have data (a prepared statement). */
  readonly #ring = new ReplyRing()
  /** ReadyForQuery messages expected. */
  #readies = 0
  /** An extended message was sent since the last Sync: the server is inside an implicit transaction or batch. */
  #batchOpen = false
  /** The server discards messages until the next Sync, which has not been sent yet. */
  #skipping = false
  /** An Execute was sent since the last Sync. */
  executed = false
  /** A Query or FunctionCall was sent inside of such a batch (`open`), then its Sync, and nothing behind that. */
  #mixed: 'no' | 'open' | 'synced' = 'no'
  /** The server reads CopyData; Sync and Flush sent now are ignored by it. */
  #copyIn = false
  #stream = NO_STREAM
  /** Syncs sent behind the COPY IN that runs, before its end: it ignores them, if it does not fail before it reads them. */
  #syncsInCopy = 0
  /**
   * Syncs of which an error left open whether the COPY ignored them or they will be answered. Which ReadyForQuery is
   * whose does not matter to a client; when the last has come does, and any reply to something later tells that.
   */
  #doubt = 0
  /** The last error came to a Describe whose ParameterDescription had come. */
  #failedInDescribe = false
  /** The next Describe repeats that one: its ParameterDescription has been handed over. */
  #describedAgain = false
  /** Something of the reply to the head has come. */
  #begun = false
  readonly #observer: PlanObserver | undefined
  /** Of the client's next Query or Execute. */
  #watcher: unknown

  constructor(observer?: PlanObserver) {
    this.#observer = observer
  }

  /** Nothing is owed, nothing was sent since the last Sync, no copy is open: the server may change hands. */
  get settled(): boolean {
    return this.#ring.size === 0 && !this.#batchOpen && !this.#skipping && !this.#copyIn && this.#doubt === 0
  }

  /** True where only a doubt keeps it from being settled: the reply to any further request will tell. */
  get doubtful(): boolean {
    return this.#doubt > 0 && this.#ring.size === 0 && !this.#batchOpen && !this.#skipping && !this.#copyIn
  }

  /** Number of entries not answered yet. */
  get size(): number {
    return this.#ring.size
  }

  /** Number of ReadyForQuery messages still expected. */
  get readies(): number {
    return this.#readies
  }

  /** True while a Parse is not answered. */
  get parsing(): boolean {
    return this.#ring.holds(KIND, 0, PARSE)
  }

  /** Data of the request whose reply comes next. */
  get ref(): unknown {
    return this.#ring.headRef
  }

  /** True while the server takes CopyData. */
  get copyIn(): boolean {
    return this.#copyIn
  }

  /** True while CopyData flows both ways: neither side waits for the other. */
  get copyBoth(): boolean {
    return this.#stream === STREAMING
  }

  /** True where a server that shuts down has said its last word: the end of the stream. */
  get streamOver(): boolean {
    return this.#stream === STREAM_OVER
  }

  /** True where a Sync must be sent before anything else will be answered. */
  get needsSync(): boolean {
    return this.#batchOpen || this.#skipping
  }

  /** True while the server discards what it gets until the next Sync. */
  get skipping(): boolean {
    return this.#skipping
  }

  /**
   * A Query or FunctionCall was sent between an Execute and its Sync. PostgreSQL (18 and before) may say "idle" at that
   * Sync with the transaction open, and fail what comes next ("unexpected state STARTED"): its status is to be believed
   * again once another request was answered. Tells something on a settled plan.
   */
  get mixed(): boolean {
    return this.#mixed !== 'no'
  }

  /** The Query or Execute that the client sends next is watched by `watcher`. */
  watch(watcher: unknown): void {
    this.#watcher = watcher
  }

  /** True where nobody took `watch` up, because nothing of the kind was sent. */
  unwatch(): boolean {
    const left = this.#watcher !== undefined
    this.#watcher = undefined
    return left
  }

  /** Who watches the request whose reply comes next. */
  get watcher(): unknown {
    return this.#ring.watcherAt(0)
  }

  /** Who watches the request that an error, which comes now, is the end of: the first of the batch. */
  get watcherOfError(): unknown {
    for (let i = 0; i < this.#ring.size; i++) {
      const watcher = this.#ring.watcherAt(i)
      if (watcher !== undefined || this.#kindAt(i) === SYNC) return watcher
    }
    return undefined
  }

  /** Forget everything: the server is gone, or starts afresh. */
  clear(): void {
    for (let i = 0; i < this.#ring.size; i++) {
      const watcher = this.#ring.watcherAt(i)
      if (watcher !== undefined) this.#observer?.onLost?.(watcher)
    }
    this.#ring.clear()
    this.#readies = 0
    this.#batchOpen = false
    this.#skipping = false
    this.executed = false
    this.#mixed = 'no'
    this.#copyIn = false
    this.#stream = NO_STREAM
    this.#syncsInCopy = 0
    this.#doubt = 0
    this.#failedInDescribe = false
    this.#describedAgain = false
    this.#begun = false
  }

  /** A request of `kind` is sent (or, with FAKE, is not). */
  expect(kind: number, action = FORWARD, ref?: unknown): void {
    const watcher = this.#watcher === undefined ? undefined : this.#taken(kind, action)
    if (this.#mixed !== 'no') this.#unmix(kind)
    switch (kind) {
      case SYNC:
        if (this.#copyIn) {
          this.#syncsInCopy++
          return
        }
        this.#batchOpen = false
        this.executed = false
        this.#skipping = false
        this.#readies++
        break
      case QUERY:
      case FUNCTION_CALL:
        if (this.#skipping) {
          this.#observer?.onDropped(kind, action, ref, false, watcher)
          return
        }
        if (this.executed) this.#mixed = 'open'
        this.executed = false
        this.#batchOpen = false
        this.#readies++
        break
      case COPY_END:
        if (this.#copyIn) {
          this.#copyIn = false
          return
        }
        // It ends this direction of the stream only; the reply to the Query goes on.
        if (this.#stream === STREAMING) return
        // Without a request before it that may turn out to be a COPY, the server ignores it.
        if (this.#ring.size === 0 || this.#skipping) return
        break
      default:
        if (this.#skipping) {
          this.#observer?.onDropped(kind, action, ref, false, watcher)
          return
        }
        if (action !== FAKE) this.#batchOpen = true
        if (kind === EXECUTE) this.executed = true
    }
    if (action === FAKE && this.#ring.size === 0) {
      this.#observer?.onAnswered(kind, action, ref, watcher)
      return
    }
    this.#ring.push(kind | action, ref, watcher)
  }

  /** Who watches a request of `kind`: those of pgbun's own are nobody's. */
  #taken(kind: number, action: number): unknown {
    if (action !== FORWARD || (kind !== QUERY && kind !== EXECUTE)) return undefined
    const watcher = this.#watcher
    this.#watcher = undefined
    return watcher
  }

  /** The ReadyForQuery that comes next, behind an error that was swallowed, is swallowed, too. */
  swallowReady(): void {
    this.#ring.replaceHead(SYNC | SKIP)
    this.#describedAgain = this.#failedInDescribe
  }

  /** What is sent behind a mixed batch: its Sync, or what fails if that left a transaction open, and so ends it. */
  #unmix(kind: number): void {
    if (kind === SYNC) this.#mixed = 'synced'
    else if (this.#mixed === 'synced' && kind !== CLOSE && kind !== COPY_END) this.#mixed = 'no'
  }

  /** The server sent a message of `type` (ReadyForQuery: with its `status`); returns TO_CLIENT, SWALLOW or DESYNC. */
  onMessage(type: number, status?: number): number {
    switch (type) {
      case BACKEND.ReadyForQuery:
        return this.#onReady(status)
      case BACKEND.ErrorResponse:
        return this.#onError()
      case BACKEND.ParseComplete:
        return this.#answer(PARSE)
      case BACKEND.BindComplete:
        return this.#answer(BIND)
      case BACKEND.CloseComplete:
        return this.#answer(CLOSE)
      case BACKEND.RowDescription:
        // Of a Query, or of an Execute behind COPY or a cursor, it is not the end of anything.
        return this.kindOfHead() === DESCRIBE ? this.#answer(DESCRIBE) : this.#partOf(QUERY, EXECUTE)
      case BACKEND.NoData:
        return this.#answer(DESCRIBE)
      case BACKEND.CommandComplete:
        this.#syncsInCopy = 0
        if (this.#stream === STREAMING) this.#stream = STREAM_OVER
        return this.kindOfHead() === EXECUTE ? this.#answer(EXECUTE) : this.#partOf(QUERY, QUERY)
      case BACKEND.EmptyQueryResponse:
        return this.kindOfHead() === EXECUTE ? this.#answer(EXECUTE) : this.#partOf(QUERY, QUERY)
      case BACKEND.PortalSuspended:
        return this.#answer(EXECUTE)
      case BACKEND.CopyInResponse:
        return this.#onCopyIn()
      case BACKEND.CopyBothResponse:
        // The protocol has it in simple queries only.
        this.#stream = STREAMING
        return this.#partOf(QUERY, QUERY)
      default:
        // Descriptions of parameters, and runs: rows, copy data, results of functions.
        if (this.#describedAgain && this.#ring.head === (DESCRIBE | FORWARD)) {
          this.#describedAgain = false
          return SWALLOW
        }
        return this.kindOfHead() === DESCRIBE
          ? this.#partOf(DESCRIBE, DESCRIBE)
          : this.#partOf(QUERY, this.kindOfHead() === FUNCTION_CALL ? FUNCTION_CALL : EXECUTE)
    }
  }

  kindOfHead(): number {
    return this.#ring.head & KIND
  }

  /** Kind of the entry `offset` behind the head; 0 for none. */
  #kindAt(offset: number): number {
    return this.#ring.at(offset) & KIND
  }

  /** SWALLOW while the server answers to a message of pgbun's own. */
  get actionOfHead(): number {
    return (this.#ring.head & ACTION) === SKIP ? SWALLOW : TO_CLIENT
  }

  /** The message belongs to the head, if that is of one of these kinds, and does not complete it. */
  #partOf(a: number, b: number): number {
    const head = this.kindOfHead()
    if (head !== a && head !== b) return DESYNC
    this.#begun = true
    this.#doubt = 0
    return this.actionOfHead
  }

  /** The message completes the head, which must be of this kind. */
  #answer(kind: number): number {
    if (this.kindOfHead() !== kind) return DESYNC
    const result = this.actionOfHead
    this.#shift(true)
    this.#doubt = 0
    if (kind === EXECUTE) this.#copyIn = false
    this.#answerFakes()
    return result
  }

  #onReady(status: number | undefined): number {
    const head = this.kindOfHead()
    // No Query or FunctionCall is without a reply of its own before it: this is to something else.
    if (head !== SYNC && !((head === QUERY || head === FUNCTION_CALL) && this.#begun)) {
      if (this.#doubt === 0) return DESYNC
      this.#doubt--
      this.#skipping = false
      return TO_CLIENT
    }
    const result = this.actionOfHead
    this.#readies--
    this.#copyIn = false
    this.#stream = NO_STREAM
    this.#shift(true)
    if (head !== SYNC && status === TX_IDLE) this.#unmixEnded(0)
    this.#answerFakes()
    return result
  }

  #onError(): number {
    const head = this.kindOfHead()
    if (head === 0) return DESYNC
    this.#failedInDescribe = this.#begun && this.#ring.head === (DESCRIBE | FORWARD)
    this.#describedAgain = false
    // What is doubtful are Syncs with nothing to commit: they cannot fail, so this is of something behind them.
    this.#doubt = 0
    this.#begun = true
    this.#copyIn = false
    this.#stream = NO_STREAM
    this.#doubt += this.#syncsInCopy
    this.#syncsInCopy = 0
    if (head === SYNC || head === QUERY || head === FUNCTION_CALL) {
      this.#unmixEnded(1)
      return this.actionOfHead
    }
    // Extended message: the server discards all up to the next Sync.
    for (let failed = true; this.#ring.size > 0 && this.kindOfHead() !== SYNC; failed = false) {
      const kind = this.kindOfHead()
      if (kind === QUERY || kind === FUNCTION_CALL) this.#readies--
      this.#shift(false, failed)
    }
    if (this.#ring.size === 0) {
      this.#skipping = true
      this.#batchOpen = false
    }
    this.#unmixEnded(0)
    // An error of an injected request is the client's to see: its next message would have failed with it.
    return TO_CLIENT
  }

  /** The transaction of a mixed batch ended: by an error, or in a Query. What stands behind `offset` may mix it again. */
  #unmixEnded(offset: number): void {
    if (this.#mixed !== 'no' && !this.#ring.holds(KIND, offset, QUERY, FUNCTION_CALL)) this.#mixed = 'no'
  }

  /**
   * COPY FROM STDIN begins: the server ignores the Syncs that lie between the request and the end of the copy (as
   * PgBouncer had to learn in 1.22.1), so they will not be answered unless the copy fails before it reads them.
   */
  #onCopyIn(): number {
    const result = this.#partOf(QUERY, EXECUTE)
    if (result === DESYNC) return DESYNC
    this.#copyIn = true
    let syncs = 0
    while (this.#kindAt(1 + syncs) === SYNC) syncs++
    const next = this.#kindAt(1 + syncs)
    // Anything else in a COPY ends the session; if that does not happen, the copy failed before it read any of it.
    if (next !== 0 && next !== COPY_END) return result
    for (let i = 0; i < syncs; i++) this.#ring.removeSecond()
    this.#readies -= syncs
    this.#syncsInCopy += syncs
    if (next === COPY_END) {
      this.#copyIn = false
      this.#ring.removeSecond()
    }
    // With the Sync gone, the batch the Execute belongs to is open again until the one that ends the copy.
    if (this.kindOfHead() === EXECUTE && this.#readies === 0) this.#batchOpen = true
    return result
  }

  /** Pass what needs no answer of the server: our own, and the ends of copies that turned out not to be copies. */
  #answerFakes(): void {
    while (this.#ring.size > 0) {
      const entry = this.#ring.head
      if ((entry & KIND) !== COPY_END && (entry & ACTION) !== FAKE) return
      this.#shift(true)
    }
  }

  #shift(answered: boolean, failed = false): void {
    const entry = this.#ring.shift()
    const { shiftedRef: ref, shiftedWatcher: watcher } = this.#ring
    this.#begun = false
    if (this.#observer === undefined) return
    if (answered) this.#observer.onAnswered(entry & KIND, entry & ACTION, ref, watcher)
    else this.#observer.onDropped(entry & KIND, entry & ACTION, ref, failed, watcher)
  }
}
