/** Results of a console as people and programs read them: an aligned table as psql's, or JSON. Pure. */
import { cell, visible, widthOf } from '../terminal-text.ts'
import type { ResultColumn, StatementResult } from './query-results.ts'

/** Types whose values are numbers: int2, int4, int8, oid, float4, float8, numeric. */
const NUMBERS = new Set([21, 23, 20, 26, 700, 701, 1700])
const BOOL = 16

export function isNumeric({ type }: ResultColumn): boolean {
  return NUMBERS.has(type)
}

/** A table with the number of its rows; of a command, its tag. */
export function tableText({ columns, rows, tag }: StatementResult): string {
  if (columns.length === 0) return tag === '' ? '' : `${visible(tag)}\n`
  const names = columns.map(({ name }) => visible(name))
  const cells = rows.map((row) => row.map((value) => visible(value ?? '')))
  const widths = names.map((name, i) => cells.reduce((most, row) => Math.max(most, widthOf(row[i]!)), widthOf(name)))
  const line = (texts: string[], align: (i: number) => 'left' | 'right'): string =>
    ` ${texts.map((text, i) => cell(text, widths[i]!, align(i))).join(' | ')}`.trimEnd()
  const lines = [
    line(names, () => 'left'),
    widths.map((width) => '-'.repeat(width + 2)).join('+'),
    ...cells.map((row) => line(row, (i) => (isNumeric(columns[i]!) ? 'right' : 'left'))),
    `(${rows.length} ${rows.length === 1 ? 'row' : 'rows'})`,
  ]
  return `${lines.join('\n')}\n`
}

/** Rows as an array of objects, an object in each line; in one line for streams. */
export function jsonText({ columns, rows }: StatementResult, oneLine: boolean): string {
  const keys = keysOf(columns)
  const objects = rows.map(
    (row) => `{${row.map((value, i) => `${keys[i]}:${jsonValue(columns[i]!, value)}`).join(',')}}`,
  )
  if (oneLine || objects.length === 0) return `[${objects.join(',')}]\n`
  return `[\n${objects.map((text) => `  ${text}`).join(',\n')}\n]\n`
}

/** The names as JSON; one that comes again gets a number, since an object has each key once. */
function keysOf(columns: readonly ResultColumn[]): string[] {
  const seen = new Map<string, number>()
  return columns.map(({ name }) => {
    const times = (seen.get(name) ?? 0) + 1
    seen.set(name, times)
    return JSON.stringify(times === 1 ? name : `${name}_${times}`)
  })
}

/** Numbers keep their digits, however many there are. */
function jsonValue(column: ResultColumn, value: string | null): string {
  if (value === null) return 'null'
  if (isNumeric(column) && /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(value)) return value
  if (column.type === BOOL && (value === 't' || value === 'f')) return String(value === 't')
  // The line of a stream is one line for every reader.
  return JSON.stringify(value).replace(
    /[\u2028\u2029\u007f-\u009f]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
