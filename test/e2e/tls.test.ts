/**
 * TLS on both sides as TLS.md promises it: all modes, direct TLS, client certificates, attacks on the negotiation, and
 * certificates that are renewed while clients are connected.
 */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type tls from 'node:tls'
import t, { type Test } from 'tap'
import { issueCertificate, makeCertificates, writeCertificates } from '../fixtures/certificates.ts'
import { frontend } from '../fixtures/messages.ts'
import { type Pgbun, runPgbun, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { cancel, connectRaw, errorOf, type LoginError, loginRaw, type RawClient } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const certificates = makeCertificates()
const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-tls-'))
t.teardown(() => rmSync(dir, { recursive: true, force: true }))
const files = writeCertificates(dir, certificates)
const { ca, client, strangerClient, expiredClient } = certificates
const clientFlags = (mode: string, pair = files.server): string[] => [
  ...['--client-tls-mode', mode, '--client-tls-key-file', pair.key, '--client-tls-cert-file', pair.cert],
]
/** Connects with TLS after an SSLRequest, or at once. */
async function secure(t: Test, pgbun: Pgbun, options: tls.ConnectionOptions = {}, direct = false): Promise<RawClient> {
  if (direct) return connectRaw(t, pgbun, options)
  const raw = await connectRaw(t, pgbun)
  await raw.startTls(options)
  return raw
}
/** How an attempt ends: `ok`, the SQLSTATE and message of the refusal, or that the connection was closed. */
async function outcome(attempt: () => Promise<RawClient>): Promise<string> {
  try {
    const raw = await attempt()
    await raw.login()
    return (await raw.rows("SELECT 'ok'"))[0]![0]!
  } catch (error) {
    const { fields } = error as LoginError
    return fields ? `${fields.C} ${fields.M}` : 'closed'
  }
}

t.test('clients', async (t) => {
  const server = await startPostgres(t)
  const start = (t: Test, ...args: string[]): Promise<Pgbun> => startPgbun(t, { target: server, args })

  // What a client without TLS gets, with TLS, with direct TLS, and the answer to an SSLRequest.
  const required = '28000 SSL required'
  const modes = {
    disable: { plain: 'ok', tls: 'closed', direct: 'closed', answer: 'N' },
    auto: { plain: 'ok', tls: 'ok', direct: 'ok', answer: 'S' },
    allow: { plain: 'ok', tls: 'ok', direct: 'ok', answer: 'S' },
    prefer: { plain: 'ok', tls: 'ok', direct: 'ok', answer: 'S' },
    require: { plain: required, tls: 'ok', direct: 'ok', answer: 'S' },
  }
  for (const [mode, expected] of Object.entries(modes)) {
    await t.test(`client_tls_mode ${mode}`, async (t) => {
      const pgbun = await start(t, ...(mode === 'disable' ? ['--client-tls-mode', 'disable'] : clientFlags(mode)))
      t.equal(await (await connectRaw(t, pgbun)).requestTls(), expected.answer)
      t.equal(await outcome(() => connectRaw(t, pgbun)), expected.plain, 'plain')
      t.equal(await outcome(() => secure(t, pgbun)), expected.tls, 'TLS')
      t.equal(await outcome(() => secure(t, pgbun, {}, true)), expected.direct, 'direct TLS')
      const ssl = { ca: ca.certificate, servername: 'localhost' }
      if (expected.tls === 'ok') {
        const driver = await pgbun.connect({ ssl })
        t.same((await driver.query('SELECT 1 AS one')).rows, [{ one: 1 }], 'a driver that checks the certificate')
      } else await t.rejects(pgbun.connect({ ssl }), /does not support SSL/)
    })
  }

  for (const mode of ['verify-ca', 'verify-full']) {
    await t.test(`client_tls_mode ${mode}`, async (t) => {
      const caFile = path.join(dir, 'ca.crt')
      const pgbun = await start(t, ...clientFlags(mode), '--client-tls-ca-file', caFile)
      const refused = /^28000 connection requires a valid client certificate$/
      for (const direct of [false, true]) {
        const way = direct ? 'direct TLS' : 'TLS'
        const as = (pair?: { certificate: string; key: string }): Promise<string> =>
          outcome(() => secure(t, pgbun, pair && { cert: pair.certificate, key: pair.key }, direct))
        t.equal(await as(client), 'ok', `${way}, a certificate of the authority`)
        t.match(await as(), refused, `${way}, none`)
        t.match(await as(strangerClient), refused, `${way}, one of another authority`)
        t.match(await as(expiredClient), refused, `${way}, an expired one`)
        t.match(await as(certificates.server), refused, `${way}, one for servers`)
      }
      t.equal(await outcome(() => connectRaw(t, pgbun)), required, 'plain')
      const wrong = await secure(t, pgbun, { cert: client.certificate, key: client.key })
      await t.rejects(wrong.login({ password: 'wrong' }), { code: '28P01' }, 'a certificate is no password')
    })
  }

  await t.test('bytes behind an SSLRequest in the same packet are never taken for the client’s', async (t) => {
    const pgbun = await start(t, ...clientFlags('prefer'))
    const smuggled = frontend.startup({ user: 'postgres', database: 'postgres' })
    const ssl = await connectRaw(t, pgbun)
    ssl.send(frontend.sslRequest(), smuggled)
    t.equal(await ssl.readBytes(1), 'S')
    t.same(await ssl.expectClosed(), [])
    const gss = await connectRaw(t, pgbun)
    gss.send(frontend.gssEncRequest(), smuggled)
    t.equal(await gss.readBytes(1), 'N')
    t.match(await gss.expectFatal(), { C: '08P01', M: 'received unencrypted data after GSSAPI encryption request' })
    await pgbun.waitForLog(/received unencrypted data after SSL request/)
  })

  await t.test('GSSENCRequest first, SSLRequest in pieces, twice, inside TLS', async (t) => {
    const pgbun = await start(t, ...clientFlags('require'))
    const gss = await connectRaw(t, pgbun)
    gss.send(frontend.gssEncRequest())
    t.equal(await gss.readBytes(1), 'N')
    await gss.startTls()
    await gss.login()
    t.same(await gss.rows('SELECT 1'), [['1']])

    const slow = await connectRaw(t, pgbun)
    await slow.sendBytewise(frontend.sslRequest())
    t.equal(await slow.readBytes(1), 'S')
    await slow.upgrade()
    await slow.login()
    t.same(await slow.rows('SELECT 1'), [['1']])

    const inside = await secure(t, pgbun)
    inside.send(frontend.sslRequest())
    t.match(await inside.expectClosed().then(errorOf), { C: '0A000' })

    const off = await start(t)
    const twice = await connectRaw(t, off)
    t.equal(await twice.requestTls(), 'N')
    twice.send(frontend.sslRequest())
    await twice.expectClosed()
    t.same(await (await loginRaw(t, off)).rows('SELECT 1'), [['1']])
  })

  await t.test('direct TLS wants the protocol postgresql', async (t) => {
    const pgbun = await start(t, ...clientFlags('require'))
    const right = await connectRaw(t, pgbun, { ALPNProtocols: ['postgresql'] })
    t.equal((right.socket as tls.TLSSocket).alpnProtocol, 'postgresql')
    for (const ALPNProtocols of [undefined, ['http/1.1']]) {
      t.equal(await outcome(() => connectRaw(t, pgbun, { ALPNProtocols })), 'closed', String(ALPNProtocols))
    }
    await pgbun.waitForLog(/ALPN/)
  })

  await t.test('nonsense instead of a handshake', async (t) => {
    const pgbun = await start(t, ...clientFlags('prefer'), '--client-login-timeout', '1h')
    for (const bytes of [Buffer.from('nonsense'), Buffer.from('160301ffff00', 'hex')]) {
      for (const direct of [false, true]) {
        const raw = await connectRaw(t, pgbun)
        if (!direct) t.equal(await raw.requestTls(), 'S')
        raw.send(direct ? Buffer.concat([Buffer.from([0x16]), bytes]) : bytes)
        await waitFor(() => raw.closed, { what: `${bytes.toString('hex')} to be closed` })
      }
    }
    t.equal(await outcome(() => secure(t, pgbun)), 'ok')
  })

  await t.test('silence instead of a handshake', async (t) => {
    const pgbun = await start(t, ...clientFlags('prefer'), '--client-login-timeout', '700ms')
    // Where the machine is slow, the time is over for others, too: they try until they are in time.
    for (const direct of [false, true]) {
      const raw = await waitFor(async () => {
        const raw = await connectRaw(t, pgbun)
        return (direct || (await raw.requestTls()) === 'S') && raw
      })
      if (direct) raw.send(Buffer.from([0x16]))
      await waitFor(() => raw.closed, { what: `silence to be closed, ${direct ? 'direct TLS' : 'TLS'}` })
    }
    await waitFor(async () => (await outcome(() => secure(t, pgbun))) === 'ok', { what: 'a login' })
  })

  await t.test('cancel requests come with and without TLS', async (t) => {
    const pgbun = await start(t, ...clientFlags('require'))
    for (const how of ['plain', 'TLS', 'direct TLS']) {
      const raw = await secure(t, pgbun)
      const { pid, secret } = await raw.login()
      raw.send(frontend.query('SELECT pg_sleep(600)'))
      await waitFor(
        async () => (await server.query("SELECT 1 FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'")).length,
      )
      if (how === 'plain') await cancel(t, pgbun, pid, secret)
      else {
        const canceller = await secure(t, pgbun, {}, how === 'direct TLS')
        canceller.send(frontend.cancelRequest(pid, secret))
        t.same(await canceller.expectClosed(), [])
      }
      t.match(errorOf(await raw.readUntil('Z')), { C: '57014' }, how)
      await raw.end()
    }
  })

  await t.test('large results over TLS, whole', async (t) => {
    const pgbun = await start(t, ...clientFlags('require'))
    const raw = await secure(t, pgbun)
    await raw.login()
    const rows = await raw.rows('SELECT n, repeat(md5(n::text), 1000) FROM generate_series(1, 600) n')
    t.equal(rows.length, 600)
    t.ok(rows.every((row) => row[1]!.length === 32_000))
    const long = 'y'.repeat(5_000_000)
    t.same(await raw.rows(`SELECT length('${long}')`), [['5000000']])
  })

  await t.test('certificates are renewed by SIGHUP without anybody noticing', async (t) => {
    const pair = { cert: path.join(dir, 'renewed.crt'), key: path.join(dir, 'renewed.key') }
    copyFileSync(files.server.cert, pair.cert)
    copyFileSync(files.server.key, pair.key)
    const pgbun = await start(t, ...clientFlags('require', pair))
    const serial = async (): Promise<string> => {
      const raw = await secure(t, pgbun)
      return (raw.socket as tls.TLSSocket).getPeerCertificate().serialNumber
    }
    const old = await secure(t, pgbun)
    await old.login()
    await old.query('BEGIN')
    const before = await serial()
    const issuer = ca
    const renewed = issueCertificate({ commonName: 'localhost', issuer, usage: 'server', names: ['localhost'] })
    writeFileSync(pair.cert, renewed.certificate)
    writeFileSync(pair.key, renewed.key)
    pgbun.signal('SIGHUP')
    await pgbun.waitForLog(/client certificates reloaded/)
    const after = await serial()
    t.not(after, before)
    t.same(await old.rows('SELECT 1'), [['1']], 'who is connected stays connected')
    writeFileSync(pair.key, files.client.key)
    writeFileSync(pair.cert, 'no certificate')
    pgbun.signal('SIGHUP')
    await pgbun.waitForLog(/not reloaded.*renewed\.crt/s)
    t.equal(await serial(), after, 'what does not load does not count')
    t.equal(await outcome(() => secure(t, pgbun)), 'ok')
  })

  await t.test('a mistake is named with option and path', async (t) => {
    const mistakes: [string[], RegExp][] = [
      [['--client-tls-mode', 'require'], /TLS mode is enabled, but key\/cert files are not configured/],
      [
        clientFlags('require', { key: '/nowhere/server.key', cert: files.server.cert }),
        /client_tls_key_file.*\/nowhere\/server\.key/,
      ],
      [clientFlags('require', { key: files.client.key, cert: files.server.cert }), /not the key of the certificate/],
      [
        ['--server-tls-mode', 'verify-ca', '--server-tls-ca-file', '/nowhere/ca.crt'],
        /server_tls_ca_file.*\/nowhere\/ca\.crt/,
      ],
    ]
    for (const [args, words] of mistakes) {
      const { code, stderr } = await runPgbun(t, ['--listen-port', '0', '--listen-host', '127.0.0.1', ...args])
      t.equal(code, 1)
      t.match(stderr, words)
    }
  })
})

t.test('servers', async (t) => {
  const tlsOf = (pair: { certificate: string; key: string }) => ({
    cert: pair.certificate,
    key: pair.key,
    ca: ca.certificate,
  })
  const encrypted = await startPostgres(t, {
    tls: tlsOf(certificates.server),
    bootstrapSql: [
      "CREATE ROLE only_tls LOGIN PASSWORD 'postgres'",
      "CREATE ROLE no_tls LOGIN PASSWORD 'postgres'",
      "CREATE ROLE alice LOGIN PASSWORD 'postgres'",
    ],
    hba: [
      'hostssl all only_tls 127.0.0.1/32 scram-sha-256',
      'hostnossl all no_tls 127.0.0.1/32 scram-sha-256',
      'hostssl all alice 127.0.0.1/32 scram-sha-256 clientcert=verify-full',
      'host all postgres 127.0.0.1/32 scram-sha-256',
      'local all all trust',
    ],
  })
  const plain = await startPostgres(t)
  const elsewhere = await startPostgres(t, { tls: tlsOf(certificates.wrongHost) })
  const target = ({ host, port }: { host: string; port: number }) => ({ host, port })

  /** `true` or `false` for a server connection with and without TLS, or what the client is told. */
  async function reach(t: Test, server: { host: string; port: number }, args: string[], user = 'postgres') {
    const pgbun = await startPgbun(t, { target: target(server), args })
    try {
      const raw = await loginRaw(t, pgbun, { user })
      const [[ssl]] = (await raw.rows('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')) as [[string]]
      return ssl === 't'
    } catch (error) {
      return (error as LoginError).fields?.M ?? String(error)
    } finally {
      await pgbun.stop()
    }
  }
  const caFlag = (name: 'ca' | 'otherCa'): string[] => ['--server-tls-ca-file', path.join(dir, `${name}.crt`)]

  await t.test('server_tls_mode', async (t) => {
    const noEncryption = /no pg_hba.conf entry .*(no encryption|SSL off)/
    const cases: [string, string[], string | undefined, boolean | RegExp, boolean | RegExp][] = [
      // mode, more flags, user, a server with TLS, one without
      ['disable', [], undefined, false, false],
      ['allow', [], undefined, false, false],
      ['prefer', [], undefined, true, false],
      ['require', [], undefined, true, /does not support TLS/],
      ['verify-ca', caFlag('ca'), undefined, true, /does not support TLS/],
      ['verify-full', caFlag('ca'), undefined, true, /does not support TLS/],
      ['verify-ca', caFlag('otherCa'), undefined, /certificate/, /does not support TLS/],
      ['disable', [], 'only_tls', noEncryption, /./],
      ['allow', [], 'only_tls', true, /./],
      ['prefer', [], 'no_tls', false, /./],
    ]
    for (const [mode, flags, user, withTls, without] of cases) {
      const args = ['--server-tls-mode', mode, ...flags]
      const name = `${mode} ${flags.join(' ').replace(dir, '')} ${user ?? ''}`
      const check = (found: boolean | string, expected: boolean | RegExp, where: string): void => {
        if (typeof expected === 'boolean') t.equal(found, expected, `${name}: ${where}`)
        else t.match(found, expected, `${name}: ${where}`)
      }
      check(await reach(t, encrypted, args, user), withTls, 'a server with TLS')
      if (user === undefined) check(await reach(t, plain, args), without, 'a server without')
    }
  })

  await t.test('the name in the certificate', async (t) => {
    t.equal(await reach(t, elsewhere, ['--server-tls-mode', 'verify-ca', ...caFlag('ca')]), true)
    const full = await reach(t, elsewhere, ['--server-tls-mode', 'verify-full', ...caFlag('ca')])
    t.match(full, /127\.0\.0\.1/, 'verify-full names the host that was expected')
    t.match(full, /certificate/)
  })

  await t.test('a client certificate of pgbun', async (t) => {
    const own = ['--server-tls-key-file', files.client.key, '--server-tls-cert-file', files.client.cert]
    const args = ['--server-tls-mode', 'verify-full', ...caFlag('ca')]
    t.equal(await reach(t, encrypted, [...args, ...own], 'alice'), true)
    t.match(await reach(t, encrypted, args, 'alice'), /certificate/)
  })

  await t.test('direct TLS', { skip: encrypted.major < 17 ? 'PostgreSQL 17 and later' : false }, async (t) => {
    const direct = ['--server-tls-negotiation', 'direct']
    t.equal(await reach(t, encrypted, ['--server-tls-mode', 'verify-full', ...caFlag('ca'), ...direct]), true)
    t.match(await reach(t, plain, ['--server-tls-mode', 'require', ...direct]), /TLS|closed/)
  })

  await t.test('cancel requests take the same way', async (t) => {
    const args = ['--server-tls-mode', 'verify-full', ...caFlag('ca')]
    const pgbun = await startPgbun(t, { target: target(encrypted), args })
    const raw = await loginRaw(t, pgbun)
    raw.send(frontend.query('SELECT pg_sleep(600)'))
    await waitFor(
      async () => (await encrypted.query("SELECT 1 FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'")).length,
    )
    await cancel(t, pgbun, raw.session.pid, raw.session.secret)
    t.match(errorOf(await raw.readUntil('Z')), { C: '57014' })
  })

  await t.test('both sides at once', async (t) => {
    const args = [...clientFlags('require'), '--server-tls-mode', 'verify-full', ...caFlag('ca')]
    const pgbun = await startPgbun(t, { target: target(encrypted), poolMode: 'transaction', args: [...args] })
    const clients = await Promise.all(
      Array.from({ length: 10 }, () => pgbun.connect({ ssl: { ca: ca.certificate, servername: 'localhost' } })),
    )
    const answers = await Promise.all(clients.map((client, at) => client.query('SELECT $1::int AS value', [at])))
    t.same(
      answers.map(({ rows }) => rows[0].value),
      clients.map((_, at) => at),
    )
  })
})

t.test('unix sockets on both sides', async (t) => {
  const server = await startPostgres(t)
  const socketDir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-socket-'))
  t.teardown(() => rmSync(socketDir, { recursive: true, force: true }))
  const target = { host: server.socketDir!, port: server.port }
  const args = ['--unix-socket-dir', socketDir, ...clientFlags('require'), '--server-tls-mode', 'require']
  const pgbun = await startPgbun(t, { target, args })
  const socket = { path: path.join(socketDir, `.s.PGSQL.${pgbun.port}`) }
  const raw = await loginRaw(t, socket)
  t.same(await raw.rows('SELECT inet_client_addr() IS NULL'), [['t']], 'without TLS in any mode')
  raw.send(frontend.query('SELECT pg_sleep(600)'))
  await waitFor(
    async () => (await server.query("SELECT 1 FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'")).length,
  )
  await cancel(t, socket, raw.session.pid, raw.session.secret)
  t.match(errorOf(await raw.readUntil('Z')), { C: '57014' })
  t.same(await pgbun.stop(), { code: 0, signal: null })
  await t.rejects(loginRaw(t, socket), { code: 'ENOENT' }, 'the socket is gone with its server')
})
