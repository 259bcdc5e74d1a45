/** How the programs of the benchmark are set up: the same for both poolers. */
import t from 'tap'
import { CASE_NAMES, CASES } from '../../bench/cases.ts'
import { pgbenchArguments } from '../../bench/generators.ts'
import type { LoadRequest } from '../../bench/load.ts'
import { pgbouncerIni, preparesInTransactions } from '../../bench/pgbouncer.ts'
import { pgbenchScript, statementOf } from '../../bench/scripts.ts'

const request: LoadRequest = {
  host: '127.0.0.1',
  port: 6432,
  user: 'bench',
  password: '',
  script: 'one row',
  protocol: 'extended',
  reconnect: false,
  clients: 8,
  seconds: 3,
  logPrefix: '/tmp/x/load',
}

t.test('names of cases are unique', async (t) => {
  t.equal(new Set(CASE_NAMES).size, CASE_NAMES.length)
})

t.test('a session pool has room for every client of its cases', async (t) => {
  for (const { setup, clients, name } of CASES) {
    if (setup.poolMode === 'session')
      t.ok(
        clients!.every((count) => count <= setup.poolSize),
        name,
      )
  }
})

t.test('pgbench', async (t) => {
  const args = pgbenchArguments(request, undefined).join(' ')
  t.match(
    args,
    /^-n -h 127\.0\.0\.1 -p 6432 -U bench -c 8 -j \d+ -T 3 -M extended --log --log-prefix=\/tmp\/x\/load -S postgres$/,
  )
  const connecting = pgbenchArguments({ ...request, reconnect: true }, undefined).join(' ')
  t.match(connecting, / -c 8 -j 8 .* -C -S /, 'a thread per client: connecting blocks one')
  t.match(pgbenchArguments(request, '/tmp/script.sql').join(' '), / -f \/tmp\/script\.sql postgres$/)
})

t.test('scripts and statements ask for the same rows', async (t) => {
  t.equal(pgbenchScript('one row'), undefined, 'pgbench has it built in')
  t.match(pgbenchScript('50 kB'), /bench_rows WHERE id <= 50;/)
  t.match(statementOf('10 MB'), { text: /bench_rows WHERE id <= \$1/, values: [10_000] })
  const { values } = statementOf('one row')
  t.ok(values[0]! >= 1 && values[0]! <= 100_000)
})

t.test('PgBouncer learnt prepared statements in transaction mode with 1.21', async (t) => {
  t.equal(preparesInTransactions('PgBouncer 1.18.0'), false)
  t.equal(preparesInTransactions('PgBouncer 1.21.0'), true)
  t.equal(preparesInTransactions('PgBouncer 2.0.1'), true)
  t.equal(preparesInTransactions(''), false)
})

t.test('pgbouncer.ini', async (t) => {
  const setup = { poolMode: 'transaction', auth: 'trust', poolSize: 20 } as const
  const server = { host: '127.0.0.1', port: 5555 }
  const ini = pgbouncerIni(server, 7777, setup, { authFile: '/tmp/users', prepares: false })
  for (const line of [
    '* = host=127.0.0.1 port=5555',
    'listen_port = 7777',
    'auth_type = trust',
    'default_pool_size = 20',
  ]) {
    t.ok(ini.split('\n').includes(line), line)
  }
  t.notMatch(ini, 'max_prepared_statements', 'older versions do not start with it')
  t.match(pgbouncerIni(server, 7777, setup, { authFile: '', prepares: true }), /max_prepared_statements = \d+/)
})
