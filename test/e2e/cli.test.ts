/**
 * The program as a process: exit codes, what goes to which stream, signals, reload, pid file, background. None of it
 * needs a PostgreSQL. Runs on the runtime chosen by PGBUN_TEST_RUNTIME.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { runPgbun, startPgbun } from '../fixtures/pgbun.ts'
import { rootDir } from '../fixtures/postgres.ts'
import { pgbunRuntime, typescript } from '../fixtures/runtimes.ts'
import { waitFor } from '../fixtures/wait.ts'

const { version } = JSON.parse(readFileSync(join(rootDir, 'package.json'), 'utf8'))

t.test('what is asked for goes to standard output', async (t) => {
  t.strictSame(await runPgbun(t, ['version']), { code: 0, stdout: `pgbun ${version}\n`, stderr: '' })
  t.match(await runPgbun(t, ['--help']), { code: 0, stdout: /^Usage: pgbun /, stderr: '' })
  t.match(await runPgbun(t, ['config', '-p', '7000']), { code: 0, stdout: /^listen_port = 7000 /m, stderr: '' })
  const { stdout: toml } = await runPgbun(t, ['config'])
  const schema = /^#:schema (file:\S+)\n/.exec(toml)?.[1]
  if (pgbunRuntime().kind === 'binary') t.equal(schema, undefined)
  else t.match(JSON.parse(readFileSync(new URL(schema!), 'utf8')), { title: 'Configuration of pgbun' })
  t.match(await runPgbun(t, ['--env']), { code: 0, stdout: /^PGBUN_POOL_SIZE=25$/m, stderr: '' })
  t.match(await runPgbun(t, ['--dry-run'], { config: { pool: { pool_size: 3 } } }), {
    code: 0,
    stdout: /^The configuration is valid\.\n[\s\S]*at most 3 per database and user/,
    stderr: '',
  })
  const { stdout } = await runPgbun(t, ['config', '--json'], { env: { PGBUN_POOL_SIZE: '4' } })
  t.strictSame(JSON.parse(stdout).options.pool_size, { value: 4, source: 'environment', where: 'PGBUN_POOL_SIZE' })
})

t.test('mistakes go to standard error, with the exit code of their kind', async (t) => {
  t.strictSame(await runPgbun(t, ['-p', '99999']), {
    code: 2,
    stdout: '',
    stderr: 'pgbun: --listen-port: Invalid port value: 99999. Must be between 1 and 65535\nTry "pgbun --help".\n',
  })
  t.match(await runPgbun(t, ['config'], { env: { PGBUN_CONFIG: '/no/such.toml' } }), {
    code: 1,
    stderr: 'pgbun: Configuration file not found: /no/such.toml',
  })
  t.strictSame(await runPgbun(t, ['--config', '/no/such.toml'], { env: { PGBUN_CONFIG: '/neither.toml' } }), {
    code: 1,
    stdout: '',
    stderr: 'pgbun: Configuration file not found: /no/such.toml\n',
  })
  t.match(await runPgbun(t, [], { config: '[pool]\npool_sise = 1\n\n[server]\nlisten_port = 99999\n' }), {
    code: 1,
    stderr:
      /^pgbun: \S+\.toml:2: Unknown key 'pool_sise' in \[pool\]\. Did you mean pool_size\?\npgbun: \S+\.toml:5: Invalid listen_port: 99999\. Must be between 1 and 65535\n$/,
  })
  t.match(await runPgbun(t, ['--client-tls-mode', 'require']), {
    code: 1,
    stderr: 'TLS mode is enabled, but key/cert files are not configured',
  })
})

t.test('a stray word starts no pooler', async (t) => {
  for (const args of [['reload'], ['start', 'stop'], ['--tcp-keepalive', 'maybe']]) {
    const { code, stdout, stderr } = await runPgbun(t, ['-p', '0', ...args])
    t.match({ code, stdout }, { code: 2, stdout: '' }, args.join(' '))
    t.match(stderr, /^pgbun: Commands: start, config, doctor, health, ctl, /m, args.join(' '))
  }
  t.match(await runPgbun(t, ['config', '-p', '1', '-p', '2']), { code: 0, stdout: /^listen_port = 2 /m, stderr: '' })
})

t.test('a dry run reads the files a start would read', async (t) => {
  const dir = t.testdir({ users: 'no quotes here\n', key: 'k', cert: 'c' })
  const args = ['--auth-file', join(dir, 'users'), '--client-tls-mode', 'require', '--dry-run']
  const files = ['--client-tls-key-file', join(dir, 'key'), '--client-tls-cert-file', join(dir, 'cert')]
  const { code, stderr, stdout } = await runPgbun(t, [...args, ...files])
  t.equal(code, 1)
  t.equal(stdout, '')
  t.match(stderr, `${join(dir, 'users')}:1`)
  t.match(stderr, /client_tls_(key|cert)_file/)
})

t.test('a closed standard output is no error', async (t) => {
  const { command, args } = pgbunRuntime()
  const script = '"$@" --help | head -n 1'
  const child = spawn('sh', ['-c', script, 'sh', command, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
  await once(child, 'close')
  t.equal(output, 'Usage: pgbun [command] [server] [options]\n')
})

t.test('it serves, reloads and ends', async (t) => {
  const dir = t.testdir({ 'pgbun.toml': '[pool]\npool_size = 7\n' })
  const [config, pidFile] = [join(dir, 'pgbun.toml'), join(dir, 'pgbun.pid')]
  const pgbun = await startPgbun(t, { poolMode: 'transaction', args: ['--config', config, '--pid-file', pidFile] })
  t.match(
    pgbun.logs(),
    `pgbun ${version} is ready: listening on 127.0.0.1:${pgbun.port}, forwarding to localhost:5432, ` +
      'pool mode transaction, authentication passthrough\n',
  )
  t.equal(readFileSync(pidFile, 'utf8'), `${pgbun.pid}\n`)
  t.match(await runPgbun(t, ['-p', '0', '--pid-file', pidFile]), { code: 1, stderr: `belongs to process ${pgbun.pid}` })

  writeFileSync(config, '[pool]\npool_size = 8\n\n[logging]\nlog_format = "json"\n')
  pgbun.signal('SIGHUP')
  await pgbun.waitForLog(/configuration reloaded changed=pool_size/)
  await pgbun.waitForLog(/WARN {2}log_format has changed; it takes effect when pgbun is started again/)

  writeFileSync(config, '[pool]\npool_sice = 9\n')
  pgbun.signal('SIGHUP')
  await pgbun.waitForLog(/ERROR \S+pgbun.toml:2: Unknown key 'pool_sice' in \[pool\]\. Did you mean pool_size\?/)
  await pgbun.waitForLog(/configuration not reloaded, the old one stays in force/)

  t.strictSame(await pgbun.stop('SIGTERM'), { code: 0, signal: null })
  t.notOk(existsSync(pidFile))
})

t.test('SIGINT ends it too', async (t) => {
  const pgbun = await startPgbun(t)
  t.strictSame(await pgbun.stop('SIGINT'), { code: 0, signal: null })
})

t.test('signals without a meaning do no harm', async (t) => {
  const pgbun = await startPgbun(t)
  for (const signal of ['SIGUSR1', 'SIGALRM', 'SIGVTALRM', 'SIGPROF', 'SIGIO'] as const) {
    pgbun.signal(signal)
    await pgbun.waitForLog(new RegExp(`WARN {2}${signal === 'SIGIO' ? 'SIG(IO|POLL)' : signal} received and ignored`))
  }
  pgbun.signal('SIGPIPE')
  t.notMatch(pgbun.logs(), /Debugger listening/)
  t.strictSame(await pgbun.stop('SIGTERM'), { code: 0, signal: null })
})

t.test('SIGQUIT ends it at once and leaves no pid file', async (t) => {
  const pidFile = join(t.testdir({}), 'pgbun.pid')
  const pgbun = await startPgbun(t, { args: ['--pid-file', pidFile] })
  t.ok(existsSync(pidFile))
  t.strictSame(await pgbun.stop('SIGQUIT'), { code: 1, signal: null })
  t.notOk(existsSync(pidFile))
})

t.test('the signals are listened for before the program is loaded', async (t) => {
  const script = `
    const { onHangUp } = await import('./lib/cli/signals.ts')
    for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2']) process.kill(process.pid, signal)
    await new Promise((resolve) => setTimeout(resolve, 50))
    onHangUp(() => console.log('answered'))`
  const child = spawn(process.execPath, [typescript, '--input-type=module', '--eval', script], { cwd: rootDir })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
  t.strictSame(await once(child, 'close'), [0, null])
  t.equal(output, 'answered\n')
  const launcher = readFileSync(join(rootDir, 'bin', 'pgbun.js'), 'utf8')
  t.ok(launcher.indexOf("'signals'") < launcher.indexOf('import(program.href)'), 'the launcher loads them first')
})

t.test('the log in JSON is JSON on every line', async (t) => {
  const pgbun = await startPgbun(t, { args: ['--log-format', 'json'], env: { PGBUN_POOL_SICE: '1' } })
  await pgbun.stop()
  const lines = pgbun.logs().trim().split('\n')
  const records = lines.map((line) => JSON.parse(line))
  t.match(records[0], {
    level: 40,
    msg: 'PGBUN_POOL_SICE: Unknown variable, ignored. Did you mean PGBUN_POOL_SIZE?',
  })
  const ready = records.find(({ msg }) => / is ready: listening on 127\.0\.0\.1:\d+, /.test(msg))
  t.match(ready, { level: 30 })
})

t.test('a port in use ends the start with the option to change', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const { code, stderr } = await runPgbun(t, ['--listen-host', '127.0.0.1', '-p', String(port)])
  t.equal(code, 1)
  t.match(stderr, new RegExp(`ERROR .*${port}`))
  t.match(stderr, /listen_port/)
})

t.test('in the background', async (t) => {
  const dir = t.testdir({})
  const [log, pidFile] = [join(dir, 'log'), join(dir, 'pgbun.pid')]
  const start = async (...more: string[]) => {
    const { command, args } = pgbunRuntime()
    const all = [...args, '--daemon', '--listen-host', '127.0.0.1', '-p', '0', '--pid-file', pidFile, ...more]
    const child = spawn(command, all, { stdio: ['ignore', 'pipe', openSync(log, 'a')] })
    let stdout = ''
    child.stdout!.setEncoding('utf8').on('data', (text) => (stdout += text))
    const [code] = await once(child, 'close')
    return { code, stdout }
  }

  const { code, stdout } = await start()
  const pid = Number(/running in the background, process (\d+)/.exec(stdout)?.[1])
  t.teardown(() => endIfAlive(pid))
  t.equal(code, 0)
  t.match(stdout, / is ready: listening on 127\.0\.0\.1:\d+, /)
  t.equal(readFileSync(pidFile, 'utf8'), `${pid}\n`)
  t.match(readFileSync(log, 'utf8'), ' is ready: ', 'its log goes to the file standard error was')

  t.match(await start(), { code: 1, stdout: '' }, 'the pid file keeps a second one from starting')
  t.match(readFileSync(log, 'utf8'), `belongs to process ${pid}`)

  process.kill(pid, 'SIGTERM')
  await waitFor(() => !existsSync(pidFile), { what: 'the background process to end' })
  t.match(await start('--client-tls-mode', 'require'), { code: 1 }, 'a start that fails is reported')
})

function endIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // Ended, as it should have.
  }
}
