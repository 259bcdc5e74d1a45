/** How the programs of the benchmark are set up: the same for both poolers. */
import t from 'tap'
import { CASE_NAMES, CASES, PLAIN } from '../../bench/cases.ts'
import { pgbenchArguments, pgbenchEnvironment } from '../../bench/generators.ts'
import type { LoadRequest } from '../../bench/load.ts'
import { pgbouncerIni, preparesInTransactions } from '../../bench/pgbouncer.ts'
import { pgbenchScripts, statementsOf } from '../../bench/scripts.ts'
import { TRIAL_NAMES } from '../../bench/trials/trials.ts'

const request: LoadRequest = {
  host: '127.0.0.1',
  port: 6432,
  user: 'bench',
  password: '',
  script: 'one row',
  protocol: 'extended',
  reconnect: false,
  tls: false,
  parameters: {},
  clients: 8,
  seconds: 3,
  logPrefix: '/tmp/x/load',
}

t.test('names of cases are unique', async (t) => {
  const names = [...CASE_NAMES, ...TRIAL_NAMES]
  t.equal(new Set(names).size, names.length)
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
  const args = pgbenchArguments(request, []).join(' ')
  t.match(
    args,
    /^-n -h 127\.0\.0\.1 -p 6432 -U bench -c 8 -j \d+ -T 3 -M extended --log --log-prefix=\/tmp\/x\/load -S postgres$/,
  )
  const connecting = pgbenchArguments({ ...request, reconnect: true }, []).join(' ')
  t.match(connecting, / -c 8 -j 8 .* -C -S /, 'a thread per client: connecting blocks one')
  const files = pgbenchArguments(request, ['/tmp/a.sql', '/tmp/b.sql']).join(' ')
  t.match(files, / -f \/tmp\/a\.sql -f \/tmp\/b\.sql postgres$/)
  const env = pgbenchEnvironment({ ...request, password: 'secret', parameters: { TimeZone: 'Asia/Tokyo' } })
  t.same(env, { PGPASSWORD: 'secret', PGSSLMODE: 'disable', PGTZ: 'Asia/Tokyo' })
  t.match(pgbenchEnvironment({ ...request, tls: true }), { PGSSLMODE: 'require' })
  t.throws(() => pgbenchEnvironment({ ...request, parameters: { geqo: 'off' } }), { message: /parameter geqo/ })
})

t.test('scripts and statements ask for the same rows', async (t) => {
  t.same(pgbenchScripts('one row'), [], 'pgbench has it built in')
  t.match(pgbenchScripts('50 kB'), [/bench_rows WHERE id <= 50;/])
  t.match(statementsOf('10 MB'), [{ text: /bench_rows WHERE id <= \$1/, values: [10_000] }])
  const account = Number(statementsOf('one row')[0]!.values[0])
  t.ok(account >= 1 && account <= 100_000)
})

t.test('scripts that change settings', async (t) => {
  const scripts = pgbenchScripts('set')
  t.equal(scripts.length, 2, 'each transaction takes one of two values')
  for (const text of scripts) t.match(text, /^\\set aid .*\nBEGIN;\nSET TimeZone = '\w+\/\w+';\nSELECT .*;\nCOMMIT;\n$/)
  t.match(
    statementsOf('set').map(({ text }) => text),
    ['BEGIN', /^SET TimeZone = '\w+\/\w+'$/, /^SELECT/, 'COMMIT'],
  )
  t.match(pgbenchScripts('set custom'), [/set_config\('app\.tenant', \(:tenant\)::text, false\);\nSELECT/])
  t.match(statementsOf('set custom'), [{ text: /set_config\('app\.tenant', '\d+', false\)$/ }, { text: /^SELECT/ }])
})

t.test('PgBouncer gets the certificate only where clients use TLS', async (t) => {
  const certificate = { cert: '/tmp/x.crt', key: '/tmp/x.key' }
  const ini = (tls: boolean) =>
    pgbouncerIni(
      { host: '127.0.0.1', port: 5432, socketDirectory: undefined },
      6432,
      { ...PLAIN, tls },
      { authFile: '/tmp/u', prepares: false, certificate },
    )
  t.match(
    ini(true),
    /client_tls_sslmode = require\nclient_tls_cert_file = \/tmp\/x\.crt\nclient_tls_key_file = \/tmp\/x\.key\n/,
  )
  t.notMatch(ini(false), /client_tls/)
})

t.test('PgBouncer learnt prepared statements in transaction mode with 1.21', async (t) => {
  t.equal(preparesInTransactions('PgBouncer 1.18.0'), false)
  t.equal(preparesInTransactions('PgBouncer 1.21.0'), true)
  t.equal(preparesInTransactions('PgBouncer 2.0.1'), true)
  t.equal(preparesInTransactions(''), false)
})

t.test('pgbouncer.ini', async (t) => {
  const certificate = { cert: '/tmp/x.crt', key: '/tmp/x.key' }
  const server = { host: '127.0.0.1', port: 5555, socketDirectory: '/run/pg' }
  const ini = pgbouncerIni(server, 7777, PLAIN, { authFile: '/tmp/users', prepares: false, certificate })
  for (const line of [
    '* = host=127.0.0.1 port=5555',
    'listen_port = 7777',
    'auth_type = trust',
    'default_pool_size = 20',
  ]) {
    t.ok(ini.split('\n').includes(line), line)
  }
  t.notMatch(ini, 'max_prepared_statements', 'older versions do not start with it')
  t.match(
    pgbouncerIni(server, 7777, PLAIN, { authFile: '', prepares: true, certificate }),
    /max_prepared_statements = \d+/,
  )
  const onSocket = { ...PLAIN, upstream: 'socket' } as const
  t.match(
    pgbouncerIni(server, 7777, onSocket, { authFile: '', prepares: false, certificate }),
    '* = host=/run/pg port=5555',
  )
})
