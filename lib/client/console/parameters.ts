/**
 * Parameters of a Bind as texts: what the console compares with. Drivers send those of types they know in binary
 * formats. Pure.
 */

import { ProtocolError, type Reader } from '../../protocol/reader.ts'
import { ConsoleError } from '../lifecycle/console-backend.ts'
import { BINARY_FORMAT, formatOf } from './row-format.ts'

/** Object ids of the types whose binary formats are read (pg_type). */
const BOOL = 16
const INT8 = 20
const INT2 = 21
const INT4 = 23
const TEXTS: ReadonlySet<number> = new Set([18, 19, 25, 705, 1042, 1043])
const FLOAT4 = 700
const FLOAT8 = 701

/** Format codes, a count in front. @throws ProtocolError */
export function readFormats(reader: Reader): number[] {
  const formats = Array.from({ length: countOf(reader, 2) }, () => reader.int16())
  if (formats.some((format) => format !== 0 && format !== BINARY_FORMAT)) throw new ProtocolError('unsupported format')
  return formats
}

/** A count of things of at least `size` bytes each that are still to come. @throws ProtocolError */
export function countOf(reader: Reader, size: number): number {
  const count = reader.int16() & 0xffff
  if (count * size > reader.left) throw new ProtocolError('message too short')
  return count
}

/**
 * The parameters of a Bind, a count in front.
 * @param types object ids by parameter
 * @throws ProtocolError, ConsoleError for a format that is not read
 */
export function readParameters(
  reader: Reader,
  formats: readonly number[],
  types: readonly number[],
): (string | null)[] {
  const values: (string | null)[] = []
  const count = countOf(reader, 4)
  for (let i = 0; i < count; i++) {
    const length = reader.int32()
    if (length < 0) values.push(null)
    else {
      const bytes = reader.bytes(length)
      values.push(formatOf(formats, i) === BINARY_FORMAT ? fromBinary(bytes, types[i] ?? 0) : bytes.toString())
    }
  }
  return values
}

function fromBinary(bytes: Buffer, type: number): string {
  if (TEXTS.has(type)) return bytes.toString()
  if (type === BOOL && bytes.length === 1) return String(bytes[0] !== 0)
  if (type === INT2 && bytes.length === 2) return String(bytes.readInt16BE())
  if (type === INT4 && bytes.length === 4) return String(bytes.readInt32BE())
  if (type === INT8 && bytes.length === 8) return String(bytes.readBigInt64BE())
  if (type === FLOAT4 && bytes.length === 4) return String(bytes.readFloatBE())
  if (type === FLOAT8 && bytes.length === 8) return String(bytes.readDoubleBE())
  throw new ConsoleError('console_unsupported', {
    args: { what: 'a parameter in the binary format of this type' },
    hint: 'Send it as text.',
  })
}
