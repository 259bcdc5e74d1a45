/**
 * Owns the socket of one connection, of a client or of a server, and feeds it to the framer. Towards its handler it
 * gives batches of message segments, the news that its buffer drained, and exactly one end. Writes are collected and
 * leave once per turn.
 *
 * There are thousands of these, most of them silent: what is listened to is shared by all of them, and no pipe() joins
 * socket and framer, which would cost a silent connection more memory than all the rest of this. The framer takes every
 * chunk at once, so that nothing would ever have to be held back for it.
 *
 * A handler can be replaced (login, then work). Whatever a handler throws ends this connection and no other (R20).
 */

import type { Socket } from 'node:net'
import type { Batch } from '../protocol/batch.ts'
import { Framer } from '../protocol/framer.ts'
import type { Scanner } from '../protocol/scanner.ts'
import { describeTlsError, ignoreError } from './starttls.ts'
import { beginTurn, endTurn, markDirty, markLate, noteUnsent } from './turn.ts'

/** Receives what happens on a wire. */
export interface WireHandler {
  /** Segments of one chunk. The handler releases the batch, now or later. */
  onBatch(batch: Batch): void
  /** More waits to be taken by the kernel than may: write no more until onDrain. Comes after each write above that. */
  onFull(): void
  /** The kernel took all that was written, after onFull or where `mayTakeMore` was false. */
  onDrain(): void
  /** The peer sends no more; true where it is to get what is still owed to it: onEnd comes later. Otherwise onEnd follows. */
  onPeerEnd?(): boolean
  /** The peer closed, the socket failed (`error`), or destroy() was called with one. Comes once and last. */
  onEnd(error: Error | undefined): void
  /** The handler threw. The wire is destroyed; onEnd follows. */
  onFault(error: unknown): void
}

/** Up to this size the buffers of a turn are copied into one: cheaper than a gathering write of many. */
const COPY_LIMIT = 32 * 1024
/** So much output that the kernel did not take may wait in memory before whoever writes it has to stop. */
const BACKLOG_LIMIT = 128 * 1024
/** With so much, nothing new is to be begun: an answer that is not larger than the rest of the limit comes to its end. */
const LAG_LIMIT = BACKLOG_LIMIT / 2
/** How long a peer may take to read the last message of a connection that is closed in an orderly way. */
const LINGER_MS = 2000

const WIRE = Symbol('wire')
/** The wire of a socket and of its framer, for the listeners that all of them share. */
interface Owned {
  [WIRE]: Wire
}

/** The socket of one connection with its framer. */
export class Wire {
  /** What all wires listen to their sockets with. */
  static readonly #ofSocket = {
    data(this: Socket, chunk: Buffer): void {
      const wire = (this as Socket & Owned)[WIRE]
      // What comes behind the end is read and not looked at: see close().
      if (!wire.#ended && !wire.#closing) wire.#framer.write(chunk)
    },
    drain(this: Socket): void {
      ;(this as Socket & Owned)[WIRE].#onDrain()
    },
    end(this: Socket): void {
      ;(this as Socket & Owned)[WIRE].#onPeerEnd()
    },
    error(this: Socket, error: Error): void {
      ;(this as Socket & Owned)[WIRE].#end(new Error(describeTlsError(error), { cause: error }))
    },
    close(this: Socket): void {
      const wire = (this as Socket & Owned)[WIRE]
      clearTimeout(wire.#lingerTimer)
      wire.#end(wire.#error)
      wire.#closed()
    },
  }
  static readonly #ofFramer = function (this: Framer, batch: Batch): void {
    ;(this as Framer & Owned)[WIRE].#onBatch(batch)
  }

  handler: WireHandler
  readonly scanner: Scanner
  /** Called once when the peer has closed, too, or was cut off: later than onEnd, where pgbun is the first to close. */
  onClosed: (() => void) | undefined
  /** Bytes written since the connection began. */
  bytesOut = 0
  /** What is written waits for what others write to this connection in the same pass of the event loop. */
  waitsForOthers = false
  readonly #socket: Socket
  readonly #framer: Framer
  /** What is to be written at the end of this turn: mostly one buffer, seldom more. */
  #out: Buffer | undefined
  #more: Buffer[] | undefined
  #outBytes = 0
  #full = false
  /** Somebody waits for what was written to be taken. */
  #awaited = false
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
    ;(this.#framer as Framer & Owned)[WIRE] = this
    this.#framer.on('data', Wire.#ofFramer)
    ;(socket as Socket & Owned)[WIRE] = this
    socket.on('drain', Wire.#ofSocket.drain)
    socket.on('end', Wire.#ofSocket.end)
    socket.on('error', Wire.#ofSocket.error)
    socket.on('close', Wire.#ofSocket.close)
    // Not needed any more: somebody listens.
    socket.off('error', ignoreError)
  }

  /** Begin to read. `initial` are bytes of the stream that were read already. */
  start(initial?: Buffer): void {
    if (this.#socket.destroyed) {
      // It closed while somebody waited for something else: its `close` went by unheard.
      queueMicrotask(() => this.#end(this.#error))
      return
    }
    // Through TLS whoever takes its leave is gone.
    if (this.handler.onPeerEnd && !('encrypted' in this.#socket)) this.#socket.allowHalfOpen = true
    if (initial && initial.length > 0) this.#framer.write(initial)
    this.#socket.on('data', Wire.#ofSocket.data)
    if (!this.#paused) this.#socket.resume()
  }

  /** Between onFull and onDrain. */
  get full(): boolean {
    return this.#full
  }

  /** The peer has taken enough of what was written to be answered more. Where it has not, it has when onDrain comes. */
  mayTakeMore(): boolean {
    // Not earlier: whoever goes on being answered may read for ever and never have read all of it.
    if (!this.#full && !this.#awaited && this.#socket.writableLength <= LAG_LIMIT) return true
    this.#awaited = true
    return false
  }

  /** Bytes read since the connection began. */
  get bytesIn(): number {
    return this.#framer.bytes
  }

  /** Our own end; an empty address and port 0 on a unix socket. */
  get local(): { address: string; port: number } {
    const { localAddress: address = '', localPort: port = 0 } = this.#socket
    return { address, port }
  }

  /** No more will be read or written. */
  get ended(): boolean {
    return this.#ended
  }

  /** Write at the end of this turn. The buffer must not be changed afterwards. */
  write(bytes: Buffer): void {
    if (this.#closing || this.#ended) return
    this.#outBytes += bytes.length
    if (this.#out === undefined) {
      this.#out = bytes
      if (this.waitsForOthers) markLate(this)
      else markDirty(this)
    } else if (this.#more === undefined) this.#more = [bytes]
    else this.#more.push(bytes)
  }

  /** Hand what was collected to the socket; called by the turn. */
  flush(): void {
    const first = this.#out
    if (first === undefined) return
    const more = this.#more
    const bytes = this.#outBytes
    this.#dropOutput()
    this.bytesOut += bytes
    const socket = this.#socket
    if (socket.destroyed) return
    if (more === undefined) socket.write(first)
    else this.#writeAll([first, ...more], bytes)
    // Judged after the write: the kernel may have taken all of it, however much it was.
    const left = socket.writableLength
    if (left === 0) return
    noteUnsent()
    if (left > BACKLOG_LIMIT) {
      this.#full = true
      this.handler.onFull()
    }
  }

  #dropOutput(): void {
    this.#out = undefined
    this.#more = undefined
    this.#outBytes = 0
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
    this.#paused = false
    socket.resume()
    socket.end()
    this.#lingerTimer = setTimeout(() => this.destroy(), LINGER_MS)
    this.#lingerTimer.unref()
  }

  /**
   * Close the connection of a peer that has announced its departure and reads no more: at once, if the kernel has all
   * that was written. There is no FIN to wait for then, which spares two system calls and a timer. TLS keeps the
   * orderly way: some peers take a connection without close_notify for one that was cut.
   */
  closeBehindPeer(): void {
    this.flush()
    const socket = this.#socket
    if (socket.writableLength > 0 || 'encrypted' in socket) this.close()
    else this.destroy()
  }

  /** Close at once; what was written and not sent is lost. onEnd follows, with `error`. */
  destroy(error?: Error): void {
    this.#error ??= error
    this.#dropOutput()
    // Not destroy(error): the reason is for our own handler, not for a listener of the socket.
    this.#socket.destroy()
    // Some runtimes do not emit `close` of a TLS socket whose peer is gone already.
    if (!this.#ended) queueMicrotask(() => this.#end(this.#error))
  }

  #onBatch(batch: Batch): void {
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

  #onPeerEnd(): void {
    if (this.#ended || this.#closing || this.handler.onPeerEnd === undefined) {
      this.#end(undefined)
      return
    }
    let waits = false
    beginTurn()
    try {
      waits = this.handler.onPeerEnd()
    } catch (error) {
      this.#fault(error)
    } finally {
      endTurn()
    }
    if (!waits) this.#end(undefined)
  }

  #onDrain(): void {
    if (!(this.#full || this.#awaited) || this.#ended) return
    this.#full = false
    this.#awaited = false
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

  #closed(): void {
    const closed = this.onClosed
    this.onClosed = undefined
    closed?.()
  }

  #end(error: Error | undefined): void {
    if (this.#ended) return
    this.#ended = true
    // Some runtimes do not emit `close` of a TLS socket whose peer is gone already.
    if (this.onClosed) setTimeout(() => this.#closed(), LINGER_MS + 500).unref()
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
      this.#socket.resume()
    }
  }
}
