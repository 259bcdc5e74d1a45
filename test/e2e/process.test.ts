/** pgbun as a process among others: its log file, its user, its pid file. What counts is what other programs see. */
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import t, { type Test } from 'tap'
import { runPgbun, startPgbun } from '../fixtures/pgbun.ts'
import { sharedPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const { server: sharedServer } = sharedPostgres(t)
const isRoot = process.getuid?.() === 0

/** A directory that every account may enter. */
function publicDir(t: Test): string {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-process-'))
  chmodSync(dir, 0o755)
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

t.test('log_file: has the log, and is let go of when it was moved away', async (t) => {
  const dir = publicDir(t)
  const [log, config] = [path.join(dir, 'pgbun.log'), path.join(dir, 'pgbun.toml')]
  writeFileSync(config, '')
  const { code, stderr, stdout } = await runPgbun(t, [
    ...['--daemon', '--listen-host', '127.0.0.1', '-p', '0', '--config', config, '--log-file', log],
    ...['--pid-file', path.join(dir, 'pid'), '--unix-socket-dir', dir],
  ])
  const pid = Number(stdout.match(/process (\d+)/)?.[1])
  t.teardown(() => {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has ended, as it should.
    }
  })
  t.equal(code, 0)
  t.equal(stderr, '', 'nothing is lost, so there is nothing to say')
  t.match(readFileSync(log, 'utf8'), /INFO {2}pgbun .* is ready/)

  renameSync(log, `${log}.1`)
  process.kill(pid, 'SIGHUP')
  await waitFor(() => existsSync(log) && /configuration reloaded/.test(readFileSync(log, 'utf8')))
  const old = readFileSync(`${log}.1`, 'utf8')
  writeFileSync(config, 'nonsense = 1\n')
  process.kill(pid, 'SIGHUP')
  await waitFor(() => /not reloaded/.test(readFileSync(log, 'utf8')))
  renameSync(log, `${log}.2`)
  process.kill(pid, 'SIGHUP')
  await waitFor(() => existsSync(log) && /not reloaded/.test(readFileSync(log, 'utf8')))
  t.pass('a mistake in the configuration does not keep the file open')
  t.equal(readFileSync(`${log}.1`, 'utf8'), old)

  // In place of the file there is something that cannot be opened.
  renameSync(log, `${log}.3`)
  writeFileSync(config, `[logging]\nlog_file = ${JSON.stringify(dir)}\n`)
  process.kill(pid, 'SIGTERM')
  await waitFor(() => /stopped/.test(readFileSync(`${log}.3`, 'utf8')))
  await waitFor(() => !existsSync(path.join(dir, 'pid')))
})

t.test('log_file: can be changed by a reload; what cannot be opened changes nothing', async (t) => {
  const dir = publicDir(t)
  const [first, second, config] = ['first.log', 'second.log', 'pgbun.toml'].map((name) => path.join(dir, name)) as [
    string,
    string,
    string,
  ]
  const write = (file: string): void => writeFileSync(config, `[logging]\nlog_file = ${JSON.stringify(file)}\n`)
  write(path.join(dir, 'missing', 'x.log'))
  const failed = await runPgbun(t, ['--config', config, '-p', '0'])
  t.match(failed, { code: 1, stderr: /log_file .*missing.* cannot be opened: there is no such file or directory/ })
  t.match(await runPgbun(t, ['--config', config, '--dry-run']), { code: 1, stderr: /cannot be opened/ })
  writeFileSync(config, '')
  const pgbun = await startPgbun(t, { args: ['--config', config] })
  for (const file of [first, second]) {
    write(file)
    pgbun.signal('SIGHUP')
    await waitFor(() => existsSync(file) && /reloaded changed=log_file/.test(readFileSync(file, 'utf8')))
  }
  const before = readFileSync(first, 'utf8')
  write(dir)
  pgbun.signal('SIGHUP')
  await waitFor(() => /cannot be opened: it is a directory/.test(readFileSync(second, 'utf8')))
  write('')
  pgbun.signal('SIGHUP')
  await pgbun.waitForLog(/reloaded changed=log_file/)
  t.equal(readFileSync(first, 'utf8'), before)
})

t.test('a start that fails says so on standard error, too', async (t) => {
  const dir = publicDir(t)
  const log = path.join(dir, 'log')
  const taken = await startPgbun(t)
  const { code, stderr } = await runPgbun(t, [
    ...['--listen-host', '127.0.0.1', '-p', String(taken.port), '--log-file', log],
  ])
  t.equal(code, 1)
  t.match(stderr, /^pgbun: cannot listen on 127\.0\.0\.1/m)
  t.match(readFileSync(log, 'utf8'), /ERROR cannot listen on 127\.0\.0\.1/)
})

const passwd = existsSync('/etc/passwd') ? readFileSync('/etc/passwd', 'utf8') : ''
const nobody = Number(/^nobody:[^:]*:(\d+)/m.exec(passwd)?.[1])

t.test('run_as_user: nothing of root is left', { skip: !isRoot && 'only root can become another user' }, async (t) => {
  const server = await sharedServer()
  const dir = publicDir(t)
  const [users, pid, config] = ['users', 'pid', 'pgbun.toml'].map((name) => path.join(dir, name)) as [
    string,
    string,
    string,
  ]
  writeFileSync(users, '"postgres" "postgres"\n', { mode: 0o600 })
  writeFileSync(config, '', { mode: 0o644 })
  const pgbun = await startPgbun(t, {
    target: server,
    args: [
      ...['--config', config, '--auth-file', users, '--run-as-user', 'nobody'],
      ...['--unix-socket-dir', dir, '--unix-socket-mode', '0700', '--pid-file', pid],
    ],
  })
  await pgbun.waitForLog(/WARN .*the next reload will fail: .*users cannot be read: permission denied.*user .*nobody/)
  const client = await loginRaw(t, pgbun)
  t.same(await client.rows('SELECT 1'), [['1']])
  if (process.platform === 'linux') {
    for (const task of readdirSync(`/proc/${pgbun.pid}/task`)) {
      const status = readFileSync(`/proc/${pgbun.pid}/task/${task}/status`, 'utf8')
      t.match(status, new RegExp(`^Uid:(\\t${nobody}){4}$`, 'm'), `thread ${task}`)
      t.notMatch(status, /^(Gid|Groups):.*\b0\b/m)
    }
  }
  const socket = path.join(dir, `.s.PGSQL.${pgbun.port}`)
  t.equal(statSync(socket).uid, nobody, 'the socket is of the user')
  t.equal(statSync(pid).uid, nobody, 'and so is the pid file')

  pgbun.signal('SIGHUP')
  await pgbun.waitForLog(/ERROR .*users cannot be read: permission denied.*nobody.*run_as_user/)
  t.same(await client.rows('SELECT 2'), [['2']])
  chmodSync(users, 0o644)
  pgbun.signal('SIGHUP')
  await pgbun.waitForLog(/configuration reloaded/)
  t.same(await pgbun.stop('SIGINT'), { code: 0, signal: null })
  t.equal(readFileSync(pid, 'utf8'), '', 'the user cannot remove it, and leaves no process id in it')
})

t.test('run_as_user: the log file is of the user', { skip: !isRoot && 'only root can' }, async (t) => {
  const log = path.join(publicDir(t), 'log')
  const { stdout } = await runPgbun(t, [
    ...['--daemon', '--listen-host', '127.0.0.1', '-p', '0', '--run-as-user', 'nobody', '--log-file', log],
  ])
  const pid = Number(stdout.match(/process (\d+)/)?.[1])
  t.equal(statSync(log).uid, nobody)
  process.kill(pid, 'SIGINT')
  await waitFor(() => / stopped/.test(readFileSync(log, 'utf8')))
})

t.test('run_as_user: what cannot be', async (t) => {
  t.match(await runPgbun(t, ['--run-as-user', 'no-such-user', '-p', '0']), {
    code: 1,
    stderr: /there is no user "no-such-user"/,
  })
  t.match(await runPgbun(t, ['--run-as-user', 'root', '-p', '0'], { uid: isRoot ? nobody : undefined }), {
    code: 1,
    stderr: /only root can become user "root"/,
  })
  const { username } = os.userInfo()
  const own = await startPgbun(t, { args: ['--run-as-user', username] })
  t.same(await own.stop('SIGINT'), { code: 0, signal: null }, 'whoever it is already need not be root')
})
