/**
 * Finds the messages in a stream of chunks (protocol chapter "Overview": one byte of type, an int32 length that counts
 * itself, the body). Pure and synchronous: `scan(chunk, batch)` fills the batch and keeps at most the beginning of one
 * message, never more than its rule asks to see in one piece. Bodies stream by; nothing is held whole.
 *
 * Every length is judged before a byte is stored for it (R6). After a violation the scanner takes nothing more.
 */

import type { Batch } from './batch.ts'
import { FIRST, IN_HEAD, LAST, STARTUP } from './batch.ts'
import type { MessageRule, MessageTable } from './types.ts'

/** Longest startup packet PostgreSQL takes (MAX_STARTUP_PACKET_LENGTH), without its length word. */
const STARTUP_CAP = 10_000

const HEADER = 5
const EMPTY = Buffer.alloc(0)

/** Incremental scanner of one direction of one connection. */
export class Scanner {
  readonly #table: MessageTable
  readonly #cap: number
  readonly #name: (type: number) => string
  /** True until the startup packet came: it has no type byte. */
  #startup: boolean
  /** Rule and type of the message whose body is streaming by, and how much of it is still to come. */
  #type = 0
  #pass = false
  #remaining = 0
  /** The beginning of a message that cannot be shown yet. */
  #carry: Buffer = EMPTY
  #carried = 0
  /** How far the kept beginning was searched for the ends of strings, and how many were found. */
  #searched = 0
  #ends = 0
  #failed = false

  /**
   * @param table rules of this direction
   * @param options.startup the first packet is a startup packet (default false)
   * @param options.cap largest body in bytes accepted of any message (`max_packet_size`; default: the table's own)
   * @param options.name how a type is called in a violation
   */
  constructor(table: MessageTable, options: { startup?: boolean; cap?: number; name?: (type: number) => string } = {}) {
    this.#table = table
    this.#startup = options.startup ?? false
    this.#cap = options.cap ?? Number.POSITIVE_INFINITY
    this.#name = options.name ?? String
  }

  /** Find the segments of `chunk`. */
  scan(chunk: Buffer, batch: Batch): void {
    if (this.#failed) return
    let pos = 0
    const end = chunk.length
    if (this.#carried > 0) {
      pos = this.#complete(chunk, batch)
      if (pos < 0) return
    }
    while (pos < end) {
      if (this.#remaining > 0) {
        const take = Math.min(this.#remaining, end - pos)
        this.#remaining -= take
        this.#show(batch, this.#type, this.#pass, pos, pos + take, this.#remaining === 0 ? LAST : 0)
        pos += take
        continue
      }
      const available = end - pos
      if (this.#startup) {
        pos = this.#scanStartup(chunk, pos, batch)
        if (pos < 0) return
        continue
      }
      if (available < HEADER) {
        this.#keep(chunk, pos, 64)
        return
      }
      const type = chunk[pos]!
      const body = chunk.readUInt32BE(pos + 1) - 4
      const rule = this.#judge(type, body, batch)
      if (rule === undefined) return
      const total = body + HEADER
      if (available >= total) {
        const behind = rule.pass ? this.#endOfRun(chunk, pos + total, type, rule.cap) : pos + total
        this.#show(batch, type, rule.pass, pos, behind, FIRST | LAST)
        pos = behind
      } else if (available - HEADER >= rule.need || this.#hasStrings(rule, chunk, pos + HEADER, end)) {
        this.#type = type
        this.#pass = rule.pass
        this.#remaining = total - available
        this.#show(batch, type, rule.pass, pos, end, FIRST)
        return
      } else {
        this.#keep(chunk, pos, HEADER + Math.min(body, rule.need))
        return
      }
    }
  }

  /** The position behind the messages of `type` that lie whole in `chunk` from `pos` on: rows come by the hundreds. */
  #endOfRun(chunk: Buffer, pos: number, type: number, cap: number): number {
    const limit = Math.min(cap, this.#cap)
    const last = chunk.length - HEADER
    while (pos <= last && chunk[pos] === type) {
      const body = ((chunk[pos + 1]! << 24) | (chunk[pos + 2]! << 16) | (chunk[pos + 3]! << 8) | chunk[pos + 4]!) - 4
      // What is wrong with it, or that it is not whole, is found out by the caller's loop.
      if (body < 0 || body > limit || body > last - pos) return pos
      pos += body + HEADER
    }
    return pos
  }

  /** True where the strings that `rule` wants to see are there, in `bytes` from `from` to `to`. */
  #hasStrings(rule: MessageRule | undefined, bytes: Buffer, from: number, to: number): boolean {
    if (rule?.strings === undefined) return false
    // What was looked at before is not looked at again: a name may come byte by byte.
    let at = Math.max(from, this.#searched)
    for (; at < to && this.#ends < rule.strings; at++) {
      at = bytes.indexOf(0, at)
      if (at < 0 || at >= to) break
      this.#ends++
    }
    this.#searched = to
    if (this.#ends < rule.strings) return false
    this.#searched = this.#ends = 0
    return true
  }

  #show(batch: Batch, type: number, pass: boolean, start: number, end: number, flags: number): void {
    if (pass) batch.addRun(start, end, flags)
    else batch.add(type, start, end, flags)
  }

  /** The rule of a message, or undefined and a violation. */
  #judge(type: number, body: number, batch: Batch): MessageRule | undefined {
    const rule = this.#table[type]
    if (rule === undefined) {
      this.#fail(batch, `invalid message type ${type}`)
      return undefined
    }
    if (body < 0 || body > rule.cap || body > this.#cap) {
      this.#fail(batch, `invalid length ${body + 4} of message ${this.#name(type)}`)
      return undefined
    }
    return rule
  }

  #fail(batch: Batch, what: string): void {
    this.#failed = true
    this.#carry = EMPTY
    this.#carried = 0
    this.#remaining = 0
    batch.violation = what
  }

  /** The startup packet at `pos`; returns the position behind it, or -1 where there is no more to do. */
  #scanStartup(chunk: Buffer, pos: number, batch: Batch): number {
    const available = chunk.length - pos
    if (available < 4) {
      this.#keep(chunk, pos, 64)
      return -1
    }
    const length = this.#judgeStartup(chunk.readUInt32BE(pos), batch)
    if (length < 0) return -1
    if (available < length) {
      this.#keep(chunk, pos, length)
      return -1
    }
    batch.add(STARTUP, pos, pos + length, FIRST | LAST)
    this.#startup = false
    return pos + length
  }

  #judgeStartup(length: number, batch: Batch): number {
    if (length >= 8 && length <= STARTUP_CAP + 4) return length
    this.#fail(batch, `invalid length ${length} of startup packet`)
    return -1
  }

  /** Keep the rest of the chunk from `pos` on (copied: the chunk must not be pinned by it, R7). */
  #keep(chunk: Buffer, pos: number, expected: number): void {
    const length = chunk.length - pos
    // The peer only announces how much will come; memory follows what did come.
    this.#carry = Buffer.allocUnsafeSlow(Math.max(length, Math.min(expected, 1024)))
    chunk.copy(this.#carry, 0, pos)
    this.#carried = length
    this.#searched = Math.max(0, this.#searched - pos)
  }

  /** Go on with the message whose beginning is kept; returns the position in `chunk` behind what it took, or -1. */
  #complete(chunk: Buffer, batch: Batch): number {
    let pos = 0
    for (;;) {
      const header = this.#startup ? 4 : HEADER
      let want = header
      let total = 0
      let rule: MessageRule | undefined
      if (this.#carried >= header) {
        if (this.#startup) {
          total = this.#judgeStartup(this.#carry.readUInt32BE(0), batch)
          if (total < 0) return -1
          want = total
        } else {
          const body = this.#carry.readUInt32BE(1) - 4
          rule = this.#judge(this.#carry[0]!, body, batch)
          if (rule === undefined) return -1
          total = body + HEADER
          want = HEADER + Math.min(body, rule.need)
        }
        if (this.#carried >= want || this.#hasStrings(rule, this.#carry, HEADER, this.#carried)) {
          this.#showCarried(batch, total, rule)
          return pos
        }
      }
      const take = Math.min(want - this.#carried, chunk.length - pos)
      if (take === 0) return -1
      this.#append(chunk, pos, take)
      pos += take
    }
  }

  #showCarried(batch: Batch, total: number, rule: MessageRule | undefined): void {
    const flags = IN_HEAD | FIRST | (this.#carried === total ? LAST : 0)
    batch.head = this.#carry.subarray(0, this.#carried)
    if (rule === undefined) {
      this.#startup = false
      batch.add(STARTUP, 0, this.#carried, flags)
    } else {
      this.#type = this.#carry[0]!
      this.#pass = rule.pass
      this.#remaining = total - this.#carried
      this.#show(batch, this.#type, rule.pass, 0, this.#carried, flags)
    }
    this.#carry = EMPTY
    this.#carried = 0
    this.#searched = this.#ends = 0
  }

  #append(chunk: Buffer, pos: number, length: number): void {
    if (this.#carried + length > this.#carry.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.#carried + length, this.#carry.length * 2))
      this.#carry.copy(larger, 0, 0, this.#carried)
      this.#carry = larger
    }
    chunk.copy(this.#carry, this.#carried, pos, pos + length)
    this.#carried += length
  }
}
