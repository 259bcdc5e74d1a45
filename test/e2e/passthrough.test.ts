/**
 * auth_type passthrough: PostgreSQL is the judge of every password, asked as seldom as is safe. What is looked at is
 * PostgreSQL's own log: each connection it received, and whom it let in.
 */
import os from 'node:os'
import t, { type Test } from 'tap'
import { type Pgbun, type PgbunOptions, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { connectRaw, loginRaw } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const ALICE = { user: 'alice', password: 'wonderland' }

t.test('passthrough', async (t) => {
  const server = await startPostgres(t, {
    settings: { log_connections: 'on' },
    bootstrapSql: [
      "CREATE ROLE alice LOGIN PASSWORD 'wonderland'",
      "CREATE ROLE plain LOGIN PASSWORD 'plain'",
      'CREATE ROLE open LOGIN',
      "SET password_encryption = 'md5'",
      "CREATE ROLE md LOGIN PASSWORD 'md'",
    ],
    hba: [
      'host all open 127.0.0.1/32 trust',
      'host all plain 127.0.0.1/32 password',
      'host all md 127.0.0.1/32 md5',
      'host all all 127.0.0.1/32 scram-sha-256',
      'local all all trust',
    ],
  })
  const start = (t: Test, options: PgbunOptions = {}): Promise<Pgbun> =>
    startPgbun(t, { target: server, ...ALICE, ...options })
  /** How many connections PostgreSQL let in as this user. */
  const letIn = (user: string): number => server.logs().match(new RegExp(`authorized: user=${user} `, 'g'))?.length ?? 0
  /** Wait until everything that happened so far is in the log of PostgreSQL. */
  let marks = 0
  const settle = async (): Promise<void> => {
    const mark = `mark ${++marks}`
    await server.query(`DO $$ BEGIN RAISE LOG '${mark}'; END $$`)
    await server.waitForLog(new RegExp(mark))
  }

  await t.test('the first login is proven by PostgreSQL, the second from memory', async (t) => {
    const pgbun = await start(t, { args: ['-v'] })
    await settle()
    const before = letIn('alice')
    await loginRaw(t, pgbun, ALICE)
    await settle()
    t.equal(letIn('alice'), before + 1)
    const second = await loginRaw(t, pgbun, ALICE)
    t.same(await second.rows('SELECT current_user'), [['alice']])
    await settle()
    t.equal(letIn('alice'), before + 1, 'and the connection that proved it serves the pool')
    t.notMatch(pgbun.logs(), /wonderland/, 'the password is in no log line')
  })

  await t.test('a wrong password is tried with PostgreSQL each time', async (t) => {
    const pgbun = await start(t)
    await loginRaw(t, pgbun, ALICE)
    const failures = (): number => server.logs().match(/password authentication failed for user "alice"/g)?.length ?? 0
    await settle()
    const before = failures()
    for (const password of ['wrong', 'wrong', '', `${ALICE.password} `, 'Wonderland']) {
      await t.rejects(loginRaw(t, pgbun, { ...ALICE, password }), {
        code: '28P01',
        fields: { S: 'FATAL', M: 'password authentication failed for user "alice"' },
      })
    }
    await settle()
    t.ok(failures() >= before + 4, 'PostgreSQL has refused them itself')
    await t.rejects(loginRaw(t, pgbun, { user: 'nobody', password: 'x' }), {
      code: '28P01',
      fields: { M: 'password authentication failed for user "nobody"' },
    })
    await t.rejects(pgbun.connect({ password: 'wrong' }), { code: '28P01' })
    t.same(await (await loginRaw(t, pgbun, ALICE)).rows('SELECT 1'), [['1']], 'the right one works as before')
  })

  await t.test('every method PostgreSQL can ask with', async (t) => {
    const pgbun = await start(t)
    for (const user of ['alice', 'md', 'plain']) {
      const password = user === 'alice' ? ALICE.password : user
      const client = await loginRaw(t, pgbun, { user, password })
      t.same(await client.rows('SELECT current_user'), [[user]])
      await t.rejects(loginRaw(t, pgbun, { user, password: 'wrong' }), { code: '28P01' })
    }
  })

  await t.test('many logins at once are proven once', async (t) => {
    const pgbun = await start(t)
    await settle()
    const before = letIn('alice')
    await Promise.all(Array.from({ length: 40 }, () => loginRaw(t, pgbun, ALICE)))
    await settle()
    t.equal(letIn('alice'), before + 1, 'the connection that proved it serves the pool')
  })

  await t.test('a changed password: the new one at once, the old one no longer than passthrough_ttl', async (t) => {
    const pgbun = await start(t, { poolMode: 'transaction', args: ['--passthrough-ttl', '400ms'] })
    const early = await loginRaw(t, pgbun, ALICE)
    await server.query("ALTER ROLE alice PASSWORD 'looking glass'")
    const changed = { ...ALICE, password: 'looking glass' }
    t.same(await (await loginRaw(t, pgbun, changed)).rows('SELECT 1'), [['1']], 'the new one')
    await waitFor(async () => {
      const error = await loginRaw(t, pgbun, ALICE).catch((error) => error)
      return error.code === '28P01'
    })
    t.same(await (await loginRaw(t, pgbun, changed)).rows('SELECT 1'), [['1']], 'the old one does not spoil the new')
    t.same(await early.rows('SELECT 1'), [['1']], 'who is in stays in')
    await server.query("ALTER ROLE alice PASSWORD 'wonderland'")
  })

  await t.test('a revoked user, an expired password', async (t) => {
    const pgbun = await start(t, { args: ['--passthrough-ttl', '300ms'] })
    const revocations = {
      'ALTER ROLE alice NOLOGIN': 'ALTER ROLE alice LOGIN',
      "ALTER ROLE alice VALID UNTIL '2020-01-01'": "ALTER ROLE alice VALID UNTIL 'infinity'",
    }
    for (const [revoke, restore] of Object.entries(revocations)) {
      await loginRaw(t, pgbun, ALICE)
      await server.query(revoke)
      const error = await waitFor(async () => {
        // Each leaves at once: until the proof is too old, as many get in as there is time for.
        const result = await loginRaw(t, pgbun, ALICE).then(
          (client) => client.end(),
          (error) => error,
        )
        return result instanceof Error ? (result as Error & { code: string }) : undefined
      })
      t.match(error, { code: /^28(000|P01)$/ }, revoke)
      await server.query(restore)
      await waitFor(() => loginRaw(t, pgbun, ALICE))
    }
  })

  await t.test('passthrough_ttl 0 asks PostgreSQL every time', async (t) => {
    const pgbun = await start(t, { args: ['--passthrough-ttl', '0'] })
    await loginRaw(t, pgbun, ALICE)
    await settle()
    const before = letIn('alice')
    await loginRaw(t, pgbun, ALICE)
    await loginRaw(t, pgbun, ALICE)
    await settle()
    t.ok(letIn('alice') >= before + 2)
  })

  await t.test('a full pool lets logins in, and a login does not grow it', async (t) => {
    const pgbun = await start(t, { poolMode: 'transaction', poolSize: 1, args: ['--passthrough-ttl', '0'] })
    const holder = await loginRaw(t, pgbun, ALICE)
    await holder.query('BEGIN')
    for (let count = 0; count < 3; count++) await loginRaw(t, pgbun, ALICE)
    await waitFor(async () => {
      const rows = await server.query("SELECT 1 FROM pg_stat_activity WHERE usename = 'alice'")
      return rows.length === 1
    })
    t.same(await holder.rows('SELECT 1'), [['1']])
  })

  await t.test('where PostgreSQL asks for no password, clients of this machine get in without one', async (t) => {
    const pgbun = await start(t)
    for (const password of ['', 'anything']) {
      const client = await loginRaw(t, pgbun, { user: 'open', password })
      const asked = client.session.messages.filter(({ type }) => type === 'R').map(({ body }) => body.readInt32BE(0))
      t.same(asked, [0], 'no password is asked for')
      t.same(await client.rows('SELECT current_user'), [['open']])
    }
  })

  const own = Object.values(os.networkInterfaces())
    .flatMap((list) => list ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address
  await t.test('clients from elsewhere', { skip: own ? false : 'this machine has no other address' }, async (t) => {
    const from = (pgbun: Pgbun) => ({ host: own!, port: pgbun.port })
    const listen = ['--listen-host', `127.0.0.1,${own}`]
    const received = (): number => server.logs().match(/connection received/g)!.length
    await settle()
    const earlier = received()
    const pgbun = await start(t, { args: listen })
    await waitFor(() => received() === earlier + 1, { what: 'the look at the start whether PostgreSQL is there' })
    await t.rejects(loginRaw(t, from(pgbun), { user: 'open' }), { code: '28000', fields: { M: /cleartext/ } })
    await settle()
    t.equal(received(), earlier + 2, 'PostgreSQL was asked by settle alone')
    t.ok(await loginRaw(t, pgbun, { user: 'open' }), 'while one of this machine gets in')
    await t.rejects(loginRaw(t, from(pgbun), { user: 'open' }), { code: '28000' }, 'also not after that')
    const cleartext = await connectRaw(t, from(pgbun))
    await t.rejects(cleartext.login(ALICE), { code: '28000', fields: { M: /cleartext/ } })
    await pgbun.waitForLog(/cleartext.*remedy=.*client_tls_mode/)
    const encrypted = await connectRaw(t, from(pgbun))
    await encrypted.startTls()
    await encrypted.login(ALICE)
    t.same(await encrypted.rows('SELECT current_user'), [['alice']], 'with a certificate nobody has configured')
    const other = await connectRaw(t, from(pgbun))
    await other.startTls()
    await t.rejects(other.login({ user: 'open' }), { code: '28000' }, 'which proves nobody who is not asked')
    const disabled = await start(t, { args: [...listen, '--client-tls-mode', 'disable'] })
    t.equal(await (await connectRaw(t, from(disabled))).requestTls(), 'N')

    const allowing = await start(t, { args: [...listen, '--allow-cleartext-password'] })
    t.same(await (await loginRaw(t, from(allowing), ALICE)).rows('SELECT current_user'), [['alice']])
    await t.rejects(
      loginRaw(t, from(allowing), { user: 'open' }),
      { code: '28000', fields: { S: 'FATAL', M: /user "open" cannot be authenticated/ } },
      'which opens no other door',
    )
    await allowing.waitForLog(/user=open.*remedy=.*(pg_hba\.conf|auth_file)/)
    t.ok(await loginRaw(t, allowing, { user: 'open' }), 'while one of this machine gets in')
    await t.rejects(loginRaw(t, from(allowing), { user: 'open' }), { code: '28000' }, 'also not after that')
  })
})
