/**
 * auth_type passthrough where PostgreSQL asks pgbun for no password: by `peer` or `trust` on its unix socket, by a client
 * certificate, by `ident`. That is what PostgreSQL knows of pgbun, and proves nothing of a client: any account of the
 * machine became any user. Only `trust` on loopback says the same of both.
 */
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import t, { type Test } from 'tap'
import { isIdentClosed } from '../../lib/net/ident-port.ts'
import { ownMerit } from '../../lib/server/own-merit.ts'
import { makeCertificates, writeCertificates } from '../fixtures/certificates.ts'
import { type Pgbun, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const REFUSED = { code: '28000', fields: { S: 'FATAL', M: /cannot be authenticated/ } }
const OPTION = '--allow-unproven-local-clients'

t.test('a client without a proof', async (t) => {
  const certificates = makeCertificates()
  const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-proof-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const files = writeCertificates(dir, certificates)
  const account = os.userInfo().username
  const server = await startPostgres(t, {
    tls: {
      cert: certificates.server.certificate,
      key: certificates.server.key,
      ca: certificates.ca.certificate,
    },
    settings: { listen_addresses: '127.0.0.1,::1' },
    bootstrapSql: [
      'CREATE ROLE open LOGIN REPLICATION',
      'CREATE ROLE peered LOGIN REPLICATION',
      'CREATE ROLE certified LOGIN REPLICATION',
      'CREATE ROLE shown LOGIN REPLICATION',
      'CREATE ROLE identified LOGIN REPLICATION',
      "CREATE ROLE alice LOGIN REPLICATION PASSWORD 'wonderland'",
    ],
    hba: [
      ...['all', 'replication'].flatMap((database) => [
        `local ${database} peered peer map=everybody`,
        `local ${database} alice scram-sha-256`,
        `local ${database} all trust`,
        `host ${database} open 127.0.0.1/32 trust`,
        `hostssl ${database} certified 127.0.0.1/32 cert map=everybody`,
        `hostssl ${database} shown 127.0.0.1/32 trust clientcert=verify-ca`,
        `host ${database} identified ::1/128 ident map=everybody`,
        `host ${database} open ::1/128 trust`,
      ]),
      'host all all 127.0.0.1/32 scram-sha-256',
    ],
  })
  const map = ['peered', 'certified', 'identified'].flatMap((role) => [
    `everybody ${account} ${role}`,
    `everybody alice ${role}`,
  ])
  appendFileSync(path.join(server.dataDir, 'pg_ident.conf'), `${map.join('\n')}\n`)
  await server.query('SELECT pg_reload_conf()')
  const start = (t: Test, host: string, ...args: string[]): Promise<Pgbun> =>
    startPgbun(t, { target: { host, port: server.port }, args: ['-v', ...args] })
  const ways: Record<string, string>[] = [{}, { replication: 'database' }, { replication: 'true' }]
  /** PostgreSQL has no connection of `user`. */
  const left = (user: string): Promise<unknown> =>
    waitFor(async () => {
      const sql = `SELECT 1 FROM pg_stat_activity WHERE usename = $1 AND backend_type IN ('client backend', 'walsender') AND pid <> pg_backend_pid()`
      return (await server.query(sql, [user])).length === 0
    })

  async function isRefused(t: Test, pgbun: Pgbun, user: string): Promise<void> {
    for (const parameters of ways) {
      const why = `${user} ${JSON.stringify(parameters)}`
      await t.rejects(loginRaw(t, pgbun, { user, parameters }), REFUSED, why)
      await t.rejects(loginRaw(t, pgbun, { user, parameters }), REFUSED, `${why}, once more`)
      await t.rejects(loginRaw(t, pgbun, { user, parameters, password: '' }), REFUSED)
    }
    await left(user)
  }

  async function isLetIn(t: Test, pgbun: Pgbun, user: string, password?: string): Promise<void> {
    for (const parameters of ways.slice(0, 2)) {
      const client = await loginRaw(t, pgbun, { user, parameters, password })
      t.same(await client.rows('SELECT current_user'), [[user]], `${user} ${JSON.stringify(parameters)}`)
      await client.end()
    }
  }

  await t.test('on the unix socket: peer and trust', { skip: server.socketDir ? false : 'none' }, async (t) => {
    const pgbun = await start(t, server.socketDir!)
    await isRefused(t, pgbun, 'peered')
    await isRefused(t, pgbun, 'open')
    await isRefused(t, pgbun, 'postgres')
    await pgbun.waitForLog(/user=peered.*unix socket.*peer.*remedy=.*allow_unproven_local_clients/)
    await isLetIn(t, pgbun, 'alice', 'wonderland')
    await t.rejects(loginRaw(t, pgbun, { user: 'alice', password: 'x' }), { code: '28P01' })
    const allowing = await start(t, server.socketDir!, OPTION)
    await allowing.waitForLog(/allow_unproven_local_clients: where PostgreSQL asks/)
    await isLetIn(t, allowing, 'peered')
    await isLetIn(t, allowing, 'open')
    await t.rejects(loginRaw(t, allowing, { user: 'alice', password: 'x' }), { code: '28P01' }, 'which opens no more')
  })

  await t.test('by a client certificate', async (t) => {
    const { cert, key } = files.client
    const tls = ['--server-tls-mode', 'require', '--server-tls-cert-file', cert, '--server-tls-key-file', key]
    const pgbun = await start(t, '127.0.0.1', ...tls)
    for (const user of ['certified', 'shown', 'open']) await isRefused(t, pgbun, user)
    await pgbun.waitForLog(/user=certified.*server_tls_cert_file/)
    await isLetIn(t, pgbun, 'alice', 'wonderland')
    const allowing = await start(t, '127.0.0.1', ...tls, OPTION)
    for (const user of ['certified', 'shown', 'open']) await isLetIn(t, allowing, user)
    const plain = await start(t, '127.0.0.1', ...tls.with(1, 'allow'))
    await isLetIn(t, plain, 'open')
  })

  await t.test('trust on loopback, where it gets in without pgbun, too', async (t) => {
    const pgbun = await start(t, '127.0.0.1')
    t.match(pgbun.logs(), /where PostgreSQL asks for no password, clients of this machine get in without one/)
    for (let count = 0; count < 2; count++) await isLetIn(t, pgbun, 'open')
    await pgbun.waitForLog(/no password here, so every account of this machine.*user=open.*remedy=/)
    t.equal(pgbun.logs().match(/so every account of this machine/g)?.length, 1, 'said once')
    await isLetIn(t, pgbun, 'alice', 'wonderland')
    t.notMatch((await start(t, '127.0.0.1', '--auth-type', 'trust')).logs(), /asks for no password/)
  })

  // An ident server answers at the address that the connection comes from; ::1, so that nothing else notices it.
  const ident = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (data) => socket.end(`${String(data).trim()} : USERID : UNIX : ${account}\r\n`))
  })
  const listening = await new Promise<boolean>((resolve) => {
    ident.once('error', () => resolve(false))
    ident.listen(113, '::1', () => resolve(true))
  })
  t.teardown(() => void ident.close())
  await t.test('by ident', { skip: listening ? false : 'port 113 of ::1 cannot be had' }, async (t) => {
    const pgbun = await start(t, '::1')
    await isRefused(t, pgbun, 'identified')
    await isRefused(t, pgbun, 'open')
    await pgbun.waitForLog(/user=identified.*ident port of ::1/)
    await isLetIn(t, await start(t, '::1', OPTION), 'identified')
    await new Promise((resolve) => ident.close(resolve))
    await isLetIn(t, await start(t, '::1'), 'open')
  })
})

t.test('what PostgreSQL may know of pgbun', async (t) => {
  const way = { unix: false, certificate: false, remoteAddress: '127.0.0.1', localAddress: '127.0.0.1' }
  t.match(await ownMerit({ ...way, unix: true, remoteAddress: '/tmp', localAddress: undefined }), /unix socket/)
  t.match(await ownMerit({ ...way, certificate: true }), /certificate/)
  for (const remoteAddress of ['192.0.2.1', '::ffff:192.0.2.1', '2001:db8::1', '0.0.0.0', '']) {
    t.match(await ownMerit({ ...way, remoteAddress }), /not reached by a loopback/, remoteAddress)
  }
  for (const localAddress of ['192.0.2.1', '2001:db8::1', undefined]) {
    t.match(await ownMerit({ ...way, localAddress }), /does not see a loopback/)
  }
  const listener = createServer()
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const { port } = listener.address() as { port: number }
  t.equal(await isIdentClosed('127.0.0.1', port), false)
  await new Promise((resolve) => listener.close(resolve))
  t.equal(await isIdentClosed('127.0.0.1', port), true)
})
