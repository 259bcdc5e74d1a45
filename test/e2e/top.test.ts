/** `pgbun top` in a terminal: what is to be seen of a pgbun and of a PgBouncer, and how the terminal is left. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import t, { type Test } from 'tap'
import { hasPgBouncer, startPgBouncer } from '../fixtures/pgbouncer.ts'
import { runPgbun, startPgbun } from '../fixtures/pgbun.ts'
import { freePort } from '../fixtures/ports.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { pgbunRuntime } from '../fixtures/runtimes.ts'
import { hasTerminal, startTerminal, type Terminal } from '../fixtures/terminal.ts'

const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-top-'))
t.teardown(() => rmSync(dir, { recursive: true, force: true }))
const users = path.join(dir, 'users.txt')
writeFileSync(users, '"boss" "se:cret"\n"postgres" "postgres"\n', { mode: 0o600 })
const ACCESS = ['--auth-type', 'scram-sha-256', '--auth-file', users, '--admin-users', 'boss']
const skip = !hasTerminal() && 'tmux is not installed'

/** A shell, in which it is started: what the shell says afterwards shows how the terminal was left. */
async function watch(t: Test, url: string, size: { columns?: number; rows?: number } = {}): Promise<Terminal> {
  const { command, args } = pgbunRuntime()
  const terminal = await startTerminal(t, "PS1='$ ' exec bash --norc --noprofile", {
    ...size,
    env: { PGPASSFILE: path.join(dir, 'none') },
  })
  await terminal.shows(/^\$$/m)
  const words = [command, ...args, 'top', '--interval', '0.2', url].map((word) => `'${word}'`).join(' ')
  const script = path.join(dir, 'top.sh')
  writeFileSync(script, `exec ${words}\n`)
  terminal.type(`bash ${script}\n`)
  return terminal
}

/** The shell is back on its own screen, with a cursor, and lines are edited again. */
async function isRestored(t: Test, terminal: Terminal, code: number): Promise<void> {
  await terminal.shows(/\$$/m, 'the shell')
  t.equal(terminal.ask('#{alternate_on} #{cursor_flag} #{wrap_flag}'), '0 1 1')
  terminal.type('echo "code $?"; stty -a | grep -o -- "-\\?icanon"\n')
  const screen = await terminal.shows(/icanon$/m)
  t.match(screen, new RegExp(`^code ${code}$`, 'm'))
  t.match(screen, /^icanon$/m)
}

t.test('a pgbun', { skip }, async (t) => {
  const target = await startPostgres(t)
  const args = [...ACCESS, '--pool-size', '1']
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', args })
  const holder = await pgbun.connect()
  const terminal = await watch(t, `postgres://boss:se%3Acret@127.0.0.1:${pgbun.port}`, { columns: 140 })

  await terminal.shows(/^pgbun \S+ {3}up \S+ {3}127\.0\.0\.1:\d+ as boss$/m)
  await terminal.shows(/^\[1 pools\]/m)
  let busy = true
  const load = (async () => {
    while (busy) await holder.query('SELECT 1')
  })()
  load.catch(() => {})
  // Queries are counted between two looks.
  await terminal.shows(/^postgres +postgres +\d+ +0 +\d+ +\d+ +0 +0 +[1-9]\S* +[1-9]\S* +\S+ +transaction$/m)
  await terminal.shows(/[1-9]\S* q\/s, [1-9]\S* tx\/s/)
  busy = false
  await load

  const waiter = await pgbun.connect({ application_name: '\x1b[2Jevil' })
  await holder.query('BEGIN')
  const waiting = waiter.query('SELECT 1')
  waiting.catch(() => {})
  terminal.press('2')
  await terminal.shows(/^postgres +postgres +waits +\d+ .*u001b\[2Jevil/m)
  await terminal.shows(/^postgres +postgres +holds +\d+ .*idle in transaction/m)
  await holder.query('COMMIT')
  await waiting
  await terminal.shows(/^nobody waits$/m)
  await holder.query('CREATE TEMP TABLE x ()')
  terminal.press('4')
  await terminal.shows(/temporary/)

  terminal.press('1', '/')
  terminal.type('console that is not there')
  terminal.press('Enter')
  await terminal.shows(/^\/console that is not there: 0 of 2 /m)
  terminal.press('Escape', 's')
  await terminal.shows(/^database↑/m)
  terminal.press('Space')
  await terminal.shows(/^PAUSED/m)
  terminal.press('Space', '?')
  await terminal.shows(/^1 to 6 +views/m)
  terminal.press('x')
  terminal.resize(40, 15)
  const narrow = await terminal.shows((screen) => /^\[1 pools\] 2 3 4 5 6$/m.test(screen), 'short names of views')
  t.ok(narrow.split('\n').every((line) => line.length <= 40))
  terminal.resize(120, 40)
  await terminal.shows(/pause {3}q: quit$/m)

  terminal.press('C-z')
  await terminal.shows(/Stopped/)
  t.equal(terminal.ask('#{alternate_on} #{cursor_flag}'), '0 1')
  terminal.type('fg\n')
  await terminal.shows(/^\[1 pools\]/m)

  const { port } = pgbun
  await pgbun.stop('SIGQUIT')
  await terminal.shows(/^no connection: .*; trying again$/m)
  await startPgbun(t, { target, listenPort: port, args: [...args, '--admin-users', 'boss'] })
  await terminal.shows((screen) => /^\[1 pools\]/m.test(screen) && !screen.includes('no connection:'), 'a connection')
  terminal.press('q')
  await isRestored(t, terminal, 0)
})

for (const [signal, code] of [
  ['TERM', 143],
  ['INT', 130],
  ['HUP', 129],
] as const) {
  t.test(`SIG${signal} leaves the terminal as it was`, { skip }, async (t) => {
    const { port } = await startPgbun(t, { target: { host: '127.0.0.1', port: await freePort() }, args: ACCESS })
    const terminal = await watch(t, `postgres://boss:se%3Acret@127.0.0.1:${port}`)
    await terminal.shows(/^\[1 pools\]/m)
    const child = Number(execFileSync('pgrep', ['-P', terminal.ask('#{pane_pid}')], { encoding: 'utf8' }))
    process.kill(child, `SIG${signal}`)
    await isRestored(t, terminal, code)
  })
}

t.test('the password is asked for before', { skip }, async (t) => {
  const { port } = await startPgbun(t, { target: { host: '127.0.0.1', port: await freePort() }, args: ACCESS })
  const terminal = await watch(t, `postgres://boss@127.0.0.1:${port}`)
  await terminal.shows(/Password of "boss":$/m)
  terminal.type('se:cret\r')
  await terminal.shows(/^\[1 pools\]/m)
  terminal.press('5')
  await terminal.shows(/^no connections to servers$/m, 'keys after a question')
  terminal.press('C-c')
  await isRestored(t, terminal, 0)
  t.notMatch(terminal.screen(), 'se:cret')
})

t.test('a PgBouncer', { skip: skip || (!hasPgBouncer() && 'PgBouncer is not installed') }, async (t) => {
  const bouncer = await startPgBouncer(t, { host: '127.0.0.1', port: await freePort() })
  const terminal = await watch(t, `postgres://boss:se%3Acret@127.0.0.1:${bouncer.port}`)
  await terminal.shows(/^PgBouncer [\d.]+ {3}127\.0\.0\.1:\d+ as boss$/m)
  await terminal.shows(/^pgbouncer +pgbouncer +1 +0 /m)
  terminal.press('2')
  await terminal.shows(/^nobody waits$/m)
  terminal.press('4')
  await terminal.shows(/^this pooler does not show it: /m)
  terminal.press('5')
  await terminal.shows(/^no connections to servers$/m)
  await bouncer.kill()
  await terminal.shows(/^no connection: .* refused; trying again$/m)
  await bouncer.start()
  await terminal.shows((screen) => !screen.includes('no connection:'), 'a connection')
  terminal.press('q')
  await isRestored(t, terminal, 0)
})

t.test('without a terminal', async (t) => {
  t.match(await runPgbun(t, ['top']), {
    code: 2,
    stdout: '',
    stderr: "pgbun: pgbun top needs a terminal. Elsewhere: pgbun ctl 'SHOW POOLS' --watch 1\n",
  })
})
