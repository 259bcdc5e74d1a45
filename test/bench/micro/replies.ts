/** The conversations of the micro-benchmarks, as bytes: always the same. */
import { backend, frontend } from '../../fixtures/messages.ts'

const SQL = 'SELECT abalance FROM pgbench_accounts WHERE aid = $1'
const NAME = 'select_account'

const row = backend.dataRow('4711')
const done = [backend.commandComplete('SELECT 1'), backend.ready()]
const described = backend.rowDescription('abalance')

/** What clients send. */
export const requests = {
  query: frontend.query('SELECT abalance FROM pgbench_accounts WHERE aid = 12345'),
  /** The unnamed statement, as libpq and pg use it. */
  extended: Buffer.concat([
    frontend.parse(SQL),
    frontend.bind(['12345']),
    frontend.describe('P'),
    frontend.execute(),
    frontend.sync(),
  ]),
  parse: frontend.parse(SQL, NAME),
  close: frontend.close('S', NAME),
  describe: frontend.describe('S', NAME),
  bind: frontend.bind(['12345'], NAME),
  sync: frontend.sync(),
  /** A statement prepared before, as pgbench and libpq use it. */
  prepared: Buffer.concat([
    frontend.bind(['12345'], NAME),
    frontend.describe('P'),
    frontend.execute(),
    frontend.sync(),
  ]),
}

/** What a server answers. */
export const replies = {
  query: Buffer.concat([described, row, ...done]),
  extended: Buffer.concat([backend.parseComplete(), backend.bindComplete(), described, row, ...done]),
  prepared: Buffer.concat([backend.bindComplete(), described, row, ...done]),
}

/** Rows of 100 bytes, about as many as a socket's chunk of 64 kB holds. */
export const ROWS = 600
export const rows = Buffer.concat(Array.from({ length: ROWS }, () => backend.dataRow('x'.repeat(100))))
