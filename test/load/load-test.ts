/**
 * `npm run load-test`: many clients at once through pgbun, each of whose answers must be its own, and the figures of the
 * run. `-- --help` says how to use it. A client stops at its first error.
 */
import { main } from './main.ts'
import { statement } from './single-statements.ts'
import { load } from './transfers.ts'

await main({ name: 'load-test', scenarios: { load, statement } })
