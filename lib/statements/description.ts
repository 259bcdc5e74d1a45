/**
 * What PostgreSQL says of a prepared statement when it is asked (Describe): the types of its parameters, and its
 * columns. A statement is what it was when its client prepared it. Prepared once more, on another server or later, the
 * same text may have become something else, because tables were changed meanwhile: the parameters then have to be given
 * the types they had, and columns that differ must not reach a client that was told of others. Pure.
 */

import { createHash } from 'node:crypto'
import { FIRST, LAST } from '../protocol/batch.ts'
import { BACKEND } from '../protocol/types.ts'

/** A description longer than this is not kept as a whole; 1,664 columns have 140 kB. */
const LIMIT = 1 << 20
const HEADER = 5
/** Of each column behind its name: table, number in it (both left out), type, length, type modifier, format. */
const COLUMN = { table: 6, type: 10, format: 2 }
const EMPTY: Buffer = Buffer.alloc(0)

/** What became known of a statement. */
export class Description {
  /** The body of the ParameterDescription, which is how a Parse ends, too. */
  readonly types: Buffer
  #row: Buffer | undefined
  #columns: string | undefined

  /** @param row the body of the RowDescription; undefined where there are no columns (NoData) */
  constructor(types: Buffer, row: Buffer | undefined) {
    this.types = types
    this.#row = row
    if (row === undefined) this.#columns = ''
  }

  /** A digest of names, types and type modifiers; '' for no columns. Made when it is first asked for. */
  get columns(): string {
    if (this.#columns === undefined) {
      this.#columns = digestOf(this.#row!)
      this.#row = undefined
    }
    return this.#columns
  }

  /** True where a client that was told of one knows the other. */
  equals(other: Description): boolean {
    return this.types.equals(other.types) && this.columns === other.columns
  }
}

/** Puts a description together from the messages that answer a Describe. */
export class DescriptionReader {
  #types = EMPTY
  #parts: Buffer[] = []
  #length = 0

  /**
   * A part of an answer of `type` has come; `flags` are those of a batch. The bytes are copied.
   * @returns the description, with the last part of it
   */
  take(type: number, bytes: Buffer, flags: number): Description | undefined {
    if (type !== BACKEND.NoData) this.#add(bytes, flags)
    if ((flags & LAST) === 0) return undefined
    if (type === BACKEND.ParameterDescription) {
      this.#types = this.#joined()
      return undefined
    }
    return new Description(this.#types, type === BACKEND.NoData ? undefined : this.#joined())
  }

  #add(bytes: Buffer, flags: number): void {
    const part = (flags & FIRST) === 0 ? bytes : bytes.subarray(HEADER)
    this.#length += part.length
    if (this.#length <= LIMIT) this.#parts.push(Buffer.from(part))
  }

  #joined(): Buffer {
    const parts = this.#parts
    this.#parts = []
    this.#length = 0
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
  }
}

/** The Parse `body` behind its name with the types of all parameters as they were told; itself where it has them. */
export function typedBody(body: Buffer, { types }: Description): Buffer {
  const end = body.indexOf(0) + 1
  if (types.length === 0 || body.subarray(end).equals(types)) return body
  return Buffer.concat([body.subarray(0, end), types])
}

/** Which table a column is of is left out, as PostgreSQL leaves it out when it compares (equalRowTypes). */
function digestOf(row: Buffer): string {
  const kept = Buffer.allocUnsafe(row.length)
  let length = row.copy(kept, 0, 0, 2)
  for (let at = 2; at < row.length; ) {
    const end = row.indexOf(0, at)
    // Cut off, or nothing that PostgreSQL sends: all of it counts.
    if (end < 0 || end + 1 + COLUMN.table + COLUMN.type > row.length) {
      length += row.copy(kept, length, at)
      break
    }
    length += row.copy(kept, length, at, end + 1)
    at = end + 1 + COLUMN.table
    length += row.copy(kept, length, at, at + COLUMN.type)
    at += COLUMN.type + COLUMN.format
  }
  return createHash('sha256').update(kept.subarray(0, length)).digest('base64')
}
