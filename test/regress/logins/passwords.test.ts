import { createHash, createHmac } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import t, { type Test } from 'tap'
import { backend, frontend, parse } from '../../fixtures/messages.ts'
import { startPgbun } from '../../fixtures/pgbun.ts'
import { sharedPostgres } from '../../fixtures/postgres.ts'
import { connectRaw, loginRaw, type RawClient, typesOf } from '../../fixtures/raw-client.ts'
import type { ScriptedConnection } from '../../fixtures/scripted-postgres.ts'
import { waitFor } from '../../fixtures/wait.ts'
import { type Lab, startLab } from '../../wire/lab.ts'

const postgres = sharedPostgres(t, { bootstrapSql: ["CREATE ROLE alice LOGIN PASSWORD 'wonderland'"] })

/** On Linux all of 127.0.0.0/8 is this machine. */
const STRANGER = '127.0.0.2'
const skip = process.platform === 'linux' ? false : 'one loopback address'

// A stranger who guessed passwords kept others out: the attempts went on after the stranger had left, opened as many
// connections to PostgreSQL as there were made-up names, and stood in one queue with users who know their password.
// Guesses that were sent all at once were not held back either: none of them had failed when the others were looked
// at.
t.test('a user with the right password gets in while somebody guesses passwords', async (t) => {
  /** A server that asks for a password and answers it when `answer` lets it: `right` is the right one. */
  function startAsking(t: Test, options: Parameters<typeof startLab>[1] = {}) {
    const asked: { connection: ScriptedConnection; password: string }[] = []
    const state = { hold: true }
    const answer = ({ connection, password }: (typeof asked)[number]): void => {
      if (password === 'right') connection.greet()
      else connection.end(backend.error('28P01', 'password authentication failed', 'FATAL'))
    }
    const lab = startLab(t, {
      authType: 'passthrough',
      maxUnprovenLogins: 4,
      ...options,
      script: {
        onStartup: (connection) => connection.send(backend.authentication(3)),
        onMessage(connection, message) {
          if (message.type !== 'p') {
            connection.send(...(message.type === 'Q' ? [backend.commandComplete('SELECT 0'), backend.ready('I')] : []))
            return
          }
          const attempt = { connection, password: message.body.toString('latin1', 0, message.body.length - 1) }
          asked.push(attempt)
          if (!state.hold) answer(attempt)
        },
      },
    })
    return { lab, asked, state, answer }
  }

  /** Sends a password with its startup packet. */
  async function guess(t: Test, lab: Lab, user: string, password: string, localAddress?: string): Promise<RawClient> {
    const { port } = lab.pooler.address as { port: number }
    const client = await connectRaw(t, { port, localAddress })
    client.send(frontend.startup({ user, database: 'd' }), frontend.password(password))
    return client
  }

  await t.test('guesses and made-up users open no more than a few connections to PostgreSQL', async (t) => {
    const { lab: starting, asked } = startAsking(t)
    const lab = await starting
    const clients = await Promise.all(Array.from({ length: 20 }, (_, i) => guess(t, lab, `user ${i}`, 'x')))
    clients.push(...(await Promise.all(Array.from({ length: 20 }, (_, i) => guess(t, lab, 'alice', `guess ${i}`)))))
    // Two of four for one address, be it to ask whether there is a password at all, or for one.
    const open = (): number => lab.server.connections.filter(({ closed }) => !closed).length
    await waitFor(() => asked.length === 2)
    t.equal(open(), 2)
    for (const client of clients) client.destroy()
    await waitFor(() => lab.pooler.snapshot().clientCount === 0)
    const before = lab.server.connections.length
    for (const { connection } of asked) connection.end(backend.error('28P01', 'no', 'FATAL'))
    await waitFor(() => open() === 0)
    const late = await guess(t, lab, 'bob', 'x')
    await waitFor(() => asked.length === 3)
    t.ok(lab.server.connections.length <= before + 2, 'and none for those who have left')
    late.destroy()
  })

  await t.test('others get in at once while somebody guesses', { skip }, async (t) => {
    const { lab: starting, asked, state, answer } = startAsking(t, { passthroughTtl: 0, loginFailureDelay: 0 })
    const lab = await starting
    state.hold = false
    const { port } = lab.pooler.address as { port: number }
    const proven = await loginRaw(t, { port }, { user: 'alice', password: 'right' })
    await proven.end()
    state.hold = true
    const before = asked.length
    for (let i = 0; i < 12; i++) await guess(t, lab, i % 2 ? 'alice' : 'bob', `guess ${i}`, STRANGER)
    await waitFor(() => asked.length === before + 2)
    const first = loginRaw(t, { port, localAddress: '127.0.0.3' }, { user: 'bob', password: 'right' })
    const again = loginRaw(t, { port }, { user: 'alice', password: 'right' })
    const fromThere = loginRaw(t, { port, localAddress: STRANGER }, { user: 'alice', password: 'right' })
    await waitFor(() => asked.filter(({ password }) => password === 'right').length === 1 + 2)
    t.equal(asked.length, before + 4, 'nobody waits for the guesses, and two who know the same password ask once')
    for (const attempt of asked.slice(before + 2)) answer(attempt)
    await Promise.all([first, again, fromThere])
  })

  await t.test('guesses that wait until others are judged take no place of max_client_conn', { skip }, async (t) => {
    const PLACES = 9

    // More at a time than may be wrong for nothing: what makes the guesses wait is that those were not judged yet.
    const options = { maxClientConn: PLACES, maxUnprovenLogins: 20 }
    const { lab: starting, asked, state } = startAsking(t, options)
    const lab = await starting
    const { port } = lab.pooler.address as { port: number }
    const login = (): Promise<RawClient> => loginRaw(t, { port }, { user: 'alice', password: 'right' })
    state.hold = false
    const inside = [await login()]
    state.hold = true
    const strangers: RawClient[] = []
    for (let i = 0; i < 3; i++) strangers.push(await guess(t, lab, 'alice', `guess ${i}`, STRANGER))
    const judging = (): number => asked.filter(({ password }) => password !== 'right').length
    await waitFor(() => judging() === 3)
    for (let i = 3; i < 3 * PLACES; i++) strangers.push(await guess(t, lab, 'alice', `guess ${i}`, STRANGER))
    const closed = (): number => strangers.filter((stranger) => stranger.closed).length
    await waitFor(() => closed() === strangers.length - (PLACES - 1), { what: 'the oldest that wait to go' })
    while (inside.length < PLACES - 3) inside.push(await login())
    await waitFor(() => closed() === strangers.length - 3)
    t.equal(judging(), 3, 'only those keep a place that are judged')
    const last = await guess(t, lab, 'alice', 'right')
    t.match(await last.expectFatal(), { C: '53300' })
    for (const client of inside) t.same(await client.query('SELECT 1'), await inside[0]!.query('SELECT 1'))
  })

  await t.test('wrong passwords from one address make only that address wait', async (t) => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-guess-'))
    t.teardown(() => rmSync(dir, { recursive: true, force: true }))
    const target = await postgres.server()
    const authFile = path.join(dir, 'users.txt')
    const [{ rolpassword: verifier }] = await target.query("SELECT rolpassword FROM pg_authid WHERE rolname = 'alice'")
    const alice = { user: 'alice', password: 'wonderland' }
    for (const [authType, secret] of [
      ['passthrough', ''],
      ['scram-sha-256', verifier],
      ['scram-sha-256', 'wonderland'],
      ['md5', 'wonderland'],
      ['plain', verifier],
    ] as const) {
      await t.test(`${authType} ${secret.slice(0, 5)}`, { skip }, async (t) => {
        writeFileSync(authFile, `"alice" "${secret}"\n`, { mode: 0o600 })
        const file = authType === 'passthrough' ? [] : ['--auth-file', authFile]
        const args = ['--auth-type', authType, ...file, '--login-failure-delay', '1h']
        const pgbun = await startPgbun(t, { target, args, ...alice })
        const stranger = { port: pgbun.port, localAddress: STRANGER }
        const wrong = (address: { port: number; localAddress?: string }, user = 'alice'): Promise<unknown> =>
          loginRaw(t, address, { user, password: `wrong ${Math.random()}` }).catch((error) => error)
        for (const user of ['alice', 'nobody']) {
          // Behind so many the next pause is longer than this test; those that come late wait themselves.
          const refused: unknown[] = []
          for (let i = 0; i < 20; i++) void wrong(stranger, user).then((error) => refused.push(error))
          await waitFor(() => refused.length >= 3)
          t.match(refused[0], { code: '28P01' })
        }
        let answered = 0
        for (const user of ['alice', 'nobody', 'alice']) void wrong(stranger, user).then(() => answered++)
        for (let i = 0; i < 3; i++) {
          const client = await loginRaw(t, pgbun, alice)
          t.same(await client.rows('SELECT current_user'), [['alice']], 'from elsewhere alice gets in')
          await client.end()
        }
        await Promise.all(Array.from({ length: 10 }, () => loginRaw(t, pgbun, alice)))
        t.equal(answered, 0, 'while the guesses wait')
        // Somebody at her own address guesses, too.
        void Promise.all(Array.from({ length: 20 }, () => wrong(pgbun)))
        for (let i = 0; i < 3; i++) t.ok(await loginRaw(t, pgbun, alice), 'with the right password she does not wait')
      })
    }
  })

  await t.test('guesses that come all at once are held back, too', { skip }, async (t) => {
    const target = await postgres.server()
    const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-burst-'))
    t.teardown(() => rmSync(dir, { recursive: true, force: true }))
    const authFile = path.join(dir, 'users.txt')
    writeFileSync(authFile, '"alice" "wonderland"\n', { mode: 0o600 })
    const alice = { user: 'alice', password: 'wonderland' }
    for (const authType of ['passthrough', 'scram-sha-256', 'md5', 'plain']) {
      await t.test(authType, async (t) => {
        const file = authType === 'passthrough' ? ['--passthrough-ttl', '0'] : ['--auth-file', authFile]
        const args = ['--auth-type', authType, ...file, '--login-failure-delay', '1h']
        const pgbun = await startPgbun(t, { target, args, ...alice })
        const stranger = { port: pgbun.port, localAddress: STRANGER }
        const answered: number[] = []
        const start = performance.now()
        const guesses = Array.from({ length: 40 }, async (_, i) => {
          await loginRaw(t, stranger, { ...alice, password: `guess ${i}` }).catch(() => {})
          answered.push(performance.now() - start)
        })
        void Promise.all(guesses)
        await waitFor(() => answered.length >= 3 + 2)
        // The pauses are a quarter of a second, and a half: whatever the machine does, they are no shorter.
        t.ok(answered[4]! > 740, `the fifth was looked at after ${answered[4]} ms`)
        const many = await Promise.all(Array.from({ length: 20 }, () => loginRaw(t, pgbun, alice)))
        t.equal(many.length, 20, 'those who are right wait for no pause, where none was wrong')
        const others = Array.from({ length: 20 }, (_, i) => loginRaw(t, pgbun, { ...alice, password: `more ${i}` }))
        for (const other of others) other.catch(() => {})
        // What was proven is to be proven again by now.
        for (let i = 0; i < 3; i++) t.ok(await loginRaw(t, pgbun, alice), 'nor where she has logged in from before')
      })
    }
  })

  await t.test('alice gets in during a flood of guesses, and after it', { skip }, async (t) => {
    const target = await postgres.server()
    const pgbun = await startPgbun(t, { target, args: ['--max-client-conn', '50', '--no-log-connections'] })
    const alice = { user: 'alice', password: 'wonderland' }
    let flooding = true
    let guesses = 0
    const flood = Array.from({ length: 20 }, async () => {
      while (flooding) {
        const client = await connectRaw(t, { port: pgbun.port, localAddress: STRANGER })
        client.send(frontend.startup({ user: 'alice', database: 'postgres' }))
        client.send(frontend.password(`guess ${guesses++}`))
        await client.readMessage().catch(() => {})
        client.destroy()
      }
    })
    await waitFor(() => guesses > 300)
    t.ok(await loginRaw(t, pgbun, alice))
    await waitFor(() => guesses > 600)
    flooding = false
    await Promise.all(flood)
    await waitFor(async () => {
      const rows = await target.query(
        "SELECT 1 FROM pg_stat_activity WHERE usename = 'alice' AND state IS DISTINCT FROM 'idle'",
      )
      return rows.length === 0
    })
    t.ok(await loginRaw(t, pgbun, alice))
  })
})

// A login that was not gone on with held its place among max_client_conn for client_login_timeout: a stranger with
// that many connections, and no password, kept everybody else out.
t.test('a stranger whose logins do not go on takes no place of max_client_conn', { skip }, async (t) => {
  const PLACES = 6

  const target = await postgres.server()
  const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-tarry-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const authFile = path.join(dir, 'users.txt')
  writeFileSync(authFile, '"alice" "wonderland"\n', { mode: 0o600 })
  const alice = { user: 'alice', password: 'wonderland' }
  const scram = ['--auth-type', 'scram-sha-256', '--auth-file', authFile]
  const nothing = (): void => {}
  const plain = ['--auth-type', 'plain', '--auth-file', authFile, '--login-failure-delay', '1h']
  const ways: Record<string, [args: string[], send: (client: RawClient) => void]> = {
    'at the password': [[], nothing],
    'at the first message of SCRAM': [scram, nothing],
    'behind it': [scram, (client) => client.send(frontend.saslInitial('SCRAM-SHA-256', 'n,,n=,r=abcdefgh'))],
    'behind wrong passwords': [plain, (client) => client.send(frontend.password('guess'))],
  }
  for (const [way, [args, send]] of Object.entries(ways)) {
    await t.test(way, async (t) => {
      const limit = ['--max-client-conn', String(PLACES)]
      const pgbun = await startPgbun(t, { target, poolMode: 'transaction', args: [...limit, ...args] })
      const member = await loginRaw(t, pgbun, alice)
      // Where she has logged in from, wrong passwords are judged at once, and it is their answers that wait: behind so
      // many, for longer than this test. Elsewhere one is judged at the end of each pause, and has its place meanwhile.
      await (await loginRaw(t, { port: pgbun.port, localAddress: STRANGER }, alice)).end()
      const strangers: RawClient[] = []
      for (let i = 0; i < 2 * PLACES; i++) {
        const client = await connectRaw(t, { port: pgbun.port, localAddress: STRANGER })
        client.send(frontend.startup({ user: 'alice', database: 'postgres' }))
        send(client)
        strangers.push(client)
      }
      await waitFor(() => strangers.filter(({ closed }) => closed).length > PLACES, { what: 'the oldest to go' })
      const more = await alicesOwn(t, pgbun)
      t.same(await member.rows('SELECT 1'), [['1']], 'who was in stays')
      const last = await connectRaw(t, pgbun)
      last.send(frontend.startup({ user: 'alice', database: 'postgres' }))
      const { C, M } = await last.expectFatal()
      t.match({ C, M }, { C: '53300', M: /max_client_conn/ }, 'all places are taken by those who are in')
      for (const client of more) t.same(await client.rows('SELECT 2'), [['2']])
    })
  }

  async function alicesOwn(t: Test, address: { port: number }): Promise<RawClient[]> {
    const clients: RawClient[] = []
    for (let i = 1; i < PLACES; i++) clients.push(await loginRaw(t, address, alice))
    return clients
  }
})

// The exchange showed which names exist: by the kind of request, by the iterations of the secret, and by salts that
// changed with a restart.
t.test('a stranger cannot tell which names are in auth_file', async (t) => {
  /** A verifier of a password nobody knows. */
  function verifierOf(name: string, iterations: number, saltLength = 16): string {
    const key = (what: string): string => createHmac('sha256', name).update(what).digest('base64')
    const salt = createHash('sha512').update(name).digest().subarray(0, saltLength).toString('base64')
    return `SCRAM-SHA-256$${iterations}:${salt}$${key('stored')}:${key('server')}`
  }

  const ALICE = verifierOf('alice', 9000, 20)

  const LISTS: Record<string, string> = {
    verifiers: `"alice" "${ALICE}"\n"bob" "${verifierOf('bob', 9000, 20)}"\n"carol" "${verifierOf('carol', 4096)}"\n`,
    passwords: '"alice" "secret"\n"bob" "other"\n',
  }

  const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-names-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const authFile = path.join(dir, 'users.txt')
  const args = (authType: string): string[] => ['--auth-type', authType, '--auth-file', authFile]
  // Nobody gets as far as to need a server.
  const start = (t: Test, authType: string) =>
    startPgbun(t, { target: { host: '127.0.0.1', port: 1 }, args: args(authType) })

  /** What is shown to `user` on its way to a refusal, without what is random, and the salt of its secret. */
  async function shown(t: Test, port: number, user: string): Promise<{ shape: string; salt: string }> {
    const client = await connectRaw(t, { port })
    client.send(frontend.startup({ user, database: 'postgres' }))
    const request = (await client.readMessage()).body
    const code = request.readInt32BE(0)
    let salt = ''
    let shape = `${code} ${code === 10 ? parse.strings(request.subarray(4)) : request.length}`
    if (code === 10) {
      client.send(frontend.saslInitial('SCRAM-SHA-256', 'n,,n=,r=abcdefghijklmnopqrstuvwx'))
      const challenge = (await client.readMessage()).body.toString('latin1', 4)
      const [, nonce = '', found = '', iterations] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(challenge) ?? []
      salt = found
      shape += ` ${nonce.length} ${Buffer.from(found, 'base64').length} ${iterations}`
      client.send(frontend.saslResponse(`c=biws,r=${nonce},p=${Buffer.alloc(32).toString('base64')}`))
    } else client.send(frontend.password('wrong'))
    const rest = await client.expectClosed()
    const { M, ...fields } = parse.fields(rest.at(-1)!.body)
    return { shape: `${shape} ${typesOf(rest)} ${JSON.stringify({ ...fields, M: M!.replace(user, 'USER') })}`, salt }
  }

  for (const [kind, list] of Object.entries(LISTS)) {
    for (const authType of ['plain', 'md5', 'scram-sha-256']) {
      await t.test(`${kind}, ${authType}`, async (t) => {
        writeFileSync(authFile, list, { mode: 0o600 })
        const salts: string[] = []
        for (const run of ['first', 'after a restart']) {
          const pgbun = await start(t, authType)
          const alice = await shown(t, pgbun.port, 'alice')
          const [nobody, somebody] = [await shown(t, pgbun.port, 'nobody'), await shown(t, pgbun.port, 'somebody')]
          t.equal(nobody.shape, alice.shape, run)
          t.equal(somebody.shape, alice.shape)
          if (alice.salt !== '') {
            t.equal(new Set([alice.salt, nobody.salt, somebody.salt]).size, 3)
            t.equal((await shown(t, pgbun.port, 'nobody')).salt, nobody.salt, 'the same each time')
          }
          salts.push(`${alice.salt} ${nobody.salt} ${somebody.salt}`)
          writeFileSync(authFile, `${list}"dora" "new"\n`, { mode: 0o600 })
          pgbun.signal('SIGHUP')
          await pgbun.waitForLog(/configuration reloaded/)
          t.equal((await shown(t, pgbun.port, 'nobody')).salt, nobody.salt, 'and after another user was added')
          await pgbun.stop()
        }
        t.equal(salts[1], salts[0], 'salts do not tell who exists, over a restart either')
      })
    }
  }

  await t.test('with scram_salt_secret the salts of two machines are the same', async (t) => {
    writeFileSync(authFile, LISTS.passwords!, { mode: 0o600 })
    const saltWith = async (secret: string): Promise<string> => {
      const env = { PGBUN_SCRAM_SALT_SECRET: secret }
      const pgbun = await startPgbun(t, { target: { host: '127.0.0.1', port: 1 }, args: args('scram-sha-256'), env })
      const { salt } = await shown(t, pgbun.port, 'nobody')
      t.notMatch(pgbun.logs(), /one secret|another/)
      await pgbun.stop()
      return salt
    }
    t.equal(await saltWith('one secret'), await saltWith('one secret'))
    t.not(await saltWith('one secret'), await saltWith('another'))
  })
})
