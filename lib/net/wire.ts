/**
 * Owns the socket of one connection, of a client or of a server, and pipes it into the framer. Towards its handler it
 * gives batches of message segments, the news that its buffer drained, and exactly one end. Writes are collected and
 * leave once per turn.
 *
 * A handler can be replaced (login, then work). Whatever a handler throws ends this connection and no other (R20).
 */

import type { Socket } from 'node:net'
import type { Batch } from '../protocol/batch.ts'
import { Framer } from '../protocol/framer.ts'
import type { Scanner } from '../protocol/scanner.ts'
import { describeTlsError } from './starttls.ts'
import { beginTurn, endTurn, markDirty } from './turn.ts'

/** Receives what happens on a wire. */
export interface WireHandler {
  /** Segments of one chunk. The handler releases the batch, now or later. */
  onBatch(batch: Batch): void
  /** More waits to be taken by the kernel than may: write no more until onDrain. Comes after each write above that. */
  onFull(): void
  /** The kernel took all that was written, after onFull. */
  onDrain(): void
  /** The peer closed, the socket failed (`error`), or destroy() was called with one. Comes once and last. */
  onEnd(error: Error | undefined): void
  /** The handler threw. The wire is destroyed; onEnd follows. */
  onFault(error: unknown): void
}

/** Up to this size the buffers of a turn are copied into one: cheaper than a gathering write of many. */
const COPY_LIMIT = 32 * 1024
/** So much output that the kernel did not take may wait in memory before whoever writes it has to stop. */
const BACKLOG_LIMIT = 256 * 1024
/** How long a peer may take to read the last message of a connection that is closed in an orderly way. */
const LINGER_MS = 2000

/** The socket of one connection with its framer. */
export class Wire {
  handler: WireHandler
  readonly scanner: Scanner
  /** Bytes written since the connection began. */
  bytesOut = 0
  readonly #socket: Socket
  readonly #framer: Framer
  #out: Buffer[] = []
  #outBytes = 0
  #full = false
  #ended = false
  #closing = false
  #paused = false
  #error: Error | undefined
  #lingerTimer: NodeJS.Timeout | undefined

  /**
   * @param socket connected, with no listener for its data; a TLS socket after its handshake
   * @param scanner of the peer's direction
   * @param handler gets what happens, from `start` on
   */
  constructor(socket: Socket, scanner: Scanner, handler: WireHandler) {
    this.handler = handler
    this.scanner = scanner
    this.#socket = socket
    this.#framer = new Framer(scanner)
    this.#framer.on('data', (batch: Batch) => this.#onData(batch))
    socket.on('drain', () => this.#onDrain())
    socket.on('end', () => this.#end(undefined))
    socket.on('error', (error) => this.#end(new Error(describeTlsError(error), { cause: error })))
    socket.on('close', () => {
      clearTimeout(this.#lingerTimer)
      this.#end(this.#error)
    })
  }

  /** Begin to read. `initial` are bytes of the stream that were read already. */
  start(initial?: Buffer): void {
    if (this.#socket.destroyed) {
      // It closed while somebody waited for something else: its `close` went by unheard.
      queueMicrotask(() => this.#end(this.#error))
      return
    }
    if (initial && initial.length > 0) this.#framer.write(initial)
    this.#socket.pipe(this.#framer)
  }

  /** Between onFull and onDrain. */
  get full(): boolean {
    return this.#full
  }

  /** Bytes written here that the kernel has not taken yet. */
  get backlog(): number {
    return this.#outBytes + this.#socket.writableLength
  }

  /** Bytes read since the connection began. */
  get bytesIn(): number {
    return this.#framer.bytes
  }

  get paused(): boolean {
    return this.#paused
  }

  /** No more will be read or written. */
  get ended(): boolean {
    return this.#ended
  }

  /** Write at the end of this turn. The buffer must not be changed afterwards. */
  write(bytes: Buffer): void {
    if (this.#closing || this.#ended) return
    this.#out.push(bytes)
    this.#outBytes += bytes.length
    if (this.#out.length === 1) markDirty(this)
  }

  /** Hand what was collected to the socket; called by the turn. */
  flush(): void {
    const out = this.#out
    if (out.length === 0) return
    const bytes = this.#outBytes
    this.#outBytes = 0
    this.bytesOut += bytes
    const socket = this.#socket
    if (out.length === 1) {
      const only = out[0]!
      out.length = 0
      if (socket.destroyed) return
      socket.write(only)
    } else {
      this.#out = []
      if (socket.destroyed) return
      this.#writeAll(out, bytes)
    }
    // Judged after the write: the kernel may have taken all of it, however much it was.
    if (socket.writableLength > BACKLOG_LIMIT) {
      this.#full = true
      this.handler.onFull()
    }
  }

  #writeAll(out: Buffer[], bytes: number): void {
    const socket = this.#socket
    if (bytes <= COPY_LIMIT) {
      socket.write(Buffer.concat(out, bytes))
      return
    }
    socket.cork()
    for (const buffer of out) socket.write(buffer)
    socket.uncork()
  }

  /** Stop reading. One more chunk may come: the socket has it already. */
  pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.#socket.pause()
  }

  /** Read again. */
  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#socket.resume()
  }

  /** Let the process exit although this connection is open (`false`), or not. */
  setRef(ref: boolean): void {
    if (ref) this.#socket.ref()
    else this.#socket.unref()
  }

  /**
   * Close in an orderly way: write `last`, send FIN, and read on without looking until the peer closes, too, so that
   * the last message is not lost to a reset. A peer that does not within 2 s is cut off. onEnd follows.
   */
  close(last?: Buffer): void {
    if (this.#closing || this.#ended) {
      this.destroy()
      return
    }
    if (last) this.write(last)
    this.flush()
    this.#closing = true
    const socket = this.#socket
    socket.unpipe(this.#framer)
    socket.on('data', discard)
    this.#paused = false
    socket.resume()
    socket.end()
    this.#lingerTimer = setTimeout(() => socket.destroy(), LINGER_MS)
    this.#lingerTimer.unref()
  }

  /** Close at once; what was written and not sent is lost. onEnd follows, with `error`. */
  destroy(error?: Error): void {
    this.#error ??= error
    this.#out.length = 0
    this.#outBytes = 0
    // Not destroy(error): the reason is for our own handler, not for a listener of the socket.
    this.#socket.destroy()
    // Some runtimes do not emit `close` of a TLS socket whose peer is gone already.
    if (!this.#ended) queueMicrotask(() => this.#end(this.#error))
  }

  #onData(batch: Batch): void {
    if (this.#ended || this.#closing) {
      batch.release()
      return
    }
    beginTurn()
    try {
      this.handler.onBatch(batch)
    } catch (error) {
      this.#fault(error)
    } finally {
      endTurn()
    }
  }

  #onDrain(): void {
    if (!this.#full || this.#ended) return
    this.#full = false
    beginTurn()
    try {
      this.handler.onDrain()
    } catch (error) {
      this.#fault(error)
    } finally {
      endTurn()
    }
  }

  #fault(error: unknown): void {
    try {
      this.handler.onFault(error)
    } finally {
      this.destroy()
    }
  }

  #end(error: Error | undefined): void {
    if (this.#ended) return
    this.#ended = true
    beginTurn()
    try {
      this.handler.onEnd(error)
    } catch (fault) {
      this.handler.onFault(fault)
    } finally {
      endTurn()
    }
    // The peer's FIN: what is still to be written has been flushed above, and half-open connections are of no use.
    if (!this.#socket.destroyed && !this.#closing) {
      this.#socket.end()
      this.#lingerTimer ??= setTimeout(() => this.#socket.destroy(), LINGER_MS)
      this.#lingerTimer.unref()
      this.#socket.unpipe(this.#framer)
      this.#socket.on('data', discard)
      this.#socket.resume()
    }
  }
}

function discard(): void {}
