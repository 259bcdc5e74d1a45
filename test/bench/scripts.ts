/** What the transactions of the cases are, for pgbench and for pg-load.ts. Pure. */
import type { Script } from './cases.ts'

/** Length of the text in a row of `bench_rows`. */
export const ROW_BYTES = 1000
const ACCOUNTS = 100_000

/** Number of rows of `bench_rows` that a script reads; undefined for the select-only one. */
export const ROWS: Readonly<Record<Script, number | undefined>> = { 'one row': undefined, '50 kB': 50, '10 MB': 10_000 }

/** A script for `pgbench --file`; undefined for the one it has built in. */
export function pgbenchScript(script: Script): string | undefined {
  const count = ROWS[script]
  return count === undefined ? undefined : `SELECT payload FROM bench_rows WHERE id <= ${count};\n`
}

/** One statement and its parameters: what pgbench would send for the same script. */
export function statementOf(script: Script): { text: string; values: number[] } {
  const count = ROWS[script]
  if (count !== undefined) return { text: 'SELECT payload FROM bench_rows WHERE id <= $1', values: [count] }
  const account = 1 + Math.floor(Math.random() * ACCOUNTS)
  return { text: 'SELECT abalance FROM pgbench_accounts WHERE aid = $1', values: [account] }
}
