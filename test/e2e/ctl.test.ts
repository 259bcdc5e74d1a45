/** `pgbun ctl`: the consoles of pgbun and PgBouncer on the command line; what it prints where, and its exit codes. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import t, { type Test } from 'tap'
import { makeCertificates, writeCertificates } from '../fixtures/certificates.ts'
import { cstring, int16, int32, message } from '../fixtures/messages.ts'
import { hasPgBouncer, startPgBouncer } from '../fixtures/pgbouncer.ts'
import { type Pgbun, runPgbun, startPgbun } from '../fixtures/pgbun.ts'
import { freePort } from '../fixtures/ports.ts'
import { pgbunRuntime } from '../fixtures/runtimes.ts'
import { startScriptedPostgres } from '../fixtures/scripted-postgres.ts'
import { waitFor } from '../fixtures/wait.ts'

const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-ctl-'))
t.teardown(() => rmSync(dir, { recursive: true, force: true }))
const users = path.join(dir, 'users.txt')
writeFileSync(users, '"boss" "se:cret"\n"eye" "eye"\n"app" "app"\n', { mode: 0o600 })
const files = writeCertificates(dir, makeCertificates())

const ACCESS = ['--auth-type', 'scram-sha-256', '--auth-file', users, '--admin-users', 'boss', '--stats-users', 'eye']

async function start(t: Test, ...args: string[]): Promise<Pgbun> {
  const target = { host: '127.0.0.1', port: await freePort() }
  return startPgbun(t, { target, args: [...ACCESS, ...args] })
}

/** Nothing of the home directory of whoever runs the tests. */
const HOME = { PGPASSFILE: path.join(dir, 'none') }
const ctl = (t: Test, args: string[], env: Record<string, string> = {}) =>
  runPgbun(t, ['ctl', ...args], { env: { ...HOME, ...env } })

t.test('without a command it lists them', async (t) => {
  const { code, stdout, stderr } = await ctl(t, [])
  t.match({ code, stderr }, { code: 0, stderr: '' })
  t.match(stdout, /^Usage: pgbun ctl /)
  for (const line of [/^ {2}SHOW POOLS +pools/m, /^ {2}PAUSE \[db\] +wait/m]) t.match(stdout, line)
})

t.test('rows, JSON, notices, commands and errors', async (t) => {
  const { port } = await start(t)
  const url = `postgres://boss:se%3Acret@127.0.0.1:${port}`
  const run = (...args: string[]) => ctl(t, ['--url', url, ...args])
  const state = ['SELECT', 'key,', 'value', 'FROM', 'state', 'ORDER', 'BY', 'key']
  t.strictSame(await run(...state), {
    code: 0,
    stdout: [
      ' key       | value',
      '-----------+-------',
      ' active    | yes',
      ' paused    | no',
      ' suspended | no',
      '(3 rows)',
      '',
    ].join('\n'),
    stderr: '',
  })
  const { stdout } = await run('SHOW POOLS', '--json')
  t.match(JSON.parse(stdout), [{ database: 'pgbouncer', cl_active: 1, load_balance_hosts: null }])
  t.strictSame(await run('PAUSE; RESUME'), { code: 0, stdout: 'PAUSE\nRESUME\n', stderr: '' })
  t.match(await run('SHOW HELP', '--json'), {
    code: 0,
    stdout: /^\[\n {2}\{"command":/,
    stderr: /^NOTICE: Console usage\n\n {2}SHOW /,
  })
  t.strictSame(await run('SHOW STATE; PAUSE pgbun', '--json'), {
    code: 1,
    stdout:
      '[\n  {"key":"active","value":"yes"},\n  {"key":"paused","value":"no"},\n  {"key":"suspended","value":"no"}\n]\n',
    stderr: 'pgbun: cannot pause admin db: pgbun (SQLSTATE 08P01)\n',
  })
  t.match(await run('BOGUS'), {
    code: 1,
    stdout: '',
    stderr: /^pgbun: invalid command 'BOGUS'.* \(SQLSTATE 08P01\)\n$/,
  })
})

t.test('who is who: environment, password file, and where pgbun listens', async (t) => {
  const sockets = mkdtempSync(path.join(dir, 's'))
  const { port } = await start(t, '--unix-socket-dir', sockets, '--unix-socket-mode', '0700')
  const asked = ['SHOW VERSION']
  const version = { code: 0, stdout: /PgBouncer .* \(pgbun / }
  const there = { PGHOST: '127.0.0.1', PGPORT: String(port) }
  t.match(await ctl(t, asked, { ...there, PGUSER: 'eye', PGPASSWORD: 'eye' }), version)
  const file = path.join(dir, 'pgpass')
  writeFileSync(file, `127.0.0.1:${port}:pgbouncer:boss:se\\:cret\n`, { mode: 0o600 })
  t.match(await ctl(t, asked, { ...there, PGUSER: 'boss', PGPASSFILE: file }), version)
  t.match(await ctl(t, asked, { PGHOST: sockets, PGPORT: String(port) }), version, 'pgbun on the socket of its owner')
  const config = path.join(dir, 'pgbun.toml')
  writeFileSync(config, `[server]\nlisten_port = ${port}\nlisten_host = ""\nunix_socket_dir = "${sockets}"\n`, {
    mode: 0o600,
  })
  t.match(await ctl(t, ['-c', config, ...asked], { PGHOST: 'no.such.host.invalid' }), version, 'a file that is named')
  t.match(await ctl(t, asked, { PGBUN_CONFIG: config }), version)
  t.match(await ctl(t, asked, { PGBUN_UNIX_SOCKET_DIR: sockets, PGBUN_LISTEN_PORT: String(port) }), version)

  const failures: [string[], Record<string, string>, RegExp][] = [
    [
      [],
      { PGUSER: 'boss', PGPASSWORD: 'no' },
      /user "boss": .*failed.*\(SQLSTATE 28P01\)\npgbun: is the password of "boss" right\?/,
    ],
    [
      [],
      { PGUSER: 'boss' },
      /asks for a password and none is known\npgbun: name it in the URL, in PGPASSWORD or in ~\/\.pgpass/,
    ],
    [
      [],
      { PGUSER: 'app', PGPASSWORD: 'app' },
      /may not use the console \(SQLSTATE 42501\)\npgbun: admin_users and stats_users/,
    ],
    [
      [],
      { PGUSER: 'eye', PGPASSWORD: 'eye', PGSSLMODE: 'require' },
      /does not support TLS, but sslmode = require\npgbun: is TLS/,
    ],
    [[], { PGSSLMODE: 'maybe' }, /^pgbun: sslmode must be one of disable/],
    [
      ['--url', `127.0.0.1:${await freePort()}`],
      {},
      /connection to 127\.0\.0\.1, port \d+ refused\npgbun: does a pooler run there\? the URL names/,
    ],
  ]
  for (const [args, env, stderr] of failures) {
    t.match(await ctl(t, [...args, ...asked], { ...there, ...env }), { code: 1, stdout: '', stderr }, String(stderr))
  }
  const eye = `postgres://eye:eye@127.0.0.1:${port}`
  t.match(await ctl(t, ['--url', eye, 'PAUSE']), { code: 1, stderr: 'pgbun: admin access needed (SQLSTATE 08P01)\n' })
  t.match(
    await ctl(t, ['--url', eye.replace('127.0.0.1', '127.0.0.1:1,127.0.0.1'), ...asked]),
    version,
    'the next host',
  )
})

t.test('over TLS that is verified', async (t) => {
  const tls = [
    '--client-tls-mode',
    'require',
    '--client-tls-key-file',
    files.server.key,
    '--client-tls-cert-file',
    files.server.cert,
  ]
  const { port } = await start(t, ...tls)
  const url = (query: string) => `postgres://eye:eye@localhost:${port}/?${query}`
  const asked = (query: string) => ctl(t, ['SHOW', 'VERSION', '--url', url(query)])
  t.match(await asked(`sslmode=verify-full&sslrootcert=${encodeURIComponent(files.ca.cert)}`), { code: 0 })
  t.match(await asked('sslmode=verify-full'), { code: 1, stderr: /sslmode = verify-full: .*\(see sslrootcert\)/ })
  t.match(await asked('sslmode=verify-ca'), { code: 1, stderr: /sslmode = verify-ca needs sslrootcert/ })
  t.match(await asked('sslmode=disable'), { code: 1, stderr: /SQLSTATE/ })
})

t.test('PostgreSQL is no console', async (t) => {
  const { port } = await startScriptedPostgres(t, {
    onStartup(connection) {
      connection.send(message('E', Buffer.from('SFATAL\0C3D000\0Mdatabase "pgbouncer" does not exist\0\0')))
      connection.end()
    },
  })
  t.match(await ctl(t, ['--url', `127.0.0.1:${port}`, 'SHOW POOLS']), {
    code: 1,
    stderr: /does not exist \(SQLSTATE 3D000\)\npgbun: no pooler has its console there/,
  })
})

t.test('what a console says does nothing to the terminal', async (t) => {
  const evil = '\x1b]0;owned\x07\x1b[2J'
  const { port } = await startScriptedPostgres(t, {
    onMessage(connection, { type }) {
      if (type !== 'Q') return
      const column = Buffer.concat([cstring(`a${evil}`), int32(0), int16(0), int32(25), int16(-1), int32(-1), int16(0)])
      connection.send(
        Buffer.concat([
          message('N', Buffer.from(`SNOTICE\0C00000\0M${evil}\0D${evil}\0\0`)),
          message('T', Buffer.concat([int16(1), column])),
          message('D', Buffer.concat([int16(1), int32(evil.length), Buffer.from(evil)])),
          message('C', cstring(`SHOW${evil}`)),
          message('E', Buffer.from(`SERROR\0C${evil}\0M${evil}\0\0`)),
          message('Z', Buffer.from('I')),
        ]),
      )
    },
  })
  for (const args of [[], ['--json']]) {
    const { code, stdout, stderr } = await ctl(t, ['--url', `127.0.0.1:${port}`, 'SHOW X', ...args])
    t.equal(code, 1)
    t.match(stdout, 'owned')
    t.match(stderr, 'owned')
    t.notOk((stdout + stderr).includes('\x1b') || (stdout + stderr).includes('\x07'))
  }
})

t.test('again and again, until it cannot be asked any more', async (t) => {
  const pgbun = await start(t)
  const { command, args } = pgbunRuntime()
  const url = `postgres://boss:se%3Acret@127.0.0.1:${pgbun.port}`
  const child = spawn(command, [...args, 'ctl', '--url', url, 'SHOW STATE', '--json', '--watch', '0.1'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...HOME },
  })
  t.teardown(() => void child.kill('SIGKILL'))
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text))
  await waitFor(() => stdout.split('\n').length > 3, { what: () => `three lines in ${stdout}${stderr}` })
  const closed = once(child, 'close')
  t.strictSame(await ctl(t, ['--url', url, 'SHUTDOWN']), { code: 0, stdout: 'SHUTDOWN\n', stderr: '' })
  await pgbun.stop()
  t.strictSame(await closed, [1, null])
  for (const line of stdout.trimEnd().split('\n')) t.match(JSON.parse(line), [{ key: 'active', value: 'yes' }])
  t.match(stderr, /^pgbun: .* \(SQLSTATE (57P01|08006)\)\n$/)
})

t.test('a person is asked for the password', async (t) => {
  if (spawnSync('script', ['--version']).status !== 0) return t.pass('no program "script" to make a terminal')
  const { port } = await start(t)
  const { command, args } = pgbunRuntime()
  const words = [command, ...args, 'ctl', 'SHOW', 'VERSION', '--url', `postgres://boss@127.0.0.1:${port}`]
  const child = spawn('script', ['-qec', words.map((word) => `'${word}'`).join(' '), '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...HOME },
  })
  t.teardown(() => void child.kill('SIGKILL'))
  let shown = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (shown += text))
  const closed = once(child, 'close')
  await waitFor(() => /Password of "boss": $/.test(shown), { what: () => `a question in ${shown}` })
  child.stdin.write('se:cret\r')
  t.strictSame(await closed, [0, null], shown)
  t.match(shown, 'PgBouncer')
  t.notMatch(shown, 'se:cret')
})

t.test('the console of a PgBouncer', { skip: !hasPgBouncer() && 'PgBouncer is not installed' }, async (t) => {
  const { port } = await startPgBouncer(t, { host: '127.0.0.1', port: await freePort() })
  const run = (...args: string[]) => ctl(t, ['--url', `postgres://boss:se%3Acret@127.0.0.1:${port}`, ...args])
  t.match(await run('SHOW VERSION'), { code: 0, stdout: /^ version\n-+\n PgBouncer [\d.]+\n\(1 row\)\n$/, stderr: '' })
  t.match(JSON.parse((await run('SHOW POOLS', '--json')).stdout), [{ database: 'pgbouncer', cl_active: 1 }])
  t.strictSame(await run('PAUSE'), { code: 0, stdout: 'PAUSE\n', stderr: '' })
  t.match(await run('PAUSE'), { code: 1, stdout: '', stderr: /already suspended\/paused \(SQLSTATE 08P01\)/ })
  t.match(await run('SHOW PINS'), { code: 1, stderr: /^pgbun: / })
  t.match(await run('SHUTDOWN'), { code: 0, stdout: 'SHUTDOWN\n' })
})
