/** What the transactions of the cases are, for pgbench and for pg-load.ts. Pure. */
import type { Script } from './cases.ts'

/** Length of the text in a row of `bench_rows`. */
export const ROW_BYTES = 1000
const ACCOUNTS = 100_000
const ZONES = ['Asia/Tokyo', 'America/New_York']
const TENANTS = 100
/** One of so many transactions sleeps for so many seconds. */
const MIXED = 10
const SLEEP = 0.02
/** One of so many runs of a statement waits for so many seconds, as for a lock. */
const SELDOM = 1000
const WAIT = 0.1

/** One statement and its parameters. */
export interface Statement {
  text: string
  values: (number | string)[]
}

const rows = (count: number): string => `SELECT payload FROM bench_rows WHERE id <= ${count};\n`
const select = 'SELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n'
const account = `\\set aid random(1, ${ACCOUNTS})\n`

/** Scripts for `pgbench --file`, of which it chooses one for each transaction; none for the one it has built in. */
export function pgbenchScripts(script: Script): string[] {
  switch (script) {
    case 'one row':
      return []
    case '50 kB':
      return [rows(50)]
    case '10 MB':
      return [rows(10_000)]
    case 'mixed':
      return [...new Array<string>(MIXED - 1).fill(account + select), `SELECT pg_sleep(${SLEEP});\n`]
    case 'seldom long':
      return [
        `${account}\\set chance random(1, ${SELDOM})\nSELECT abalance, pg_sleep(CASE :chance WHEN 1 THEN ${WAIT} ELSE 0 END) FROM pgbench_accounts WHERE aid = :aid;\n`,
      ]
    case 'set':
      return ZONES.map((zone) => `${account}BEGIN;\nSET TimeZone = '${zone}';\n${select}COMMIT;\n`)
    case 'set custom':
      return [
        `${account}\\set tenant random(1, ${TENANTS})\nSELECT set_config('app.tenant', (:tenant)::text, false);\n${select}`,
      ]
  }
}

/** The statements of one transaction: what pgbench would send for the same script. */
export function statementsOf(script: Script): Statement[] {
  const plain = (text: string): Statement => ({ text, values: [] })
  const one = { text: 'SELECT abalance FROM pgbench_accounts WHERE aid = $1', values: [1 + random(ACCOUNTS)] }
  switch (script) {
    case 'one row':
      return [one]
    case '50 kB':
      return [{ text: 'SELECT payload FROM bench_rows WHERE id <= $1', values: [50] }]
    case '10 MB':
      return [{ text: 'SELECT payload FROM bench_rows WHERE id <= $1', values: [10_000] }]
    case 'mixed':
      return random(MIXED) === 0 ? [plain(`SELECT pg_sleep(${SLEEP})`)] : [one]
    case 'seldom long': {
      const text = `SELECT abalance, pg_sleep(CASE $2::int WHEN 1 THEN ${WAIT} ELSE 0 END) FROM pgbench_accounts WHERE aid = $1`
      return [{ text, values: [...one.values, 1 + random(SELDOM)] }]
    }
    case 'set':
      return [plain('BEGIN'), plain(`SET TimeZone = '${ZONES[random(ZONES.length)]}'`), one, plain('COMMIT')]
    case 'set custom':
      return [plain(`SELECT set_config('app.tenant', '${1 + random(TENANTS)}', false)`), one]
  }
}

function random(count: number): number {
  return Math.floor(Math.random() * count)
}
