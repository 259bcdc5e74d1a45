/** What the transactions of the cases are, for pgbench and for pg-load.ts. Pure. */
import type { Script } from './cases.ts'

/** Length of the text in a row of `bench_rows`. */
export const ROW_BYTES = 1000
const ACCOUNTS = 100_000
const ZONES = ['Asia/Tokyo', 'America/New_York']
const TENANTS = 100

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
    case 'set':
      return [plain('BEGIN'), plain(`SET TimeZone = '${ZONES[random(ZONES.length)]}'`), one, plain('COMMIT')]
    case 'set custom':
      return [plain(`SELECT set_config('app.tenant', '${1 + random(TENANTS)}', false)`), one]
  }
}

function random(count: number): number {
  return Math.floor(Math.random() * count)
}
