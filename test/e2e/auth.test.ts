/**
 * Authentication with secrets of auth_file: every auth_type with every kind of secret, up to a query; wrong passwords
 * and unknown users that cannot be told apart; channel binding. Protocol chapter "SASL Authentication", RFC 5802, 5929.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import t, { type Test } from 'tap'
import { tlsServerEndPoint } from '../../lib/auth/cert-hash.ts'
import { SCRAM, SCRAM_PLUS, ScramClient } from '../../lib/auth/scram.ts'
import { ScramKeyCache } from '../../lib/auth/scram-keys.ts'
import { makeCertificates, writeCertificates } from '../fixtures/certificates.ts'
import { frontend, type Message, message, parse } from '../fixtures/messages.ts'
import { type Pgbun, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { connectRaw, loginRaw, type RawClient, typesOf } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const WHO = 'SELECT current_user'

t.test('auth_file', async (t) => {
  const server = await startPostgres(t, {
    bootstrapSql: [
      "CREATE ROLE alice LOGIN PASSWORD 'alice''s ''secret'' ü'",
      "CREATE ROLE carol LOGIN PASSWORD 'carol'",
      `CREATE ROLE token LOGIN PASSWORD '${'t'.repeat(900)}'`,
      "SET password_encryption = 'md5'",
      "CREATE ROLE bob LOGIN PASSWORD 'bob'",
    ],
    hba: [
      'host all bob 127.0.0.1/32 md5',
      'host all token 127.0.0.1/32 password',
      'host all all 127.0.0.1/32 scram-sha-256',
      'local all all trust',
    ],
  })
  const secretOf = async (role: string): Promise<string> =>
    (await server.query('SELECT rolpassword FROM pg_authid WHERE rolname = $1', [role]))[0].rolpassword
  const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-auth-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const authFile = path.join(dir, 'users.txt')
  const lines = [
    ';users of the tests',
    `"alice" "alice's 'secret' ü"`,
    `"bob" "${await secretOf('bob')}"`,
    `"carol" "${await secretOf('carol')}" "ignored"`,
    `"token" "${'t'.repeat(900)}"`,
    '"empty" ""',
  ]
  writeFileSync(authFile, `${lines.join('\n')}\n`)
  const passwords: Record<string, string> = {
    alice: "alice's 'secret' ü",
    bob: 'bob',
    carol: 'carol',
    token: 't'.repeat(900),
  }
  const start = (t: Test, authType: string, ...args: string[]): Promise<Pgbun> =>
    startPgbun(t, { target: server, args: ['--auth-type', authType, '--auth-file', authFile, '-v', ...args] })

  // Code of the Authentication request that each user gets: 0 none, 3 cleartext, 5 md5, 10 SASL.
  const table: Record<string, Record<string, number>> = {
    trust: { alice: 0, bob: 0, token: 0 },
    plain: { alice: 3, bob: 3, carol: 3, token: 3 },
    md5: { alice: 5, bob: 5, carol: 10, token: 5 },
    'scram-sha-256': { alice: 10, carol: 10, token: 10 },
  }
  for (const [authType, users] of Object.entries(table)) {
    await t.test(`auth_type ${authType}`, async (t) => {
      const pgbun = await start(t, authType)
      for (const [user, request] of Object.entries(users)) {
        const client = await loginRaw(t, pgbun, { user, password: passwords[user] })
        const first = client.session.messages.find(({ type }) => type === 'R')
        t.equal(first!.body.readInt32BE(0), request, `${user} is asked as expected`)
        t.same(await client.rows(WHO), [[user]], `and reaches PostgreSQL as ${user}`)
        const again = await loginRaw(t, pgbun, { user, password: passwords[user] })
        t.same(await again.rows(WHO), [[user]])
        if (request !== 0) {
          const attempt = loginRaw(t, pgbun, { user, password: 'wrong' })
          await t.rejects(attempt, { code: '28P01', fields: { S: 'FATAL' } }, `${user} with a wrong password`)
        }
      }
      t.match(await connectAndFail(t, pgbun, 'nobody'), {
        S: 'FATAL',
        C: '28P01',
        M: 'password authentication failed for user "nobody"',
      })
      for (const secret of [passwords.alice!, await secretOf('bob'), await secretOf('carol'), 'ttttttttt'])
        t.notOk(pgbun.logs().includes(secret), 'no secret in the log')
    })
  }

  await t.test('a driver', async (t) => {
    for (const authType of ['plain', 'md5', 'scram-sha-256']) {
      const pgbun = await start(t, authType)
      const client = await pgbun.connect({ user: 'alice', password: passwords.alice })
      t.same((await client.query(WHO)).rows, [{ current_user: 'alice' }])
      await t.rejects(pgbun.connect({ user: 'alice', password: 'wrong' }), { code: '28P01' })
    }
  })

  await t.test('nobody can tell an unknown user from a wrong password', async (t) => {
    for (const authType of ['plain', 'md5', 'scram-sha-256']) {
      const pgbun = await start(t, authType)
      const known = authType === 'md5' ? 'bob' : 'alice'
      const shapes = new Set<string>()
      for (const user of [known, 'nobody', 'empty']) {
        for (const database of ['postgres', 'nowhere']) {
          const client = await connectRaw(t, pgbun)
          const error = await client.login({ user, password: 'wrong', database }).catch((error) => error)
          const rest = await client.expectClosed()
          const { M, ...fields } = error.fields
          shapes.add(JSON.stringify([fields, M.replace(user, 'USER'), typesOf(rest)]))
        }
      }
      t.equal(shapes.size, 1, `${authType}: ${[...shapes].join('\n')}`)
    }
  })

  await t.test('the SCRAM exchange with an unknown user looks real', async (t) => {
    const pgbun = await start(t, 'scram-sha-256')
    const challenges: string[] = []
    for (const user of ['nobody', 'nobody', 'somebody', 'carol']) {
      const client = await connectRaw(t, pgbun)
      client.send(frontend.startup({ user, database: 'postgres' }))
      t.same(parse.strings((await client.readMessage()).body.subarray(4)), [SCRAM, ''])
      client.send(frontend.saslInitial(SCRAM, 'n,,n=,r=abcdefghijklmnopqrstuvwx'))
      challenges.push((await client.readMessage()).body.toString('latin1', 4))
    }
    const salt = (challenge: string): string | undefined => challenge.match(/,s=([^,]+),i=4096$/)?.[1]
    t.ok(salt(challenges[0]!))
    t.equal(salt(challenges[1]!), salt(challenges[0]!), 'the same salt each time')
    t.not(salt(challenges[2]!), salt(challenges[0]!), 'another one for another name')
    t.equal(salt(challenges[2]!)!.length, salt(challenges[3]!)!.length)
  })

  await t.test('an unknown database is PostgreSQL’s to refuse, behind the password', async (t) => {
    const pgbun = await start(t, 'scram-sha-256')
    const login = { user: 'alice', password: passwords.alice, database: 'nowhere' }
    await t.rejects(loginRaw(t, pgbun, login), { code: '3D000' })
  })

  await t.test('a user whose kind of secret does not fit is refused, and the log says what to do', async (t) => {
    const pgbun = await start(t, 'scram-sha-256')
    await t.rejects(loginRaw(t, pgbun, { user: 'bob', password: 'bob' }), { code: '28P01' })
    await pgbun.waitForLog(/user=bob.*remedy=.*(SCRAM-SHA-256 verifier|md5)/)
  })

  await t.test('SIGHUP reads the file again', async (t) => {
    const file = path.join(dir, 'changing.txt')
    writeFileSync(file, '"alice" "alice\'s \'secret\' ü"\n')
    const pgbun = await startPgbun(t, { target: server, args: ['--auth-file', file] })
    const client = await loginRaw(t, pgbun, { user: 'alice', password: passwords.alice })
    await t.rejects(loginRaw(t, pgbun, { user: 'carol', password: 'carol' }), { code: '28P01' })
    writeFileSync(file, '"carol" "carol"\n')
    pgbun.signal('SIGHUP')
    await pgbun.waitForLog(/configuration reloaded/)
    t.same(await (await loginRaw(t, pgbun, { user: 'carol', password: 'carol' })).rows(WHO), [['carol']])
    await t.rejects(loginRaw(t, pgbun, { user: 'alice', password: passwords.alice }), { code: '28P01' })
    t.same(await client.rows(WHO), [['alice']], 'who is in stays in')
    writeFileSync(file, 'nonsense\n')
    pgbun.signal('SIGHUP')
    await pgbun.waitForLog(/changing\.txt/)
    t.same(await (await loginRaw(t, pgbun, { user: 'carol', password: 'carol' })).rows(WHO), [['carol']])
  })

  await t.test('SCRAM-SHA-256-PLUS', async (t) => {
    const certificates = makeCertificates()
    const files = writeCertificates(path.join(dir, 'tls'), certificates)
    for (const [name, { key, cert }] of Object.entries({ ecdsa: files.server, 'rsa with sha384': files.serverRsa })) {
      const tls = ['--client-tls-mode', 'require', '--client-tls-key-file', key, '--client-tls-cert-file', cert]
      const pgbun = await start(t, 'scram-sha-256', ...tls)
      const { der } = name === 'ecdsa' ? certificates.server : certificates.serverRsa
      const binding = tlsServerEndPoint(der)!
      const session = await scramLogin(t, pgbun, { mechanism: SCRAM_PLUS, binding })
      t.equal(typesOf(session).at(-1), 'Z', `${name}: bound to the certificate`)
      const plain = await scramLogin(t, pgbun, { mechanism: SCRAM })
      t.equal(typesOf(plain).at(-1), 'Z', 'without binding, as a client that cannot')
      for (const [what, options] of Object.entries({
        'bound to another certificate': { mechanism: SCRAM_PLUS, binding: Buffer.alloc(binding.length, 1) },
        'a downgrade by somebody in between': { mechanism: SCRAM, binding },
      })) {
        const refused = await scramLogin(t, pgbun, options)
        t.match(parse.fields(refused.at(-1)!.body), { S: 'FATAL', C: /^(28P01|08P01)$/ }, what)
      }
    }
  })
})

/** The error of a login. */
async function connectAndFail(t: Test, pgbun: Pgbun, user: string): Promise<Record<string, string>> {
  const error = await loginRaw(t, pgbun, { user, password: 'x' }).catch((error) => error)
  return error.fields ?? { unexpected: String(error) }
}

/** A login of alice over TLS with one mechanism; all that the server said. */
async function scramLogin(
  t: Test,
  pgbun: Pgbun,
  { mechanism, binding }: { mechanism: string; binding?: Buffer },
): Promise<Message[]> {
  const client: RawClient = await connectRaw(t, pgbun)
  await client.startTls()
  client.send(frontend.startup({ user: 'alice', database: 'postgres' }))
  const request = await client.readMessage()
  t.same(parse.strings(request.body.subarray(4)), [SCRAM_PLUS, SCRAM, ''])
  const scram = new ScramClient({
    mechanism,
    channelBinding: binding,
    password: "alice's 'secret' ü",
    keyCache: new ScramKeyCache(),
  })
  client.send(frontend.saslInitial(mechanism, scram.first().toString('latin1')))
  const challenge = await client.readMessage()
  if (challenge.type === 'E') return [request, challenge]
  const final = await scram.final(challenge.body.subarray(4))
  if (!final.ok) throw new Error(final.reason)
  client.send(message('p', final.data))
  const rest: Message[] = [request, challenge]
  await waitFor(async () => {
    rest.push(await client.readMessage())
    return rest.at(-1)!.type === 'Z' || rest.at(-1)!.type === 'E'
  })
  return rest
}
