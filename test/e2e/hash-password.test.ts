/** `pgbun hash-password`: what it prints is taken by PostgreSQL and by auth_file, and the password is shown nowhere. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { runPgbun, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { pgbunRuntime, type Runtime } from '../fixtures/runtimes.ts'
import { waitFor } from '../fixtures/wait.ts'

const VERIFIER = /^SCRAM-SHA-256\$4096:[\w+/]{22}==\$[\w+/]{43}=:[\w+/]{43}=$/
const runtimes: Runtime[] = [pgbunRuntime(), pgbunRuntime('bun')].filter(
  ({ kind }, index, all) => all.findIndex((other) => other.kind === kind) === index,
)

for (const runtime of runtimes) {
  const hash = (t: Test, input: string | Buffer, ...args: string[]) =>
    runPgbun(t, ['hash-password', ...args], { runtime, input })

  t.test(`on ${runtime.kind}: PostgreSQL and auth_file take the verifier`, async (t) => {
    const server = await startPostgres(t)
    const password = 'p\u00e4ss "wort" \u2168'
    const alone = await hash(t, `${password}\nignored\n`)
    t.match(alone, { code: 0, stderr: '' })
    const verifier = alone.stdout.trimEnd()
    t.match(verifier, VERIFIER)
    await server.query(`CREATE ROLE "od""d" LOGIN`)
    await server.query(`ALTER ROLE "od""d" PASSWORD '${verifier}'`)
    const [{ rolpassword }] = await server.query(`SELECT rolpassword FROM pg_authid WHERE rolname = 'od"d'`)
    t.equal(rolpassword, verifier, 'stored as it is')
    const direct = await server.connect({ user: 'od"d', password })
    t.same((await direct.query('SELECT current_user')).rows, [{ current_user: 'od"d' }])
    await t.rejects(server.connect({ user: 'od"d', password: 'wrong' }), { code: '28P01' })

    const line = await hash(t, `${password}\r\n`, 'od"d', '--scram-iterations', '5000')
    t.match(line, { code: 0, stderr: '', stdout: /^"od""d" "SCRAM-SHA-256\$5000:.*"\n$/ })
    const file = path.join(t.testdir(), 'userlist.txt')
    writeFileSync(file, line.stdout, { mode: 0o600 })
    // What the client proves to pgbun, pgbun can prove to a server that has the same verifier.
    await server.query(`ALTER ROLE "od""d" PASSWORD '${/SCRAM[^"]*/.exec(line.stdout)![0]}'`)
    const args = ['--auth-type', 'scram-sha-256', '--auth-file', file]
    const pgbun = await startPgbun(t, { target: server, runtime, args })
    const client = await pgbun.connect({ user: 'od"d', password })
    t.same((await client.query('SELECT current_user')).rows, [{ current_user: 'od"d' }])
    await t.rejects(pgbun.connect({ user: 'od"d', password: 'wrong' }), { code: '28P01' })
  })

  t.test(`on ${runtime.kind}: what cannot be a password`, async (t) => {
    for (const [input, message] of [
      ['', 'the password is empty'],
      ['\n', 'the password is empty'],
      ['a\0b\n', 'the password contains a zero byte'],
      ['x'.repeat(200_000), 'the password is longer than 65531 bytes'],
      ['md5a3556571e93b0d20722ba62be61e8c2d\n', /has the form of a hash/],
    ] as const) {
      const { code, stdout, stderr } = await hash(t, input, 'app')
      t.match({ code, stdout }, { code: 1, stdout: /^$/ })
      t.match(stderr, message)
    }
    t.match(await hash(t, 'secret'), { code: 0, stdout: /^SCRAM-/ }, 'a line without an end')
  })

  t.test(`on ${runtime.kind}: it is asked for twice on a terminal, and not shown`, async (t) => {
    if (spawnSync('script', ['--version']).status !== 0) return t.pass('no program "script" to make a terminal')
    const match = await onTerminal(t, runtime, ['secr\x7fret\r', 'secret\r'])
    t.match(match, { code: 0, shown: /^Password: \s+Password again: \s+SCRAM-SHA-256\$4096:\S+\s+$/ })
    t.notMatch(match.shown, 'secret')
    t.match(await onTerminal(t, runtime, ['secret\r', 'other\r']), { code: 1, shown: /the two passwords differ/ })
    t.match(await onTerminal(t, runtime, ['\r']), { code: 1, shown: /the password is empty/ })
    t.match(await onTerminal(t, runtime, ['sec\x03']), { code: 1, shown: /pgbun: interrupted/ })
  })
}

t.test('never from an argument', async (t) => {
  for (const args of [['app', 'hunter2'], ['app:hunter2'], ['app', '--password', 'hunter2'], ['--password=hunter2']]) {
    const { code, stdout, stderr } = await runPgbun(t, ['hash-password', ...args], { input: 'x\n' })
    t.match({ code, stdout }, { code: 2, stdout: /^$/ })
    t.match(stderr, /list of processes.*asks for it, or reads it from standard input/)
    t.notMatch(stderr, 'hunter2')
  }
})

/** The command on a terminal of its own; each text is typed when one more question has been asked. */
async function onTerminal(t: Test, runtime: Runtime, typed: string[]): Promise<{ code: number; shown: string }> {
  const command = [runtime.command, ...runtime.args, 'hash-password'].map((word) => `'${word}'`).join(' ')
  const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => void child.kill('SIGKILL'))
  let shown = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text
  })
  const closed = once(child, 'close')
  for (const [index, text] of typed.entries()) {
    await waitFor(() => shown.split(/Password[^:]*: /).length === index + 2, { what: () => `a question in ${shown}` })
    child.stdin.write(text)
  }
  const [code] = await closed
  return { code, shown }
}
