/**
 * What one server connection still owes (R2): a queue of the replies expected, in order, for the messages sent to it.
 *
 * Each entry is FORWARD (the client asked), SKIP (pgbun injected the request; its reply is swallowed) or FAKE (nothing
 * was sent; pgbun answers when the entry's turn comes). The server's messages are matched against the head. The plan
 * knows the rules of the protocol chapters "Extended Query", "Pipelining" and "COPY Operations": an error in an
 * extended message discards everything up to the next Sync, Query and FunctionCall included; COPY IN swallows the Syncs
 * behind it. Where a COPY IN with Syncs behind it fails, nobody can say how many of them it had read: up to so many
 * ReadyForQuery messages more may come, and the plan is `doubtful` until a reply to something later settles it.
 *
 * The release rule of transaction pooling rests on `settled`. Where the plan and the server disagree, `onMessage`
 * returns DESYNC and both ends must be closed: a server of which one does not know what it owes is never pooled.
 *
 * Pure: no sockets, no clients. Called by server/connection for both directions.
 */

import { BACKEND } from '../protocol/types.ts'

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

const KIND = 15
const ACTION = 48

/** Called when FAKE entries reach their turn, and when entries vanish unanswered because of an error. */
export interface PlanObserver {
  /** Entry `kind` with its `ref` was answered by the server, or, as a FAKE, must be answered now. */
  onAnswered(kind: number, action: number, ref: unknown): void
  /** The request of this entry failed, or, where not `failed`, the server discarded it unseen behind one that did. */
  onDropped(kind: number, action: number, ref: unknown, failed: boolean): void
}

/** The replies one server connection owes, in order. */
export class ReplyPlan {
  /** Ring of kind | action. */
  #ring = new Uint8Array(16)
  /** Data of the entries that have any (a prepared statement), parallel to the ring; made on first use. */
  #refs: unknown[] | undefined
  #first = 0
  #size = 0
  /** ReadyForQuery messages expected. */
  #readies = 0
  /** An extended message was sent since the last Sync: the server is inside an implicit transaction or batch. */
  #batchOpen = false
  /** The server discards messages until the next Sync, which has not been sent yet. */
  #skipping = false
  /** The server reads CopyData; Sync and Flush sent now are ignored by it. */
  #copyIn = false
  /** Syncs sent behind the COPY IN that runs, before its end: it ignores them, if it does not fail before it reads them. */
  #syncsInCopy = 0
  /**
   * Syncs of which an error left open whether the COPY ignored them or they will be answered. Which ReadyForQuery is
   * whose does not matter to a client; when the last has come does, and any reply to something later tells that.
   */
  #doubt = 0
  /** Something of the reply to the head has come. */
  #begun = false
  readonly #observer: PlanObserver | undefined

  constructor(observer?: PlanObserver) {
    this.#observer = observer
  }

  /** Nothing is owed, nothing was sent since the last Sync, no copy is open: the server may change hands. */
  get settled(): boolean {
    return this.#size === 0 && !this.#batchOpen && !this.#skipping && !this.#copyIn && this.#doubt === 0
  }

  /** True where only a doubt keeps it from being settled: the reply to any further request will tell. */
  get doubtful(): boolean {
    return this.#doubt > 0 && this.#size === 0 && !this.#batchOpen && !this.#skipping && !this.#copyIn
  }

  /** Number of entries not answered yet. */
  get size(): number {
    return this.#size
  }

  /** Number of ReadyForQuery messages still expected. */
  get readies(): number {
    return this.#readies
  }

  /** True while the server takes CopyData. */
  get copyIn(): boolean {
    return this.#copyIn
  }

  /** True where a Sync must be sent before anything else will be answered. */
  get needsSync(): boolean {
    return this.#batchOpen || this.#skipping
  }

  /** True while the server discards what it gets until the next Sync. */
  get skipping(): boolean {
    return this.#skipping
  }

  /** Forget everything; for a server that starts afresh. */
  clear(): void {
    this.#first = 0
    this.#size = 0
    this.#readies = 0
    this.#batchOpen = false
    this.#skipping = false
    this.#copyIn = false
    this.#syncsInCopy = 0
    this.#doubt = 0
    this.#begun = false
    this.#refs = undefined
  }

  /** A request of `kind` is sent (or, with FAKE, is not). */
  expect(kind: number, action = FORWARD, ref?: unknown): void {
    switch (kind) {
      case SYNC:
        if (this.#copyIn) {
          this.#syncsInCopy++
          return
        }
        this.#batchOpen = false
        this.#skipping = false
        this.#readies++
        break
      case QUERY:
      case FUNCTION_CALL:
        if (this.#skipping) {
          this.#observer?.onDropped(kind, action, ref, false)
          return
        }
        this.#batchOpen = false
        this.#readies++
        break
      case COPY_END:
        if (this.#copyIn) {
          this.#copyIn = false
          return
        }
        // Without a request before it that may turn out to be a COPY, the server ignores it.
        if (this.#size === 0 || this.#skipping) return
        break
      default:
        if (this.#skipping) {
          this.#observer?.onDropped(kind, action, ref, false)
          return
        }
        if (action !== FAKE) this.#batchOpen = true
    }
    if (action === FAKE && this.#size === 0) {
      this.#observer?.onAnswered(kind, action, ref)
      return
    }
    this.#push(kind | action, ref)
  }

  /** The server sent a message of `type`; returns TO_CLIENT, SWALLOW or DESYNC. */
  onMessage(type: number): number {
    switch (type) {
      case BACKEND.ReadyForQuery:
        return this.#onReady()
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
        return this.#head() === DESCRIBE ? this.#answer(DESCRIBE) : this.#partOf(QUERY, EXECUTE)
      case BACKEND.NoData:
        return this.#answer(DESCRIBE)
      case BACKEND.CommandComplete:
        this.#syncsInCopy = 0
        return this.#head() === EXECUTE ? this.#answer(EXECUTE) : this.#partOf(QUERY, QUERY)
      case BACKEND.EmptyQueryResponse:
        return this.#head() === EXECUTE ? this.#answer(EXECUTE) : this.#partOf(QUERY, QUERY)
      case BACKEND.PortalSuspended:
        return this.#answer(EXECUTE)
      case BACKEND.CopyInResponse:
        return this.#onCopyIn()
      case BACKEND.CopyBothResponse:
        return this.#partOf(QUERY, EXECUTE)
      default:
        // Runs: rows, copy data, results of functions, descriptions of parameters.
        return this.#head() === DESCRIBE
          ? this.#partOf(DESCRIBE, DESCRIBE)
          : this.#partOf(QUERY, this.#head() === FUNCTION_CALL ? FUNCTION_CALL : EXECUTE)
    }
  }

  #head(): number {
    return this.#size === 0 ? 0 : this.#ring[this.#first]! & KIND
  }

  /** Kind of the entry `offset` behind the head; 0 for none. */
  #kindAt(offset: number): number {
    return offset < this.#size ? this.#ring[(this.#first + offset) % this.#ring.length]! & KIND : 0
  }

  #actionOfHead(): number {
    return (this.#ring[this.#first]! & ACTION) === SKIP ? SWALLOW : TO_CLIENT
  }

  /** The message belongs to the head, if that is of one of these kinds, and does not complete it. */
  #partOf(a: number, b: number): number {
    const head = this.#head()
    if (head !== a && head !== b) return DESYNC
    this.#begun = true
    this.#doubt = 0
    return this.#actionOfHead()
  }

  /** The message completes the head, which must be of this kind. */
  #answer(kind: number): number {
    if (this.#head() !== kind) return DESYNC
    const result = this.#actionOfHead()
    this.#shift(true)
    this.#doubt = 0
    if (kind === EXECUTE) this.#copyIn = false
    this.#answerFakes()
    return result
  }

  #onReady(): number {
    const head = this.#head()
    // No Query or FunctionCall is without a reply of its own before it: this is to something else.
    if (head !== SYNC && !((head === QUERY || head === FUNCTION_CALL) && this.#begun)) {
      if (this.#doubt === 0) return DESYNC
      this.#doubt--
      this.#skipping = false
      return TO_CLIENT
    }
    const result = this.#actionOfHead()
    this.#readies--
    this.#copyIn = false
    this.#shift(true)
    this.#answerFakes()
    return result
  }

  #onError(): number {
    const head = this.#head()
    if (head === 0) return DESYNC
    // What is doubtful are Syncs with nothing to commit: they cannot fail, so this is of something behind them.
    this.#doubt = 0
    this.#begun = true
    this.#copyIn = false
    this.#doubt += this.#syncsInCopy
    this.#syncsInCopy = 0
    if (head === SYNC || head === QUERY || head === FUNCTION_CALL) return this.#actionOfHead()
    // Extended message: the server discards all up to the next Sync.
    for (let failed = true; this.#size > 0 && this.#head() !== SYNC; failed = false) {
      const kind = this.#head()
      if (kind === QUERY || kind === FUNCTION_CALL) this.#readies--
      this.#shift(false, failed)
    }
    if (this.#size === 0) {
      this.#skipping = true
      this.#batchOpen = false
    }
    // An error of an injected request is the client's to see: its next message would have failed with it.
    return TO_CLIENT
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
    for (let i = 0; i < syncs; i++) this.#removeSecond()
    this.#readies -= syncs
    this.#syncsInCopy += syncs
    if (next === COPY_END) {
      this.#copyIn = false
      this.#removeSecond()
    }
    // With the Sync gone, the batch the Execute belongs to is open again until the one that ends the copy.
    if (this.#head() === EXECUTE && this.#readies === 0) this.#batchOpen = true
    return result
  }

  /** Pass what needs no answer of the server: our own, and the ends of copies that turned out not to be copies. */
  #answerFakes(): void {
    while (this.#size > 0) {
      const entry = this.#ring[this.#first]!
      if ((entry & KIND) !== COPY_END && (entry & ACTION) !== FAKE) return
      this.#shift(true)
    }
  }

  #push(entry: number, ref: unknown): void {
    const capacity = this.#ring.length
    if (this.#size === capacity) this.#grow()
    const at = (this.#first + this.#size) % this.#ring.length
    this.#ring[at] = entry
    if (ref !== undefined) {
      this.#refs ??= []
      this.#refs[at] = ref
    }
    this.#size++
  }

  #grow(): void {
    const old = this.#ring
    const ring = new Uint8Array(old.length * 2)
    const refs: unknown[] | undefined = this.#refs && []
    for (let i = 0; i < this.#size; i++) {
      const from = (this.#first + i) % old.length
      ring[i] = old[from]!
      if (refs) refs[i] = this.#refs![from]
    }
    this.#ring = ring
    this.#refs = refs
    this.#first = 0
  }

  #shift(answered: boolean, failed = false): void {
    const at = this.#first
    const entry = this.#ring[at]!
    this.#first = (at + 1) % this.#ring.length
    this.#size--
    this.#begun = false
    let ref: unknown
    if (this.#refs) {
      ref = this.#refs[at]
      this.#refs[at] = undefined
    }
    if (this.#observer === undefined) return
    if (answered) this.#observer.onAnswered(entry & KIND, entry & ACTION, ref)
    else this.#observer.onDropped(entry & KIND, entry & ACTION, ref, failed)
  }

  /** Take out the entry behind the head by moving the head onto its place. */
  #removeSecond(): void {
    const second = (this.#first + 1) % this.#ring.length
    this.#ring[second] = this.#ring[this.#first]!
    if (this.#refs) {
      this.#refs[second] = this.#refs[this.#first]
      this.#refs[this.#first] = undefined
    }
    this.#first = second
    this.#size--
  }
}
