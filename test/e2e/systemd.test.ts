/** pgbun as a service of systemd: sockets that are handed over, and what systemd is told. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import pg from 'pg'
import t, { type Test } from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { freePort } from '../fixtures/ports.ts'
import { rootDir, sharedPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'
import { pgbunRuntime } from '../fixtures/runtimes.ts'
import { noSystemd, type Service, startService } from '../fixtures/systemd.ts'
import { waitFor, withDeadline } from '../fixtures/wait.ts'

const { server: sharedServer } = sharedPostgres(t)
const skip = noSystemd

function scratch(t: Test): string {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-systemd-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

async function serverArgs(): Promise<string[]> {
  const { host, port } = await sharedServer()
  return ['--server-host', host, '--server-port', String(port)]
}

async function ask(t: Test, host: string, port: number): Promise<void> {
  const client = new pg.Client({ host, port, user: 'postgres', password: 'postgres', database: 'postgres' })
  client.on('error', () => {})
  await client.connect()
  t.same((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }])
  await client.end()
}

/** A reload as systemd sees it with Type=notify-reload. */
async function reload(t: Test, service: Service): Promise<void> {
  const before = service.messages.at(-1)!.at
  const seen = service.messages.length
  service.signal('SIGHUP')
  const { fields } = await service.waitForMessage('RELOADING', seen)
  t.ok(Number(fields.MONOTONIC_USEC) > before, 'the time is that of the system')
  const ready = await service.waitForMessage('READY', seen)
  t.ok(service.messages.indexOf(ready) > service.messages.findIndex((one) => one.fields === fields))
}

t.test('sockets and messages', { skip }, async (t) => {
  const dir = scratch(t)
  const service = await startService(t, {
    dir,
    sockets: ['notify', 'tcp', 'unix'],
    args: [...(await serverArgs()), '--listen-port', '1', '--shutdown-delay', '1s'],
    env: { WATCHDOG_USEC: '100000' },
  })
  const { fields, sender } = await service.waitForMessage('READY')
  t.equal(sender, service.pid, 'systemd sees the process itself: NotifyAccess=main is enough')
  t.match(fields.STATUS, `is ready: listening on 127.0.0.1:${service.port}, ${service.unixPath}, forwarding`)
  t.equal(fields.MAINPID, undefined)
  await ask(t, '127.0.0.1', service.port)
  await ask(t, dir, 6432)
  await service.waitForMessage('WATCHDOG')
  await reload(t, service)

  const client = await loginRaw(t, { host: '127.0.0.1', port: service.port, database: 'postgres' })
  await client.query('BEGIN')
  service.signal('SIGTERM')
  const stopping = await service.waitForMessage('STOPPING')
  t.equal(stopping.fields.EXTEND_TIMEOUT_USEC, '36000000', 'delay, shutdown_timeout and some room')
  await client.query('COMMIT')
  t.equal(await withDeadline(service.exit, 'pgbun to end'), 0)
  t.ok(existsSync(service.unixPath), 'the socket is left to systemd')
})

const program = spawnSync('systemd-notify', ['--version']).status === 0
t.test('without a socket for messages', { skip: skip || (!program && 'systemd-notify is missing') }, async (t) => {
  const service = await startService(t, {
    dir: scratch(t),
    sockets: ['tcp'],
    args: await serverArgs(),
    env: { WATCHDOG_USEC: '200000' },
  })
  const { fields } = await service.waitForMessage('READY')
  t.match(fields.STATUS, /is ready/)
  await service.waitForMessage('WATCHDOG')
  await reload(t, service)
  service.signal('SIGINT')
  await service.waitForMessage('STOPPING')
  t.equal(await withDeadline(service.exit, 'pgbun to end'), 0)
  t.notMatch(service.logs(), /WARN .*systemd/)
})

t.test('without the program either: a warning, and no harm', { skip }, async (t) => {
  const service = await startService(t, {
    dir: scratch(t),
    sockets: ['tcp'],
    args: await serverArgs(),
    env: { PATH: '/nowhere', WATCHDOG_USEC: '20000' },
  })
  await service.waitForLog(/WARN .*systemd cannot be told .*there is no program systemd-notify.*OpenFile=/)
  await ask(t, '127.0.0.1', service.port)
  service.signal('SIGINT')
  t.equal(await withDeadline(service.exit, 'pgbun to end'), 0)
  t.equal(service.logs().match(/systemd cannot be told/g)?.length, 1, 'said once')
})

t.test('what cannot be', { skip }, async (t) => {
  const file = await startService(t, { dir: scratch(t), sockets: ['tcp', 'file'], args: [] })
  t.equal(await withDeadline(file.exit, 'pgbun to end'), 1)
  t.match(file.logs(), /cannot listen on the inherited socket file, descriptor 4: .*ListenStream=/)
  const daemon = await startService(t, { dir: scratch(t), sockets: ['tcp'], args: ['--daemon'] })
  t.equal(await withDeadline(daemon.exit, 'pgbun to end'), 1)
  t.match(daemon.logs(), /--daemon cannot hand on the sockets of systemd/)
})

t.test('variables that are meant for another process', async (t) => {
  const pgbun = await startPgbun(t, {
    env: { LISTEN_PID: '1', LISTEN_FDS: '1', WATCHDOG_PID: '1', WATCHDOG_USEC: '10' },
  })
  t.match(pgbun.logs(), `listening on 127.0.0.1:${pgbun.port}`)
})

const activate = spawnSync('systemd-socket-activate', ['--version']).status === 0
t.test("systemd's own tool for it", { skip: !activate && 'systemd-socket-activate is missing' }, async (t) => {
  const port = await freePort()
  const { command, args } = pgbunRuntime()
  const child = spawn('systemd-socket-activate', [
    ...['-l', `127.0.0.1:${port}`, '--fdname=postgresql', command, ...args, ...(await serverArgs())],
  ])
  t.teardown(() => child.kill('SIGKILL'))
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text))
  child.stdout.resume()
  await waitFor(() => /Listening on/.test(log), { what: () => `the tool to listen: ${log}` })
  // It starts pgbun for the first client, which waits meanwhile.
  await ask(t, '127.0.0.1', port)
  t.match(log, /sockets of systemd are used/)
  const ended = once(child, 'close')
  child.kill('SIGINT')
  t.same(await withDeadline(ended, 'pgbun to end'), [0, null])
})

const analyze = spawnSync('systemd-analyze', ['--version']).status === 0
t.test('the units', { skip: !analyze && 'systemd-analyze is missing' }, async (t) => {
  const dir = scratch(t)
  const units = ['pgbun.service', 'pgbun.socket'].map((name) => path.join(dir, name))
  for (const unit of units) copyFileSync(path.join(rootDir, 'docker', 'systemd', path.basename(unit)), unit)
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', ...units], { encoding: 'utf8' })
  t.equal(status, 0)
  const complaints = stderr.split('\n').filter((line) => line.includes(dir))
  // systemd knows the key from version 253 on, and leaves it out before.
  t.same(
    complaints.filter((line) => !/Unknown key .*OpenFile.*ignoring/.test(line)),
    [],
  )
})
