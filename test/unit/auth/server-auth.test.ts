import { randomBytes } from 'node:crypto'
import t from 'tap'
import { createClientAuth } from '../../../lib/auth/client-auth.ts'
import type { Credentials } from '../../../lib/auth/credentials.ts'
import { md5Response, md5Secret } from '../../../lib/auth/md5.ts'
import { decodePassword } from '../../../lib/auth/password-text.ts'
import { SCRAM, SCRAM_PLUS } from '../../../lib/auth/scram.ts'
import { ScramKeyCache } from '../../../lib/auth/scram-keys.ts'
import { createServerAuth, type ServerAuthOptions } from '../../../lib/auth/server-auth.ts'
import type { Secret } from '../../../lib/config/userlist.ts'

const keyCache = new ScramKeyCache()
const PASSWORD: Credentials = { kind: 'password', password: 'pencil' }
const HASH: Credentials = { kind: 'md5', hash: md5Secret('ann', 'pencil') }
const NOTHING = Buffer.alloc(0)

function login(options: Partial<ServerAuthOptions> = {}) {
  return createServerAuth({ user: 'ann', credentials: PASSWORD, keyCache, allowCleartext: true, ...options })
}

const mechanisms = (...names: string[]) => Buffer.from(`${names.map((name) => `${name}\0`).join('')}\0`)

t.test('trust: nothing is asked and that is known', (t) => {
  for (const credentials of [PASSWORD, { kind: 'none' } as const]) {
    const auth = login({ credentials })
    t.same(auth.onRequest(0, NOTHING), { type: 'none' })
    t.equal(auth.askedForPassword, false)
    t.equal(auth.authenticated, true)
  }
  t.end()
})

t.test('cleartext', (t) => {
  const auth = login()
  t.same(auth.onRequest(3, NOTHING), { type: 'send', payload: Buffer.from('pencil\0') })
  t.equal(auth.askedForPassword, true)
  t.equal(auth.authenticated, false)
  t.same(auth.onRequest(0, NOTHING), { type: 'none' })
  t.equal(auth.authenticated, true)
  t.match(login({ allowCleartext: false }).onRequest(3, NOTHING), { type: 'failed', remedy: /server_tls_mode/ })
  t.match(login({ credentials: HASH }).onRequest(3, NOTHING), { type: 'failed', reason: /only an md5 hash/ })
  const bytes = login({ credentials: { kind: 'password', password: decodePassword(Buffer.from([0xe4, 0x41])) } })
  t.same(bytes.onRequest(3, NOTHING), { type: 'send', payload: Buffer.from([0xe4, 0x41, 0]) })
  t.end()
})

t.test('md5, from a password and from a hash', (t) => {
  const salt = randomBytes(4)
  const payload = Buffer.from(`${md5Response(md5Secret('ann', 'pencil'), salt)}\0`)
  t.same(login().onRequest(5, salt), { type: 'send', payload })
  t.same(login({ credentials: HASH }).onRequest(5, salt), { type: 'send', payload })
  t.match(login().onRequest(5, randomBytes(3)), { type: 'failed', reason: /salt/ })
  t.match(login().onRequest(5, randomBytes(5)), { type: 'failed', reason: /salt/ })
  t.end()
})

/** A SCRAM login against our own server role. */
async function scramLogin(o: {
  credentials?: Credentials
  secret?: Secret
  binding?: Buffer
  serverBinding?: Buffer
  iterations?: number
}) {
  const server = createClientAuth({
    authType: 'scram-sha-256',
    user: 'ann',
    secret: o.secret ?? { kind: 'plain', password: 'pencil' },
    tlsEndPointHash: o.serverBinding,
    keyCache,
    scramIterations: o.iterations ?? 4096,
    unknownUser: { kind: 'md5', iterations: 4096, saltLength: 16, derives: false },
    cleartextAllowed: false,
  })
  const auth = login({ credentials: o.credentials ?? PASSWORD, tlsEndPointHash: o.binding })
  const request = server.start()
  if (request.type !== 'sasl') throw new Error('SASL expected')
  const first = await auth.onRequest(10, mechanisms(...request.mechanisms))
  if (first.type !== 'send') return { auth, end: first }
  const mechanism = first.payload.toString('latin1', 0, first.payload.indexOf(0))
  const challenge = await server.onPasswordMessage(first.payload)
  if (challenge.type !== 'sasl-continue') return { auth, mechanism, server: challenge }
  const final = await auth.onRequest(11, challenge.data)
  if (final.type !== 'send') return { auth, mechanism, end: final }
  const result = await server.onPasswordMessage(final.payload)
  if (result.type !== 'done') return { auth, mechanism, server: result, warning: final.warning }
  const end = await auth.onRequest(12, result.finalData!)
  return { auth, mechanism, end, server: result, warning: final.warning }
}

t.test('SCRAM, with and without channel binding', async (t) => {
  const hash = randomBytes(32)
  for (const [binding, serverBinding, mechanism] of [
    [undefined, undefined, SCRAM],
    [hash, hash, SCRAM_PLUS],
    [hash, undefined, SCRAM],
    [undefined, hash, SCRAM],
  ] as const) {
    const result = await scramLogin({ binding, serverBinding })
    t.same(result.end, { type: 'none' })
    t.equal(result.mechanism, mechanism)
    t.equal(result.warning, undefined)
    t.equal(result.auth.askedForPassword, true)
    t.equal(result.auth.authenticated, false)
    t.same(result.auth.onRequest(0, NOTHING), { type: 'none' })
    t.equal(result.auth.authenticated, true)
  }
})

t.test('SCRAM with the keys of a login of the client', async (t) => {
  const salt = randomBytes(16)
  const keys = await keyCache.keys('pencil', salt, 4096)
  const secret: Secret = { kind: 'scram', iterations: 4096, salt, storedKey: keys.storedKey, serverKey: keys.serverKey }
  const first = await scramLogin({ secret })
  if (first.server?.type !== 'done') throw new Error('login expected')
  const { credentials } = first.server
  t.equal(credentials.kind, 'scram-keys')
  t.same((await scramLogin({ secret, credentials })).end, { type: 'none' })
  t.match((await scramLogin({ credentials })).end, {
    type: 'failed',
    reason: /not the one in auth_file/,
    remedy: /pg_authid/,
  })
})

t.test('a weak iteration count is a warning, an absurd one a failure', async (t) => {
  t.match((await scramLogin({ iterations: 100 })).warning, /only 100 iterations/)
  const result = await scramLogin({
    secret: { kind: 'scram', iterations: 2147483647, salt: randomBytes(16), storedKey: NOTHING, serverKey: NOTHING },
  })
  t.match(result.end, { type: 'failed', reason: /2147483647 iterations/ })
})

t.test('a server that skips the proof of itself is an impostor', async (t) => {
  const begin = login()
  await begin.onRequest(10, mechanisms(SCRAM))
  t.match(begin.onRequest(0, NOTHING), { type: 'failed', reason: /without proving/ })
  t.equal(begin.authenticated, false)

  const afterProof = login()
  const first = await afterProof.onRequest(10, mechanisms(SCRAM))
  if (first.type !== 'send') throw new Error('initial response expected')
  const nonce = /r=(.*)$/.exec(first.payload.toString('latin1'))![1]!
  const challenge = Buffer.from(`r=${nonce}abc,s=${randomBytes(16).toString('base64')},i=4096`)
  t.equal((await afterProof.onRequest(11, challenge)).type, 'send')
  t.match(afterProof.onRequest(0, NOTHING), { type: 'failed', reason: /without proving/ })

  const wrongProof = login()
  const again = await wrongProof.onRequest(10, mechanisms(SCRAM))
  if (again.type !== 'send') throw new Error('initial response expected')
  const own = /r=(.*)$/.exec(again.payload.toString('latin1'))![1]!
  await wrongProof.onRequest(11, Buffer.from(`r=${own}abc,s=${randomBytes(16).toString('base64')},i=4096`))
  t.match(wrongProof.onRequest(12, Buffer.from(`v=${randomBytes(32).toString('base64')}`)), {
    type: 'failed',
    reason: /impostor/,
  })
  t.match(wrongProof.onRequest(0, NOTHING), { type: 'failed' })
})

t.test('requests out of order are refused', async (t) => {
  const cases: [string, [number, Buffer][]][] = [
    ['final first', [[12, Buffer.from('v=')]]],
    ['challenge first', [[11, Buffer.from('r=a,s=b,i=1')]]],
    [
      'two requests',
      [
        [5, randomBytes(4)],
        [3, NOTHING],
      ],
    ],
    [
      'cleartext after SCRAM has begun',
      [
        [10, mechanisms(SCRAM)],
        [3, NOTHING],
      ],
    ],
    [
      'SASL twice',
      [
        [10, mechanisms(SCRAM)],
        [10, mechanisms(SCRAM)],
      ],
    ],
    [
      'ok twice',
      [
        [0, NOTHING],
        [0, NOTHING],
      ],
    ],
    [
      'a request after ok',
      [
        [0, NOTHING],
        [3, NOTHING],
      ],
    ],
    [
      'ok after a failure',
      [
        [7, NOTHING],
        [0, NOTHING],
      ],
    ],
  ]
  for (const [name, requests] of cases) {
    const auth = login()
    let reply: unknown
    for (const [code, body] of requests) reply = await auth.onRequest(code, body)
    t.match(reply, { type: 'failed' }, name)
    t.equal(auth.authenticated, false, name)
  }
})

t.test('ok while the keys are still being computed is refused, and so is what comes of it', async (t) => {
  const auth = login({ keyCache: new ScramKeyCache() })
  const first = await auth.onRequest(10, mechanisms(SCRAM))
  if (first.type !== 'send') throw new Error('initial response expected')
  const nonce = /r=(.*)$/.exec(first.payload.toString('latin1'))![1]!
  const reply = auth.onRequest(11, Buffer.from(`r=${nonce}abc,s=${randomBytes(16).toString('base64')},i=4096`))
  t.ok(reply instanceof Promise)
  t.match(auth.onRequest(0, NOTHING), { type: 'failed', reason: /without proving/ })
  t.match(await reply, { type: 'failed' })
})

t.test('methods that are not supported are named', (t) => {
  for (const [code, name] of [
    [2, 'Kerberos V5'],
    [6, 'SCM credentials'],
    [7, 'GSSAPI'],
    [9, 'SSPI'],
    [4711, 'authentication method 4711'],
  ] as const) {
    const reply = login().onRequest(code, NOTHING)
    t.match(reply, { type: 'failed', remedy: /pg_hba\.conf/ })
    if (!(reply instanceof Promise) && reply.type === 'failed') t.ok(reply.reason.includes(name), name)
  }
  t.end()
})

t.test('without credentials a request for a password fails with the cure', (t) => {
  for (const [code, body] of [
    [3, NOTHING],
    [5, randomBytes(4)],
    [10, mechanisms(SCRAM)],
  ] as const) {
    const auth = login({ credentials: { kind: 'none' } })
    t.match(auth.onRequest(code, body), { type: 'failed', reason: /none is known/, remedy: /auth_file/ })
    t.equal(auth.askedForPassword, true)
  }
  const keys: Credentials = { kind: 'scram-keys', clientKey: randomBytes(32), serverKey: randomBytes(32) }
  t.match(login({ credentials: keys }).onRequest(3, NOTHING), { type: 'failed', reason: /only SCRAM keys/ })
  t.match(login({ credentials: keys }).onRequest(5, randomBytes(4)), { type: 'failed', reason: /only SCRAM keys/ })
  t.match(login({ credentials: HASH }).onRequest(10, mechanisms(SCRAM)), { type: 'failed', reason: /only an md5 hash/ })
  t.end()
})

t.test('lists of SASL mechanisms are read strictly', (t) => {
  t.match(login().onRequest(10, mechanisms('OAUTHBEARER\x1b')), { type: 'failed', reason: /OAUTHBEARER\?$/ })
  t.match(login().onRequest(10, mechanisms(SCRAM_PLUS)), { type: 'failed', remedy: /server_tls_mode/ })
  t.match(login().onRequest(10, NOTHING), { type: 'failed', reason: /malformed/ })
  t.match(login().onRequest(10, Buffer.from(SCRAM)), { type: 'failed', reason: /malformed/ })
  t.match(login().onRequest(10, Buffer.from(`${SCRAM}\0`)), { type: 'failed', reason: /malformed/ })
  t.match(login().onRequest(10, Buffer.from(`${SCRAM}\0\0x`)), { type: 'failed', reason: /malformed/ })
  t.match(login().onRequest(10, mechanisms(...Array(100).fill('X'))), { type: 'failed', reason: /malformed/ })
  t.end()
})

t.test('any request with any body ends in a reply', async (t) => {
  for (let code = -1; code < 16; code++) {
    for (let length = 0; length < 40; length++) {
      const fresh = login()
      await fresh.onRequest(code, randomBytes(length))
      const begun = login()
      await begun.onRequest(10, mechanisms(SCRAM))
      await begun.onRequest(code, randomBytes(length))
      t.equal(begun.authenticated, false)
    }
  }
})
