/**
 * What a newcomer meets in the first hour: a server that is not there, that is full, that does not answer, whose secret is
 * another; too few file descriptors. Each was a line without a reason or a remedy, or no line at all.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runPgbun, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { pgbunRuntime } from '../fixtures/runtimes.ts'

/** A port of 127.0.0.1 nobody listens on, as far as one can know. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

t.test('no server behind it', async (t) => {
  const port = await freePort()
  const pgbun = await startPgbun(t, { target: { host: '127.0.0.1', port } })
  const [line] = await pgbun.waitForLog(/WARN {2}PostgreSQL cannot be reached at present.*/)
  t.match(line, `connection to 127.0.0.1, port ${port} refused`)
  t.match(line, /remedy="is PostgreSQL running there\? server_host and server_port/)
  const socket = await startPgbun(t, { target: { host: '/no/such/dir', port: 5432 } })
  await socket.waitForLog(/WARN {2}PostgreSQL cannot be reached .*no such socket.*unix_socket_directories/)
  const name = await startPgbun(t, { target: { host: 'no-such-host.invalid', port: 5432 } })
  await name.waitForLog(/WARN {2}PostgreSQL cannot be reached .*no-such-host\.invalid/)
})

t.test('a server that does not answer', async (t) => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1')
  t.teardown(() => silent.close())
  await once(silent, 'listening')
  const { port } = silent.address() as { port: number }
  const pgbun = await startPgbun(t, {
    target: { host: '127.0.0.1', port },
    args: ['--server-connect-timeout', '1200ms'],
  })
  await t.rejects(pgbun.connect(), { message: /cannot connect to the server: .* timed out \(1\.2 s\)/ })
  t.notMatch(pgbun.logs(), /\d\.\d{3,} ?m?s/)
})

t.test(
  'too few file descriptors',
  { skip: process.platform !== 'linux' && 'the limit is read from /proc' },
  async (t) => {
    const limited = async (...args: string[]): Promise<string> => {
      const { command, args: before } = pgbunRuntime()
      const child = spawn('sh', ['-c', 'ulimit -n 100; exec "$@"', 'sh', command, ...before, '--dry-run', ...args])
      let output = ''
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text) => (output += text))
      t.strictSame(await once(child, 'close'), [0, null])
      return output
    }
    const warned = await limited('--max-client-conn', '60', '--pool-size', '10', '--reserve-pool-size', '5')
    t.match(warned, /warning: the limit of open files is 100, but 115 may be needed: max_client_conn 60, 15 server/)
    t.match(warned, /ulimit -n, LimitNOFILE=/)
    t.notMatch(await limited('--max-client-conn', '10', '--pool-size', '10'), /limit of open files/)
  },
)

t.test('a dry run of an embedded server', async (t) => {
  const { code, stdout } = await runPgbun(t, ['--dry-run', '--embedded', '-p', '5432'], {
    env: { PGBUN_SERVER_HOST: 'db.example.com' },
  })
  t.equal(code, 0)
  t.match(stdout, /^ {2}forwards to +an embedded PostgreSQL$/m)
  const shown = await runPgbun(t, ['config', '--embedded'])
  t.match(shown.stdout, /^server_host = .*# command line --embedded$/m)
})

t.test('with a server', async (t) => {
  const server = await startPostgres(t, {
    bootstrapSql: [
      "CREATE ROLE full_up LOGIN PASSWORD 'secret' CONNECTION LIMIT 0",
      "CREATE ROLE changed LOGIN PASSWORD 'new'",
    ],
  })

  await t.test('it can be reached', async (t: Test) => {
    const pgbun = await startPgbun(t, { target: server })
    await pgbun.connect()
    t.notMatch(pgbun.logs(), /cannot be reached/)
  })

  await t.test('it has no connection left', async (t: Test) => {
    const pgbun = await startPgbun(t, { target: server })
    await t.rejects(pgbun.connect({ user: 'full_up', password: 'secret' }), {
      code: '53300',
      message: 'too many connections for role "full_up"',
      hint: /lower pool_size of pgbun or raise the limit of PostgreSQL/,
    })
    await pgbun.waitForLog(/too many connections for role.*remedy="lower pool_size \(each.*max_connections/)
  })

  await t.test('the secret in auth_file is not its own', async (t: Test) => {
    const file = join(t.testdir({}), 'users.txt')
    writeFileSync(file, '"changed" "old"\n', { mode: 0o600 })
    for (const args of [
      ['--auth-type', 'scram-sha-256'],
      ['--auth-type', 'md5'],
      ['--auth-type', 'trust'],
    ]) {
      const pgbun = await startPgbun(t, { target: server, args: ['--auth-file', file, ...args] })
      await t.rejects(pgbun.connect({ user: 'changed', password: 'old' }), { code: '28P01' })
      await pgbun.waitForLog(
        /remedy="the secret of \\?"changed\\?" in auth_file \S+users\.txt is not the one PostgreSQL has/,
      )
    }
  })

  await t.test('trust without a secret', async (t: Test) => {
    const pgbun = await startPgbun(t, { target: server, args: ['--auth-type', 'trust'] })
    await t.rejects(pgbun.connect({ user: 'changed', password: 'new' }))
    await pgbun.waitForLog(/remedy=".*auth_file/)
  })
})
