import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { runPgbun, startPgbun } from '../fixtures/pgbun.ts'
import { freePort } from '../fixtures/ports.ts'
import { sharedPostgres } from '../fixtures/postgres.ts'
import { connectRaw, loginRaw, typesOf } from '../fixtures/raw-client.ts'
import { pgbunRuntime } from '../fixtures/runtimes.ts'
import { waitFor } from '../fixtures/wait.ts'

const postgres = sharedPostgres(t, {
  bootstrapSql: [
    "CREATE ROLE full_up LOGIN PASSWORD 'secret' CONNECTION LIMIT 0",
    "CREATE ROLE changed LOGIN PASSWORD 'new'",
  ],
})

// What a newcomer meets in the first hour: a server that is not there, that is full, that does not answer, whose
// secret is another one; too few file descriptors. Each was a line without a reason or a remedy, or no line at all.
t.test('a newcomer reads in the log what is wrong and what to do', async (t) => {
  await t.test('the log says that there is no PostgreSQL', async (t) => {
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

  await t.test('a client is told that PostgreSQL does not answer', async (t) => {
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

  await t.test(
    'pgbun warns of too few file descriptors',
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

  await t.test('a dry run says that the server is an embedded one', async (t) => {
    const { code, stdout } = await runPgbun(t, ['--dry-run', '--embedded', '-p', '5432'], {
      env: { PGBUN_SERVER_HOST: 'db.example.com' },
    })
    t.equal(code, 0)
    t.match(stdout, /^ {2}forwards to +an embedded PostgreSQL$/m)
    const shown = await runPgbun(t, ['config', '--embedded'])
    t.match(shown.stdout, /^server_host = .*# command line --embedded$/m)
  })

  await t.test('the log of a pgbun with a PostgreSQL', async (t) => {
    const server = await postgres.server()

    await t.test('says nothing where all is well', async (t: Test) => {
      const pgbun = await startPgbun(t, { target: server })
      await pgbun.connect()
      t.notMatch(pgbun.logs(), /cannot be reached/)
    })

    await t.test('says what to do where PostgreSQL has no connection left', async (t: Test) => {
      const pgbun = await startPgbun(t, { target: server })
      await t.rejects(pgbun.connect({ user: 'full_up', password: 'secret' }), {
        code: '53300',
        message: 'too many connections for role "full_up"',
        hint: /lower pool_size of pgbun or raise the limit of PostgreSQL/,
      })
      await pgbun.waitForLog(/too many connections for role.*remedy="lower pool_size \(each.*max_connections/)
    })

    await t.test('says that the secret in auth_file is another one than in PostgreSQL', async (t: Test) => {
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

    await t.test('says that auth_type trust needs a secret for PostgreSQL', async (t: Test) => {
      const pgbun = await startPgbun(t, { target: server, args: ['--auth-type', 'trust'] })
      await t.rejects(pgbun.connect({ user: 'changed', password: 'new' }))
      await pgbun.waitForLog(/remedy=".*auth_file/)
    })
  })
})

// Each line says in its message what happened, and in its fields who, where, why and what to do; the same in text
// and in JSON. What is normal is no warning.
t.test('each line of the log says what happened, to whom, why and what to do', async (t) => {
  /** Of this JSON record every value is a text, a number or a switch, and every number has its unit in its name. */
  const COUNTS = /^(level|time|pid|server_pid|client|server|clients|servers|waiting|repeated)$/

  const server = await postgres.server()
  const args = ['--query-wait-timeout', '1s', '--stats-period', '1s']
  const start = (t: Test, more: string[] = []) =>
    startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1, args: [...args, ...more] })
  const kill = () =>
    server.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
    )

  await t.test('lines of text', async (t) => {
    const pgbun = await start(t)
    const login = (options = {}) => loginRaw(t, pgbun, options)
    const client = await login()
    await pgbun.waitForLog(/ INFO {2}client connected client=\d+ user=postgres database=postgres address=127/)

    await t.rejects(login({ password: 'wrong' }))
    await pgbun.waitForLog(
      / WARN {2}client refused: password authentication failed for user "postgres" client=\d+ user=postgres database=postgres address=127\.0\.0\.1:\d+ .*sqlstate=28P01 age_ms=\d+$/m,
    )
    await t.rejects(login({ database: 'nowhere' }))
    await pgbun.waitForLog(
      / WARN {2}client refused: database "nowhere" does not exist client=.*by=PostgreSQL sqlstate=3D000/,
    )

    const other = await login()
    // The deadline is the holder's, too, which waits where the machine is busy.
    await waitFor(async () => typesOf(await client.query('BEGIN')) === 'CZ')
    other.send(frontend.query('SELECT 1'))
    const [refusal] = await other.readUntil('Z')
    t.match(refusal?.type, 'E')
    const waited = await pgbun.waitForLog(
      / WARN {2}request refused: no server connection became free within query_wait_timeout client=.* detail="([^\n]*?)" sqlstate=53300 remedy="raise pool_size/,
    )
    const detail = JSON.parse(`"${waited[1]}"`)
    t.ok(refusal!.body.toString().includes(detail), `the DETAIL the client got: ${detail}`)

    client.socket.destroy()
    await pgbun.waitForLog(/ INFO {2}client disconnected in a transaction, which is rolled back client=/)
    other.send(frontend.query('SELECT pg_sleep(60)'))
    await waitFor(
      async () =>
        (
          await server.query(
            "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%sleep(60)' AND state = 'active' AND pid <> pg_backend_pid()",
          )
        ).length === 1,
    )
    other.socket.destroy()
    await pgbun.waitForLog(/ INFO {2}client disconnected while its request ran, which is canceled client=/)

    const broken = await login()
    broken.send(Buffer.from('Z\0\0\0\x04', 'latin1'))
    await pgbun.waitForLog(
      / WARN {2}client disconnected: invalid message type 90 client=\d+ user=postgres .*sqlstate=08P01/,
    )

    const cut = await login()
    cut.send(frontend.query('SELECT pg_sleep(61)'))
    await waitFor(
      async () =>
        (
          await server.query(
            "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%sleep(61)' AND state = 'active' AND pid <> pg_backend_pid()",
          )
        ).length === 1,
    )
    await kill()
    await pgbun.waitForLog(
      / WARN {2}server connection lost: terminating connection due to administrator command \(57P01\) server=\d+ user=postgres database=postgres address="127.0.0.1, port \d+" server_pid=\d+ age_ms=\d+ doing="running a query"/,
    )
    await pgbun.waitForLog(
      / WARN {2}client disconnected: PostgreSQL ended its session: terminating connection due to administrator command \(57P01\) client=/,
    )

    const idle = await login()
    await idle.query('SELECT 1')
    await kill()
    await pgbun.waitForLog(/ INFO {2}server connection lost: terminating connection/)

    const stats = await pgbun.waitForLog(/ INFO {2}stats (.*)/)
    for (const field of stats[1]!.split(' ')) t.match(field, /^[a-z_]+=\d+(\.\d+)?(e-\d+)?$/)
    await login()
    await pgbun.stop()
    t.match(pgbun.logs(), / INFO {2}client disconnected: pgbun is shutting down client=\d+ .*sqlstate=57P01/)
    t.notMatch(pgbun.logs(), /ended by an error| ERROR /)
    for (const line of pgbun.logs().split('\n')) t.notMatch(line, /=\d+(\.\d+)?(ms|s|B)\b/, 'no unit in a value')
  })

  await t.test('lines of JSON are the same, with numbers', async (t) => {
    const pgbun = await start(t, ['--log-format', 'json', '--log-level', 'debug'])
    const client = await loginRaw(t, pgbun)
    await client.query('SELECT 1')
    await t.rejects(loginRaw(t, pgbun, { password: 'wrong' }))
    await pgbun.waitForLog(/"msg":"stats"/)
    await client.end()
    await pgbun.waitForLog(/"msg":"client disconnected"/)
    await pgbun.stop()
    const records = pgbun
      .logs()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    const find = (msg: string) => records.find((record) => record.msg.startsWith(msg))
    for (const record of records) {
      t.match(record, { level: /^(20|30|40|50)$/, time: Number, pid: pgbun.pid, hostname: String, msg: String })
      for (const [key, value] of Object.entries(record)) {
        if (typeof value === 'number') t.match(key, key.match(COUNTS) ? COUNTS : /_(ms|per_s|total)$/)
        // A SQLSTATE is a text that may have digits alone.
        else if (key !== 'sqlstate')
          t.notMatch(String(value), /^\d+(\.\d+)?( ?(ms|s|B))?$/, `${key} is a number: ${value}`)
      }
    }
    t.match(find('client refused: password authentication failed'), {
      level: 40,
      user: 'postgres',
      sqlstate: '28P01',
      age_ms: Number,
    })
    t.match(find('client disconnected'), { level: 30, client: Number, age_ms: Number })
    t.match(find('stats'), { clients: Number, queries_per_s: Number, bytes_in_per_s: Number, wait_ms: Number })
    t.match(find('shutting down'), { level: 30, clients: 0, timeout_ms: 30_000 })
  })

  await t.test('a probe of the port causes no warning', async (t) => {
    const pgbun = await start(t)
    const socket = connect(pgbun.port, '127.0.0.1')
    await new Promise((resolve) => socket.once('connect', resolve))
    socket.destroy()
    const silent = await connectRaw(t, pgbun)
    silent.socket.resetAndDestroy()
    // What pg_isready does, and psql before it asks for the password.
    const asked = await connectRaw(t, pgbun)
    asked.send(frontend.startup({ user: 'postgres', database: 'postgres' }))
    await asked.readUntil('R')
    asked.socket.destroy()
    const terminated = await connectRaw(t, pgbun)
    terminated.send(frontend.startup({ user: 'postgres', database: 'postgres' }))
    await terminated.readUntil('R')
    terminated.send(frontend.terminate())
    await promisify(execFile)('pg_isready', ['-h', '127.0.0.1', '-p', `${pgbun.port}`]).catch((error) => {
      if (error.code !== 'ENOENT') throw error
      t.comment('no pg_isready on this machine')
    })
    const client = await loginRaw(t, pgbun)
    await client.end()
    await pgbun.waitForLog(/client disconnected/)
    t.notMatch(pgbun.logs(), /WARN|ERROR/)
  })

  await t.test('the line about a server that is down says where it was looked for', async (t) => {
    const pgbun = await startPgbun(t, { target: { host: '127.0.0.1', port: 1 }, args: ['--auth-type', 'trust'] })
    const { code } = await loginRaw(t, pgbun).catch((error) => error)
    t.equal(code, '57P03')
    await pgbun.waitForLog(
      / WARN {2}server connection failed: connection to 127\.0\.0\.1, port 1 refused database=postgres user=postgres sqlstate=08001/,
    )
    await pgbun.waitForLog(
      / WARN {2}client refused: cannot connect to the server: connection to 127\.0\.0\.1, port 1 refused client=\d+ .*sqlstate=57P03/,
    )
  })
})
