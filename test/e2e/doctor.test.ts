/** `pgbun doctor`: what it finds of a configuration and its servers, and that what it says of users is what happens. */
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import type { Finding, UserRow } from '../../lib/cli/doctor/finding.ts'
import { issueCertificate } from '../fixtures/certificates.ts'
import { backend } from '../fixtures/messages.ts'
import { runPgbun, startPgbun } from '../fixtures/pgbun.ts'
import { freePort } from '../fixtures/ports.ts'
import { sharedPostgres, startPostgres, type TestPostgres } from '../fixtures/postgres.ts'
import { pgbunRuntime, type Runtime } from '../fixtures/runtimes.ts'
import { startScriptedPostgres } from '../fixtures/scripted-postgres.ts'
import { waitFor } from '../fixtures/wait.ts'

const shared = sharedPostgres(t)
const runtimes: Runtime[] = [pgbunRuntime(), pgbunRuntime('bun')].filter(
  ({ kind }, index, all) => all.findIndex((other) => other.kind === kind) === index,
)

interface Json {
  ok: boolean
  findings: Finding[]
  users: UserRow[]
  more_users: number
}

/** The report as text and as JSON, which must say the same, and the exit code, which must be that of both. */
async function doctor(
  t: Test,
  config: Record<string, unknown>,
  args: string[] = [],
  runtime = pgbunRuntime(),
): Promise<Json & { code: number | null; text: string }> {
  const people = await runPgbun(t, ['doctor', ...args], { config, runtime })
  const programs = await runPgbun(t, ['doctor', '--json', ...args], { config, runtime })
  t.equal(people.stderr + programs.stderr, '')
  const json = JSON.parse(programs.stdout) as Json
  t.equal(people.code, programs.code)
  t.equal(programs.code, json.ok ? 0 : 1)
  for (const { message, remedy = '' } of json.findings) {
    // Its own file, how long it took, and what else there is on the server, may differ from run to run.
    if (/^valid: | after \d+ ms|in use by others/.test(message)) continue
    t.ok(people.stdout.includes(message), `the text has: ${message}`)
    t.ok(people.stdout.includes(remedy), `the text has: ${remedy}`)
  }
  return { ...json, code: programs.code, text: people.stdout }
}

function find(findings: readonly Finding[], check: string, pattern: RegExp): Finding | undefined {
  return findings.find((one) => one.check === check && pattern.test(`${one.subject}: ${one.message}`))
}

function authFile(t: Test, users: Record<string, string>): string {
  const file = path.join(t.testdir(), 'userlist.txt')
  const lines = Object.entries(users).map(([user, secret]) => `"${user}" "${secret}"\n`)
  writeFileSync(file, lines.join(''), { mode: 0o600 })
  return file
}

/** A configuration in front of `server`, with one user for the database `app`. */
function oneUser(server: TestPostgres, file: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  const app = { dbname: server.database, user: 'postgres', password: server.password, ...more }
  return {
    server: { server_host: server.host, server_port: server.port, listen_port: 6432 },
    auth: { auth_type: 'scram-sha-256', auth_file: file },
    databases: { app },
  }
}

for (const runtime of runtimes) {
  t.test(`on ${runtime.kind}: all is well`, async (t) => {
    const server = await shared.server()
    const file = authFile(t, { postgres: server.password })
    const config = oneUser(server, file, { pool_size: 10, target_session_attrs: 'primary' })
    const { code, findings, text, users } = await doctor(t, config, [], runtime)
    t.equal(code, 0, text)
    t.same(
      findings.filter(({ level }) => level !== 'ok'),
      [],
    )
    t.ok(find(findings, 'configuration', /valid/))
    t.ok(find(findings, 'hosts', /answers, after \d+ ms/))
    t.ok(find(findings, 'hosts', /not encrypted: PostgreSQL offers no TLS/))
    t.ok(find(findings, 'hosts', new RegExp(`PostgreSQL ${server.major}.*, primary`)))
    t.ok(find(findings, 'hosts', /target_session_attrs primary: 127\.0\.0\.1:/))
    t.ok(find(findings, 'logins', /login as user "postgres" works/))
    t.match(find(findings, 'pool sizes', /./)?.message, /^at most database "app", user "postgres": 10; .*room for 97 /)
    t.match(users, [{ user: 'postgres', secret: 'password', server: 'user "postgres"', verdict: 'works' }])
    t.match(text, /\nAll is well\.\n$/)
    const left = async () => {
      const sql = "SELECT FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
      return (await server.query(sql)).length === 0
    }
    await waitFor(left, { what: 'no connection of it to be left open' })
    t.notMatch(server.logs(), /FATAL|ERROR/, 'PostgreSQL has nothing to complain about')
  })
}

t.test('without a login: passwords are the clients own', async (t) => {
  const server = await shared.server()
  const { code, findings } = await doctor(t, {}, [`${server.host}:${server.port}`, '--auth-type', 'passthrough'])
  t.equal(code, 0)
  t.ok(find(findings, 'logins', /not tried: passwords are the clients' own/))
})

t.test('a configuration that is not valid is a finding', async (t) => {
  const { code, findings } = await doctor(t, { pool: { pool_size: 0, pool_mode: 'x' } })
  t.equal(code, 1)
  t.equal(findings.filter(({ check, level }) => check === 'configuration' && level === 'problem').length, 2)
})

t.test('a host that cannot be reached', async (t) => {
  const server = await shared.server()
  const closed = await freePort()
  const config = oneUser(server, authFile(t, { postgres: server.password }))
  const alone = await doctor(t, { ...config, databases: { app: { host: '127.0.0.1', port: closed } } })
  t.equal(alone.code, 1)
  t.match(find(alone.findings, 'hosts', /refused/), { level: 'problem', remedy: /is PostgreSQL running there/ })
  t.match(alone.users, [{ server: '-', verdict: /not tried/ }])

  const hosts = `${server.host}:${server.port},127.0.0.1:${closed}`
  const several = await doctor(t, oneUser(server, authFile(t, { postgres: server.password }), { host: hosts }))
  t.equal(several.code, 0, 'another host is there')
  t.match(find(several.findings, 'hosts', /refused/), { level: 'warning' })
})

t.test('the one user of a database: wrong password, no database, a command that fails', async (t) => {
  const server = await shared.server()
  const file = authFile(t, { postgres: 'another secret' })
  const wrong = await doctor(t, oneUser(server, file, { password: 'wrong secret' }))
  t.equal(wrong.code, 1)
  const fault = find(wrong.findings, 'logins', /login as user "postgres" fails: password authentication failed/)
  t.match(fault, { level: 'problem', remedy: /correct the password/ })
  t.notMatch(wrong.text + JSON.stringify(wrong), /another secret|wrong secret/, 'nothing secret is shown')

  const missing = await doctor(t, oneUser(server, file, { dbname: 'nowhere' }))
  t.match(find(missing.findings, 'logins', /database "nowhere" does not exist/), { remedy: /correct dbname/ })

  const command = { password: undefined, password_command: 'echo topsecret; exit 3' }
  const failing = await doctor(t, oneUser(server, file, command))
  t.equal(failing.code, 1)
  t.match(find(failing.findings, 'files', /password_command ended with exit code 3/), { remedy: /by hand/ })
  t.notMatch(failing.text, /topsecret/)
  const working = { password: undefined, password_command: `echo ${server.password}` }
  t.equal((await doctor(t, oneUser(server, file, working))).code, 0)
})

t.test('a role that no host has', async (t) => {
  const server = await shared.server()
  const file = authFile(t, { postgres: server.password })
  const { code, findings } = await doctor(t, oneUser(server, file, { target_session_attrs: 'standby' }))
  t.equal(code, 1)
  t.match(find(findings, 'hosts', /target_session_attrs standby: no host fits: .* is a primary/), {
    level: 'problem',
    remedy: /change target_session_attrs/,
  })
})

t.test('pool sizes that PostgreSQL has no room for', async (t) => {
  const server = await startPostgres(t, { settings: { max_connections: '20' } })
  const config = oneUser(server, authFile(t, { postgres: server.password }), { pool_size: 15, reserve_pool_size: 5 })
  const { code, findings } = await doctor(t, config)
  t.equal(code, 1)
  t.match(find(findings, 'pool sizes', /./), {
    level: 'problem',
    message:
      /user "postgres": \(15 \+ 5\) = 20; PostgreSQL has room for 17 \(max_connections 20 - 3 reserved\), \d+ in use/,
    remedy: /max_server_connections to 17 or less/,
  })
  const enough = await doctor(t, config, ['--max-server-connections', '10'])
  t.equal(enough.code, 0)
  t.match(find(enough.findings, 'pool sizes', /./), { level: 'ok', message: /max_server_connections allows 10/ })
})

t.test('certificates: of PostgreSQL, of pgbun, and their ends', async (t) => {
  const authority = issueCertificate({ commonName: 'authority', authority: true })
  const soon = new Date(Date.now() + 9.5 * 86_400_000)
  const own = issueCertificate({ commonName: 'localhost', issuer: authority, names: ['127.0.0.1'], notAfter: soon })
  const server = await startPostgres(t, { tls: { cert: own.certificate, key: own.key } })
  const dir = t.testdir()
  mkdirSync(dir, { recursive: true })
  const file = (name: string, text: string): string => {
    writeFileSync(path.join(dir, name), text, { mode: 0o600 })
    return path.join(dir, name)
  }
  const gone = new Date(Date.now() - 86_400_000)
  const old = issueCertificate({ commonName: 'old', notBefore: new Date(Date.now() - 9e8), notAfter: gone })
  const users = file('userlist.txt', `"postgres" "${server.password}"\n`)
  const args = ['--server-tls-ca-file', file('ca.pem', authority.certificate), '--server-tls-mode', 'verify-full']
  const well = await doctor(t, oneUser(server, users), args)
  t.equal(well.code, 0, well.text)
  t.match(find(well.findings, 'hosts', /TLSv1\.3, certificate and host name verified; .* in 9 days/), {
    level: 'warning',
  })
  const others = ['--server-tls-ca-file', file('old.pem', old.certificate), '--server-tls-mode', 'verify-full']
  const pair = ['--client-tls-cert-file', file('old.pem', old.certificate), '--client-tls-key-file', file('k', old.key)]
  const bad = await doctor(t, oneUser(server, users), [...others, ...pair])
  t.equal(bad.code, 1)
  t.match(find(bad.findings, 'hosts', /certificate was not accepted/), { level: 'problem' })
  t.match(find(bad.findings, 'files', /client_tls_cert_file: has expired on/), { level: 'problem' })
  t.match(find(bad.findings, 'files', /server_tls_ca_file: 1 of 1 certificates: has expired/), { level: 'problem' })
})

const PASSWORD = 'correct horse'
const md5 = (user: string): string =>
  `md5${createHash('md5')
    .update(PASSWORD + user)
    .digest('hex')}`

t.test('what the table says of users is what happens to them', async (t) => {
  const asks = { md5: 'md5', clear: 'password', trusted: 'trust', barred: 'reject' }
  const hba = Object.entries(asks).map(([who, method]) => `host all +${who} 127.0.0.1/32 ${method}`)
  const server = await startPostgres(t, { hba: [...hba, 'host all all 127.0.0.1/32 scram-sha-256'] })
  const users: Record<string, string> = {}
  const other = await scramOf(server, 'another', PASSWORD)
  for (const kind of ['scram', ...Object.keys(asks)]) {
    await server.query(`CREATE ROLE ${kind}`)
    for (const has of ['plain', 'wrong', 'md5', 'scram', 'other', 'empty']) {
      const user = `${kind}_${has}`
      const verifier = await scramOf(server, user, PASSWORD)
      const group = kind === 'scram' ? '' : `IN ROLE ${kind}`
      await server.query(
        `CREATE ROLE ${user}_ LOGIN ${group} PASSWORD '${kind === 'md5' ? md5(`${user}_`) : verifier}'`,
      )
      const secrets = { plain: PASSWORD, wrong: 'wrong', md5: md5(`${user}_`), scram: verifier, other, empty: '' }
      users[`${user}_`] = secrets[has as keyof typeof secrets]
    }
  }
  const all = Object.entries(users)
  for (const authType of ['scram-sha-256', 'md5', 'plain', 'trust']) {
    const verdicts = new Map<string, UserRow>()
    for (let from = 0; from < all.length; from += 15) {
      const part = Object.fromEntries(all.slice(from, from + 15))
      const args = ['--auth-type', authType, '--auth-file', authFile(t, part), `${server.host}:${server.port}`]
      const { stdout } = await runPgbun(t, ['doctor', '--json', ...args])
      for (const row of (JSON.parse(stdout) as Json).users) verdicts.set(row.user, row)
    }
    const file = authFile(t, users)
    const pgbun = await startPgbun(t, { target: server, args: ['--auth-type', authType, '--auth-file', file] })
    for (const [user] of all) {
      const { level, verdict, client, secret, server: asked } = verdicts.get(user)!
      // With a secret that is no password's of PostgreSQL, the client has that one; an empty one is sent as such.
      const password = user.endsWith('_wrong_') ? 'wrong' : PASSWORD
      const works = await pgbun.connect({ user, password }).then(
        () => true,
        () => false,
      )
      t.equal(level === 'ok', works, `${authType}, ${user}: ${client}, ${secret}, ${asked}: ${verdict}`)
    }
    await pgbun.stop()
  }
})

t.test('users of databases with one user need no role in PostgreSQL', async (t) => {
  const server = await shared.server()
  const config = oneUser(server, authFile(t, { postgres: server.password, stranger: 'their own' }))
  const { code, findings } = await doctor(t, { ...config, databases: { ...(config.databases as object), '*': {} } })
  t.equal(code, 0)
  t.match(find(findings, 'users', /"stranger"/), {
    level: 'warning',
    message: /only databases with a user of their own/,
  })
})

t.test('a server that hangs, leaves, or is none', async (t) => {
  const silent = await startScriptedPostgres(t, { onStartup: () => {} })
  const leaving = await startScriptedPostgres(t, {
    onStartup(connection) {
      connection.greet()
      connection.end()
    },
  })
  const odd = await startScriptedPostgres(t)
  const rude = await startScriptedPostgres(t, {
    onStartup: (connection) => connection.end(backend.error('28000', 'no\x1b[2J way\nPROBLEM  made up')),
  })
  const many = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`user_${i}`, 'x']))
  const users = authFile(t, many)
  for (const [server, message] of [
    [silent, /the server did not complete the login in time/],
    [leaving, /server closed the connection/],
    [odd, /the server does not answer as PostgreSQL does|server closed the connection/],
    [rude, /PostgreSQL says: no/],
  ] as const) {
    const began = Date.now()
    const args = [`127.0.0.1:${server.port}`, '--auth-file', users, '--server-connect-timeout', '1s']
    const { stdout, code } = await runPgbun(t, ['doctor', ...args])
    t.equal(code, 1, stdout)
    t.match(stdout, message)
    t.notOk(stdout.includes('\x1b'), 'no control characters of a server')
    t.notMatch(stdout, /^PROBLEM {2}made up/m)
    t.ok(Date.now() - began < 15_000, `it took ${Date.now() - began} ms`)
    await waitFor(() => server.connections.every(({ closed }) => closed), { what: 'all connections to be closed' })
  }
})

t.test('clients that cannot be asked for their passwords', async (t) => {
  const server = await shared.server()
  const args = [`${server.host}:${server.port}`, '--client-tls-mode', 'disable']
  const { code, findings } = await doctor(t, {}, args)
  t.equal(code, 0)
  t.match(find(findings, 'configuration', /asks for passwords in clear/), { level: 'warning' })
  const local = await doctor(t, {}, [...args, '--listen-host', '127.0.0.1,::1'])
  t.notOk(find(local.findings, 'configuration', /asks for passwords in clear/))
})

t.test('many users: twenty are looked at', async (t) => {
  const server = await shared.server()
  const many = Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`user_${i}`, 'none of them']))
  const { users, more_users, text, findings } = await doctor(t, {}, [
    `${server.host}:${server.port}`,
    '--auth-file',
    authFile(t, many),
  ])
  t.equal(users.length, 20)
  t.equal(more_users, 5)
  t.match(text, /and 5 more/)
  t.match(find(findings, 'users', /user "user_3"/), { level: 'problem', message: /password authentication failed/ })
  t.notMatch(text, /none of them/)
})

/** The verifier that PostgreSQL makes of a password. */
async function scramOf(server: TestPostgres, user: string, password: string): Promise<string> {
  await server.query(`CREATE ROLE "${user} made" PASSWORD '${password}'`)
  const [row] = await server.query(`SELECT rolpassword FROM pg_authid WHERE rolname = '${user} made'`)
  return row.rolpassword
}
