/** What was asked of a console at one moment: tables by topic, as plain data. Pure. */
import type { QueryResults } from '../console/query-results.ts'
import { isNumeric } from '../console/result-text.ts'

/** Rows by the names of their columns. */
export interface Table {
  columns: readonly string[]
  numeric: readonly boolean[]
  rows: readonly (readonly (string | null)[])[]
}

/** A topic that could not be had, and why. */
export interface Missing {
  missing: string
}

export interface Sample {
  /** Milliseconds of a clock that never jumps. */
  at: number
  tables: ReadonlyMap<string, Table | Missing>
}

export function tableOf(results: QueryResults): Table | Missing {
  const [result] = results.results
  if (results.error) return { missing: results.error.message }
  if (!result) return { missing: 'the console has answered nothing' }
  return {
    columns: result.columns.map(({ name }) => name),
    numeric: result.columns.map(isNumeric),
    rows: result.rows,
  }
}

/** A topic, if it is there. */
export function tableIn(sample: Sample | undefined, topic: string): Table | undefined {
  const found = sample?.tables.get(topic)
  return found === undefined || 'missing' in found ? undefined : found
}

/** The value of a column in a row; '' for none. */
export function textAt(table: Table, row: readonly (string | null)[], column: string): string {
  return row[table.columns.indexOf(column)] ?? ''
}

export function numberAt(table: Table, row: readonly (string | null)[], column: string): number {
  const value = Number(textAt(table, row, column))
  return Number.isFinite(value) ? value : 0
}

/** The sum of a column over all rows that `wanted` takes. */
export function sumOf(table: Table | undefined, column: string): number {
  return table === undefined ? 0 : table.rows.reduce((sum, row) => sum + numberAt(table, row, column), 0)
}
