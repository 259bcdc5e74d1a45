import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import t, { type Test } from 'tap'
import { isIdentClosed } from '../../../lib/net/ident-port.ts'
import { nameInServer } from '../../../lib/protocol/startup.ts'
import { ownMerit } from '../../../lib/server/own-merit.ts'
import { makeCertificates, writeCertificates } from '../../fixtures/certificates.ts'
import { cstring, frontend, int32, type Message, untyped } from '../../fixtures/messages.ts'
import { type Pgbun, startPgbun } from '../../fixtures/pgbun.ts'
import { startPostgres } from '../../fixtures/postgres.ts'
import { type Address, connectRaw, errorOf, loginRaw, rowsOf } from '../../fixtures/raw-client.ts'
import { waitFor } from '../../fixtures/wait.ts'

// With auth_type passthrough PostgreSQL may ask pgbun for no password: because of peer or trust on its unix socket,
// of a client certificate, of ident. That is what PostgreSQL knows of pgbun, and proves nothing of a client: any
// account of the machine became any user. Only trust on loopback says the same of both.
t.test('no client gets in on a proof that pgbun alone has given', async (t) => {
  const REFUSED = { code: '28000', fields: { S: 'FATAL', M: /cannot be authenticated/ } }

  const OPTION = '--allow-unproven-local-clients'

  await t.test('each way in which PostgreSQL asks pgbun for no password', async (t) => {
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

    await t.test(
      'peer and trust on the unix socket let nobody in',
      { skip: server.socketDir ? false : 'none' },
      async (t) => {
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
        await t.rejects(
          loginRaw(t, allowing, { user: 'alice', password: 'x' }),
          { code: '28P01' },
          'which opens no more',
        )
      },
    )

    await t.test('the client certificate of pgbun lets nobody in', async (t) => {
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

    await t.test('trust on loopback lets a client in, as it does without pgbun', async (t) => {
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
    await t.test('ident lets nobody in', { skip: listening ? false : 'port 113 of ::1 cannot be had' }, async (t) => {
      const pgbun = await start(t, '::1')
      await isRefused(t, pgbun, 'identified')
      await isRefused(t, pgbun, 'open')
      await pgbun.waitForLog(/user=identified.*ident port of ::1/)
      await isLetIn(t, await start(t, '::1', OPTION), 'identified')
      await new Promise((resolve) => ident.close(resolve))
      await isLetIn(t, await start(t, '::1'), 'open')
    })
  })

  await t.test('each connection says what PostgreSQL may know of pgbun by it', async (t) => {
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
})

// Startup packets may ask for more than their user may have: roles, parameters of superusers, another user, the same
// parameter twice. They get what they get on a direct connection, and no value is applied with greater rights.
t.test('a startup packet gives a user no more rights than on a direct connection', async (t) => {
  type Pairs = [name: string, value: string][]

  const NAMES = [
    'role',
    'is_superuser',
    'log_statement',
    'session_replication_role',
    'application_name',
    'a.b',
    'work_mem',
  ]

  const STATE = `SELECT current_user, session_user, current_database(), ${NAMES.map((name) => `NULLIF(current_setting('${name}', true), '')`)}`

  const as = (user: string, ...more: Pairs): Pairs => [['user', user], ['database', 'postgres'], ...more]

  const options = (...settings: string[]): [string, string] => [
    'options',
    settings.map((text) => `-c ${text}`).join(' '),
  ]

  const CASES: Record<string, Pairs> = {
    'nothing special': as('alice'),
    'a library to be loaded': as('alice', options('session_preload_libraries=auto_explain')),
    'the same, not in options': as('alice', ['session_preload_libraries', 'auto_explain']),
    'a role of which it is a member': as('alice', options('role=staff')),
    'the role, not in options': as('alice', ['role', 'staff']),
    'a role of which it is none': as('alice', options('role=postgres')),
    'none of which it is one': as('alice', ['role', 'none']),
    'a role that is not there': as('alice', ['role', 'nobody']),
    'a superuser of which it is a member': as('alice', ['role', 'boss']),
    'and what only superusers set': as('alice', ['role', 'boss'], ['log_statement', 'all']),
    'the other way round': as('alice', ['log_statement', 'all'], ['role', 'boss']),
    'in options': as('alice', options('role=boss', 'log_statement=all')),
    'another user': as('alice', options('session_authorization=postgres')),
    'another user, not in options': as('alice', ['session_authorization', 'postgres']),
    'another user of which it is a member': as('alice', ['session_authorization', 'staff']),
    'no such user': as('alice', ['session_authorization', 'nobody']),
    'a superuser as another user': as('postgres', ['session_authorization', 'alice']),
    'a superuser as another user, in options': as('postgres', options('session_authorization=alice')),
    'a superuser as another role': as('postgres', ['role', 'alice']),
    'as another role, with what only superusers set': as('postgres', ['role', 'alice'], ['log_statement', 'all']),
    'with what only superusers set, as another role': as('postgres', ['log_statement', 'all'], ['role', 'alice']),
    log_statement: as('alice', ['log_statement', 'all']),
    'log_statement in options': as('alice', options('log_statement=all')),
    'log_statement in another spelling': as('alice', ['LOG_Statement', 'all']),
    'with dashes': as('alice', ['options', '--log-statement=all']),
    'its default': as('alice', ['log_statement', 'none']),
    'of a superuser': as('postgres', ['log_statement', 'all']),
    'triggers off': as('alice', options('session_replication_role=replica')),
    'triggers off, a superuser': as('postgres', options('session_replication_role=replica')),
    'a fact': as('alice', ['is_superuser', 'on']),
    'another fact': as('alice', options('server_version=1')),
    'what the file sets': as('alice', ['shared_buffers', '1GB']),
    'what a reload sets': as('alice', ['log_min_messages', 'panic']),
    'what needs SIGHUP': as('alice', ['hba_file', '/tmp/x']),
    'what is not there': as('alice', ['no_such_parameter', '1']),
    'of an application': as('alice', ['a.b', 'c']),
    'a value that is none': as('alice', ['work_mem', 'much']),
    'the user twice, a superuser last': as('alice', ['user', 'postgres']),
    'the user twice, a superuser first': as('postgres', ['user', 'alice']),
    'the database twice': as('alice', ['database', 'template1']),
    'no database': [['user', 'alice']],
    'an empty database': [
      ['user', 'postgres'],
      ['database', ''],
    ],
    'an empty user': [['user', '']],
    'no user': [['database', 'postgres']],
    'a parameter twice': as('alice', ['application_name', 'one'], ['application_name', 'two']),
    'a parameter twice in options': as('alice', options('work_mem=1MB', 'work_mem=2MB')),
    'a space that is none to PostgreSQL, and an option behind it': as('alice', options('a.b=x\u00a0--work_mem=2MB')),
    'a byte order mark at the end of a value': as('alice', options('a.b=x\ufeff')),
    'a backslash at the end': as('alice', options('a.b=x\\')),
    'options twice': as('alice', options('work_mem=1MB'), options('a.b=x')),
    'options, then the parameter': as('alice', options('work_mem=1MB'), ['work_mem', '2MB']),
    'the parameter, then options': as('alice', ['work_mem', '2MB'], options('work_mem=1MB')),
    'role twice': as('alice', ['role', 'boss'], ['role', 'staff']),
    'role in another spelling': as('alice', ['ROLE', 'postgres']),
    'a zero byte in a value': as('alice', ['application_name', 'a\0log_statement\0all']),
    'a zero byte before a privileged value': as('alice', ['application_name', 'a\0role\0postgres']),
  }

  /** What is behind the pairs of a packet. */
  const ENDS: Record<string, Buffer> = {
    'no terminator': Buffer.alloc(0),
    'something behind the terminator': Buffer.concat([
      Buffer.alloc(1),
      cstring('user'),
      cstring('postgres'),
      Buffer.alloc(1),
    ]),
    'a name without a value': Buffer.concat([cstring('role'), Buffer.alloc(1)]),
  }

  /** What a packet gets: PostgreSQL's words, or the session it makes. */
  async function outcome(t: Test, address: Address, pairs: Pairs, end: Buffer = Buffer.alloc(1)): Promise<string> {
    const client = await connectRaw(t, address)
    const body = pairs.map(([name, value]) => Buffer.concat([cstring(name), cstring(value)]))
    client.send(untyped(int32(0x30000), ...body, end))
    try {
      for (;;) {
        const message = await client.readMessage()
        if (message.type === 'E') {
          const { S, C, M } = errorOf([message])
          return `${S} ${C} ${M}`
        }
        if (message.type === 'Z') break
      }
      client.send(frontend.query(STATE))
      const answer: Message[] = []
      do answer.push(await client.readMessage())
      while (!['E', 'Z'].includes(answer.at(-1)!.type))
      return JSON.stringify(errorOf(answer).M ?? rowsOf(answer))
    } catch (error) {
      return String(error)
    } finally {
      client.destroy()
    }
  }

  const target = await startPostgres(t, {
    hba: ['host all all 127.0.0.1/32 trust', 'local all all trust'],
    bootstrapSql: [
      'CREATE ROLE alice LOGIN',
      'CREATE ROLE staff',
      'CREATE ROLE boss SUPERUSER',
      'GRANT staff, boss TO alice',
      'CREATE DATABASE alice',
    ],
  })
  for (const mode of ['session', 'transaction'] as const) {
    for (const authType of ['passthrough', 'trust']) {
      await t.test(`${mode}, ${authType}`, async (t) => {
        const args = ['--auth-type', authType]
        const pgbun = await startPgbun(t, { target, poolMode: mode, args })
        // Twice: what was accepted once is not asked for again.
        for (const time of ['first', 'again']) {
          for (const [what, pairs] of Object.entries(CASES)) {
            t.equal(await outcome(t, pgbun, pairs), await outcome(t, target, pairs), `${what}, ${time}`)
          }
        }
        for (const [what, end] of Object.entries(ENDS)) {
          t.equal(await outcome(t, pgbun, as('alice'), end), await outcome(t, target, as('alice'), end), what)
        }
        const clean = await outcome(t, pgbun, as('alice'))
        t.equal(clean, await outcome(t, target, as('alice')), 'and nothing of it is left')
        t.equal(await outcome(t, pgbun, as('postgres')), await outcome(t, target, as('postgres')))
      })
    }
  }
})

// PostgreSQL looks at 63 bytes of the name of a role or database. By a longer name the same role had pools, guesses
// and limits of its own: max_user_connections, max_db_connections and login_failure_delay did not hold.
t.test('a role under a name longer than 63 bytes is the same role to all limits', async (t) => {
  const ROLE = 'r'.repeat(63)

  const DATABASE = 'd'.repeat(63)

  await t.test('a login by a longer name', async (t) => {
    const target = await startPostgres(t, { bootstrapSql: [`CREATE ROLE ${ROLE} LOGIN REPLICATION PASSWORD 'secret'`] })
    await target.query(`CREATE DATABASE ${DATABASE}`)
    const as = (more: string, password = 'secret') => ({ user: ROLE + more, password, database: DATABASE })
    const direct = await loginRaw(t, target, as('more'))
    t.same(await direct.rows('SELECT session_user, current_database()'), [[ROLE, DATABASE]], 'as PostgreSQL has them')
    await direct.end()

    await t.test('shares the pool of the role', async (t) => {
      const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
      const pids = new Set<string | null>()
      for (const more of ['', 'x', 'yy']) {
        const client = await loginRaw(t, pgbun, { ...as(more), database: DATABASE + more })
        pids.add((await client.rows('SELECT pg_backend_pid()'))[0]![0]!)
      }
      t.equal(pids.size, 1)
      const walsender = await loginRaw(t, pgbun, { ...as('x'), parameters: { replication: 'database' } })
      t.same((await walsender.rows('SHOW work_mem')).length, 1)
      await walsender.end()
    })

    await t.test('shares the pause behind wrong passwords', async (t) => {
      const pgbun = await startPgbun(t, { target, args: ['--login-failure-delay', '1h'] })
      const refused: number[] = []
      const start = performance.now()
      for (let i = 0; i < 10; i++) {
        loginRaw(t, pgbun, as(String(i), 'wrong')).catch(() => refused.push(performance.now() - start))
      }
      // Three cost nothing; the pauses behind them, a quarter of a second and a half, are never shorter.
      await waitFor(() => refused.length >= 5)
      t.ok(refused[4]! > 740, `the fifth was looked at after ${refused[4]} ms`)
    })
  })

  await t.test('a name is cut off as PostgreSQL does it', async (t) => {
    for (const name of ['', 'a', 'a'.repeat(63), 'ä'.repeat(31), '\ufffd'.repeat(21)]) t.equal(nameInServer(name), name)
    t.equal(nameInServer('a'.repeat(64)), 'a'.repeat(63))
    t.equal(nameInServer(`a${'ä'.repeat(32)}`), `a${'ä'.repeat(31)}`)
    t.equal(nameInServer('\ufffd'.repeat(22)), '\ufffd'.repeat(21))
    t.equal(nameInServer('ä'.repeat(32)), 'ä'.repeat(32), 'cut within a character: PostgreSQL has no such name')
  })
})
