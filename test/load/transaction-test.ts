/**
 * `npm run transaction-test`: what must hold within transactions and between them when many clients share few servers.
 * `-- --help` says how to use it. A client stops at its first error.
 */
import { boundary } from './boundary.ts'
import { idle } from './idle.ts'
import { main } from './main.ts'
import { rollback } from './rollback.ts'
import { statementMode } from './single-statements.ts'

await main({ name: 'transaction-test', scenarios: { boundary, idle, rollback, statement: statementMode } })
