/**
 * Rows of the console as messages, in both formats (protocol chapter "Message Formats"): text, and the binary formats of
 * PostgreSQL's own types, which drivers ask for that know them. Pure.
 */

import { message } from '../../protocol/build.ts'
import { BACKEND } from '../../protocol/types.ts'
import type { Cell, Column, ColumnType } from '../lifecycle/console-backend.ts'

/** Format codes of the protocol. */
export const TEXT_FORMAT = 0
export const BINARY_FORMAT = 1

/** Object ids and sizes of the types (pg_type). */
export const TYPES: Record<ColumnType, { readonly oid: number; readonly size: number }> = {
  text: { oid: 25, size: -1 },
  int4: { oid: 23, size: 4 },
  int8: { oid: 20, size: 8 },
  numeric: { oid: 1700, size: -1 },
  bytea: { oid: 17, size: -1 },
}

const INT4_MAX = 2 ** 31 - 1
/** Decimal digits in one digit of a numeric. */
const NUMERIC_DIGITS = 4

/** The format of column `i`: `formats` has none, one for all, or one for each. */
export function formatOf(formats: readonly number[], i: number): number {
  return (formats.length === 1 ? formats[0] : formats[i]) ?? TEXT_FORMAT
}

/** RowDescription. */
export function rowDescription(columns: readonly Column[], formats: readonly number[]): Buffer {
  const count = Buffer.allocUnsafe(2)
  count.writeUInt16BE(columns.length)
  const parts: Buffer[] = [count]
  for (const [i, { name, type }] of columns.entries()) {
    const { oid, size } = TYPES[type]
    const rest = Buffer.alloc(18)
    rest.writeInt32BE(oid, 6)
    rest.writeInt16BE(size, 10)
    rest.writeInt32BE(-1, 12)
    rest.writeInt16BE(formatOf(formats, i), 16)
    parts.push(Buffer.from(`${name}\0`), rest)
  }
  return message(BACKEND.RowDescription, Buffer.concat(parts))
}

/** ParameterDescription. */
export function parameterDescription(types: readonly ColumnType[]): Buffer {
  const body = Buffer.allocUnsafe(2 + 4 * types.length)
  body.writeUInt16BE(types.length)
  for (const [i, type] of types.entries()) body.writeInt32BE(TYPES[type].oid, 2 + 4 * i)
  return message(BACKEND.ParameterDescription, body)
}

/** DataRow. */
export function dataRow(cells: readonly Cell[], columns: readonly Column[], formats: readonly number[]): Buffer {
  const count = Buffer.allocUnsafe(2)
  count.writeUInt16BE(cells.length)
  const parts: Buffer[] = [count]
  for (const [i, cell] of cells.entries()) {
    const value = cell === null ? undefined : encode(cell, columns[i]!.type, formatOf(formats, i))
    const length = Buffer.allocUnsafe(4)
    length.writeInt32BE(value === undefined ? -1 : value.length)
    parts.push(length)
    if (value !== undefined) parts.push(value)
  }
  return message(BACKEND.DataRow, Buffer.concat(parts))
}

function encode(cell: Exclude<Cell, null>, type: ColumnType, format: number): Buffer {
  if (format === BINARY_FORMAT) return binary(cell, type)
  if (Buffer.isBuffer(cell)) return Buffer.from(`\\x${cell.toString('hex')}`)
  return Buffer.from(typeof cell === 'number' ? whole(cell).toString() : withoutZeros(cell))
}

function binary(cell: Exclude<Cell, null>, type: ColumnType): Buffer {
  if (Buffer.isBuffer(cell)) return cell
  if (typeof cell === 'string') return Buffer.from(withoutZeros(cell))
  const value = whole(cell)
  const out = Buffer.alloc(Math.max(TYPES[type].size, 0))
  switch (type) {
    case 'int4':
      out.writeInt32BE(Math.max(-INT4_MAX, Math.min(INT4_MAX, Number(value))))
      return out
    case 'int8':
      out.writeBigInt64BE(value)
      return out
    case 'numeric':
      return binaryNumeric(value)
    default:
      return Buffer.from(value.toString())
  }
}

/** Numbers are counted or measured, and may be no whole ones; what is none becomes 0. */
function whole(value: number): bigint {
  return Number.isFinite(value) ? BigInt(Math.round(value)) : 0n
}

/** As numeric_send writes it: digits to the base 10000, the weight of the first, sign, no digits behind the point. */
function binaryNumeric(value: bigint): Buffer {
  const negative = value < 0n
  const text = (negative ? -value : value).toString()
  const padded = text.padStart(Math.ceil(text.length / NUMERIC_DIGITS) * NUMERIC_DIGITS, '0')
  const digits: number[] = []
  for (let at = 0; at < padded.length; at += NUMERIC_DIGITS) digits.push(Number(padded.slice(at, at + NUMERIC_DIGITS)))
  if (value === 0n) digits.length = 0
  const out = Buffer.alloc(8 + 2 * digits.length)
  out.writeInt16BE(digits.length, 0)
  out.writeInt16BE(Math.max(0, digits.length - 1), 2)
  out.writeUInt16BE(negative ? 0x4000 : 0, 4)
  for (const [i, digit] of digits.entries()) out.writeInt16BE(digit, 8 + 2 * i)
  return out
}

function withoutZeros(text: string): string {
  return text.replaceAll('\0', '')
}
