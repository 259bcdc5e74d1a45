import { randomBytes } from 'node:crypto'
import t from 'tap'
import { type AuthStep, type ClientAuthOptions, createClientAuth } from '../../../lib/auth/client-auth.ts'
import { md5Response, md5Secret } from '../../../lib/auth/md5.ts'
import { SCRAM, SCRAM_PLUS, ScramClient } from '../../../lib/auth/scram.ts'
import { ScramKeyCache } from '../../../lib/auth/scram-keys.ts'
import type { UnknownUser } from '../../../lib/auth/unknown-user.ts'
import type { ScramSecret, Secret } from '../../../lib/config/userlist.ts'

const keyCache = new ScramKeyCache()
const UNKNOWN: UnknownUser = { kind: 'md5', iterations: 4096, saltLength: 16, derives: false }
const PASSWORD = 'pencil'
const PLAIN: Secret = { kind: 'plain', password: PASSWORD }
const MD5: Secret = { kind: 'md5', hash: md5Secret('ann', PASSWORD) }

async function verifier(): Promise<ScramSecret> {
  const salt = Buffer.alloc(16, 7)
  const { storedKey, serverKey } = await keyCache.keys(PASSWORD, salt, 4096)
  return { kind: 'scram', iterations: 4096, salt, storedKey, serverKey }
}

function auth(options: Partial<ClientAuthOptions>) {
  return createClientAuth({
    authType: 'scram-sha-256',
    user: 'ann',
    secret: undefined,
    keyCache,
    scramIterations: 4096,
    unknownUser: UNKNOWN,
    cleartextAllowed: true,
    ...options,
  })
}

const zeroTerminated = (text: string) => Buffer.from(`${text}\0`)

function saslInitial(mechanism: string, data: Buffer, length = data.length): Buffer {
  const size = Buffer.alloc(4)
  size.writeInt32BE(length)
  return Buffer.concat([zeroTerminated(mechanism), size, data])
}

interface LoginResult {
  /** Types of everything the client was sent, in order. */
  trace: string[]
  end: AuthStep
}

/** Logs in as a client with `password` would, whatever it is asked for. */
async function login(
  options: Partial<ClientAuthOptions>,
  password: string,
  o: { binding?: Buffer; noInitial?: boolean } = {},
): Promise<LoginResult> {
  const exchange = auth(options)
  const request = exchange.start()
  const trace: string[] = [request.type]
  const finish = (end: AuthStep): LoginResult => ({ trace: [...trace, end.type], end })
  if (request.type === 'failed') return { trace, end: request }
  if (request.type === 'ok') return { trace, end: { type: 'done', credentials: request.credentials } }
  if (request.type === 'cleartext') return finish(await exchange.onPasswordMessage(zeroTerminated(password)))
  if (request.type === 'md5') {
    const response = md5Response(md5Secret(options.user ?? 'ann', password), request.salt)
    return finish(await exchange.onPasswordMessage(zeroTerminated(response)))
  }
  const mechanism = o.binding && request.mechanisms.includes(SCRAM_PLUS) ? SCRAM_PLUS : SCRAM
  const client = new ScramClient({ mechanism, channelBinding: o.binding, password, keyCache })
  let step: AuthStep
  if (o.noInitial) {
    step = await exchange.onPasswordMessage(saslInitial(mechanism, Buffer.alloc(0), -1))
    trace.push(step.type)
    step = await exchange.onPasswordMessage(client.first())
  } else step = await exchange.onPasswordMessage(saslInitial(mechanism, client.first()))
  if (step.type !== 'sasl-continue') return finish(step)
  trace.push(step.type)
  const final = await client.final(step.data)
  if (!final.ok) throw new Error(final.reason)
  step = await exchange.onPasswordMessage(final.data)
  if (step.type === 'done') t.same(client.verify(step.finalData!), { ok: true })
  return finish(step)
}

t.test('every combination of auth_type and secret: who gets in, and what is then known for the server', async (t) => {
  const scram = await verifier()
  const password = { kind: 'password', password: PASSWORD }
  const hash = { kind: 'md5', hash: md5Secret('ann', PASSWORD) }
  const keys = { kind: 'scram-keys', salt: scram.salt, iterations: 4096, serverKey: scram.serverKey }
  const cases: [ClientAuthOptions['authType'], Secret, string, object][] = [
    ['trust', PLAIN, 'ok', password],
    ['trust', MD5, 'ok', hash],
    ['trust', scram, 'ok', { kind: 'none' }],
    ['plain', PLAIN, 'cleartext', password],
    ['plain', MD5, 'cleartext', password],
    ['plain', scram, 'cleartext', password],
    ['md5', PLAIN, 'md5', password],
    ['md5', MD5, 'md5', hash],
    ['md5', scram, 'sasl', keys],
    ['scram-sha-256', PLAIN, 'sasl', password],
    ['scram-sha-256', scram, 'sasl', keys],
  ]
  for (const [authType, secret, request, credentials] of cases) {
    const name = `${authType} with ${secret.kind}`
    const good = await login({ authType, secret }, PASSWORD)
    t.equal(good.trace[0], request, name)
    if (good.end.type !== 'done') throw new Error(`${name}: ${JSON.stringify(good.end)}`)
    t.match(good.end.credentials, credentials, name)
    if (authType === 'trust') continue
    for (const wrong of ['pencil ', 'Pencil', '', 'x']) {
      const bad = await login({ authType, secret }, wrong)
      t.same(bad.end, { type: 'failed', reason: 'wrong password' }, `${name}, password '${wrong}'`)
    }
  }
})

t.test('the keys of a SCRAM login really are the keys of the password', async (t) => {
  const secret = await verifier()
  const { end } = await login({ secret }, PASSWORD)
  if (end.type !== 'done' || end.credentials.kind !== 'scram-keys') throw new Error('keys expected')
  const { clientKey } = await keyCache.keys(PASSWORD, secret.salt, secret.iterations)
  t.same(end.credentials.clientKey, clientKey)
})

t.test('an unknown user is asked the same as one with a wrong password, and the log says why', async (t) => {
  const scram = await verifier()
  for (const [authType, secret] of [
    ['plain', PLAIN],
    ['md5', MD5],
    ['scram-sha-256', scram],
    ['scram-sha-256', PLAIN],
  ] as const) {
    const known = await login({ authType, secret }, 'wrong')
    const unknown = await login({ authType, user: 'nobody' }, 'wrong')
    t.same(unknown.trace, known.trace, authType)
    t.match(unknown.end, { type: 'failed', reason: /no secret in auth_file/, remedy: /auth_file/ })
    const empty = await login({ authType, user: 'nobody' }, '')
    t.equal(empty.end.type, 'failed')
  }
  const asScram = await login(
    { authType: 'md5', user: 'nobody', unknownUser: { ...UNKNOWN, kind: 'scram', derives: true } },
    'wrong',
  )
  t.same(asScram.trace, (await login({ authType: 'md5', secret: scram }, 'wrong')).trace)
  t.equal(
    (
      await login(
        { authType: 'plain', user: 'nobody', unknownUser: { ...UNKNOWN, kind: 'scram', derives: true } },
        'wrong',
      )
    ).end.type,
    'failed',
  )
})

t.test('an unknown user sees the same salt every time, of the form of a real one', async (t) => {
  const salts = new Set<string>()
  for (let i = 0; i < 3; i++) {
    const exchange = auth({ user: 'nobody' })
    exchange.start()
    const step = await exchange.onPasswordMessage(saslInitial(SCRAM, Buffer.from('n,,n=,r=abc')))
    if (step.type !== 'sasl-continue') throw new Error('challenge expected')
    t.match(step.data.toString(), /^r=abc[^,]{24},s=[A-Za-z0-9+/]{22}==,i=4096$/)
    salts.add(/s=([^,]*)/.exec(step.data.toString())![1]!)
  }
  t.equal(salts.size, 1)
})

t.test(
  'an md5 hash cannot serve scram-sha-256, and an empty secret nothing: the log says so, the client sees no difference',
  async (t) => {
    const md5 = await login({ secret: MD5 }, PASSWORD)
    t.same(md5.trace, ['sasl', 'sasl-continue', 'failed'])
    t.match(md5.end, { reason: /md5 hash/, remedy: /SCRAM-SHA-256 verifier/ })
    for (const authType of ['plain', 'md5', 'scram-sha-256'] as const) {
      const empty = await login({ authType, secret: { kind: 'plain', password: '' } }, '')
      t.equal(empty.end.type, 'failed', authType)
    }
  },
)

t.test('trust lets anyone in, or only users of the list', (t) => {
  t.match(auth({ authType: 'trust' }).start(), { type: 'ok', credentials: { kind: 'none' } })
  t.match(auth({ authType: 'trust', knownUsersOnly: true }).start(), { type: 'failed', reason: /not in auth_file/ })
  t.match(auth({ authType: 'trust', knownUsersOnly: true, secret: PLAIN }).start(), { type: 'ok' })
  t.end()
})

t.test('a cleartext password is not asked for where it could be overheard', (t) => {
  t.match(auth({ authType: 'plain', secret: PLAIN, cleartextAllowed: false }).start(), {
    type: 'failed',
    reason: /clear text/,
    remedy: /allow_cleartext_password/,
  })
  t.end()
})

t.test('channel binding over TLS, and plain SCRAM for clients that cannot', async (t) => {
  const binding = randomBytes(32)
  const bound = { secret: PLAIN, tlsEndPointHash: binding }
  t.same(auth(bound).start(), { type: 'sasl', mechanisms: [SCRAM_PLUS, SCRAM] })
  t.same(auth({ secret: PLAIN }).start(), { type: 'sasl', mechanisms: [SCRAM] })
  t.equal((await login(bound, PASSWORD, { binding })).end.type, 'done')
  t.equal((await login(bound, PASSWORD)).end.type, 'done')
  t.match((await login(bound, PASSWORD, { binding: randomBytes(32) })).end, {
    type: 'failed',
    protocolViolation: true,
    reason: /another certificate/,
  })
})

t.test('a client without an initial response gets an empty challenge', async (t) => {
  const result = await login({ secret: PLAIN }, PASSWORD, { noInitial: true })
  t.same(result.trace, ['sasl', 'sasl-continue', 'sasl-continue', 'done'])
})

t.test('after the first login of a plain secret no step is asynchronous', async (t) => {
  const secret: Secret = { kind: 'plain', password: 'another' }
  await login({ secret }, 'another')
  const exchange = auth({ secret })
  exchange.start()
  const client = new ScramClient({ mechanism: SCRAM, password: 'another', keyCache })
  const step = exchange.onPasswordMessage(saslInitial(SCRAM, client.first()))
  if (step instanceof Promise || step.type !== 'sasl-continue') throw new Error('a challenge was expected')
  const final = await client.final(step.data)
  if (!final.ok) throw new Error(final.reason)
  t.match(exchange.onPasswordMessage(final.data), { type: 'done' })
})

t.test('a password of other bytes than UTF-8 is compared as bytes', (t) => {
  // 'md5' || md5('\xe4ann'): a password set by a client that speaks LATIN1
  const secret: Secret = { kind: 'md5', hash: 'md5cea90b8db507782c32b171145164f8c4' }
  for (const [byte, type] of [
    [0xe4, 'done'],
    [0xe5, 'failed'],
  ] as const) {
    const exchange = auth({ authType: 'plain', secret })
    exchange.start()
    t.match(exchange.onPasswordMessage(Buffer.from([byte, 0x00])), { type })
  }
  t.end()
})

t.test('malformed messages are breaches of the protocol', async (t) => {
  const bad = async (options: Partial<ClientAuthOptions>, ...bodies: Buffer[]) => {
    const exchange = auth(options)
    exchange.start()
    let step: AuthStep | undefined
    for (const body of bodies) step = await exchange.onPasswordMessage(body)
    t.match(step, { type: 'failed', protocolViolation: true })
  }
  for (const authType of ['plain', 'md5'] as const) {
    await bad({ authType, secret: PLAIN }, Buffer.alloc(0))
    await bad({ authType, secret: PLAIN }, Buffer.from('pencil'))
    await bad({ authType, secret: PLAIN }, Buffer.from('pencil\0\0'))
    await bad({ authType, secret: PLAIN }, Buffer.from('pen\0cil\0'))
    await bad({ authType, secret: PLAIN }, zeroTerminated('x'.repeat(70000)))
    await bad({ authType, secret: PLAIN }, zeroTerminated('wrong'), zeroTerminated(PASSWORD))
  }
  const first = Buffer.from('n,,n=,r=abc')
  await bad({ secret: PLAIN }, Buffer.alloc(0))
  await bad({ secret: PLAIN }, Buffer.from(SCRAM))
  await bad({ secret: PLAIN }, zeroTerminated(SCRAM))
  await bad({ secret: PLAIN }, saslInitial(SCRAM, first, first.length + 1))
  await bad({ secret: PLAIN }, saslInitial(SCRAM, first, first.length - 1))
  await bad({ secret: PLAIN }, saslInitial(SCRAM, first, -1))
  await bad({ secret: PLAIN }, saslInitial(SCRAM, first, -2))
  await bad({ secret: PLAIN }, saslInitial(SCRAM, first, 2147483647))
  await bad({ secret: PLAIN }, saslInitial(SCRAM_PLUS, first))
  await bad({ secret: PLAIN }, saslInitial('OAUTHBEARER', first))
  await bad({ secret: PLAIN }, saslInitial(SCRAM, first), saslInitial(SCRAM, first))
  await bad({ authType: 'trust' }, zeroTerminated('unasked'))
  t.match(await auth({ secret: PLAIN }).onPasswordMessage(zeroTerminated('early')), { protocolViolation: true })
})

t.test('a second message while the first is being checked ends the exchange for good', async (t) => {
  const cache = new ScramKeyCache()
  const exchange = auth({ authType: 'plain', secret: await verifier(), keyCache: cache })
  exchange.start()
  const checking = exchange.onPasswordMessage(zeroTerminated(PASSWORD))
  t.ok(checking instanceof Promise)
  t.match(exchange.onPasswordMessage(zeroTerminated(PASSWORD)), { type: 'failed', protocolViolation: true })
  t.match(await checking, { type: 'failed' })
})

t.test('random and truncated messages end in a result', async (t) => {
  const scram = await verifier()
  const whole = saslInitial(SCRAM, Buffer.from('n,,n=,r=abc'))
  for (let i = 0; i < whole.length; i++) {
    const exchange = auth({ secret: scram })
    exchange.start()
    t.equal((await exchange.onPasswordMessage(whole.subarray(0, i))).type, 'failed')
  }
  for (const authType of ['plain', 'md5', 'scram-sha-256'] as const) {
    for (let i = 0; i < 300; i++) {
      const exchange = auth({ authType, secret: authType === 'plain' ? PLAIN : scram })
      exchange.start()
      const body = i % 2 ? randomBytes(i) : saslInitial(SCRAM, randomBytes(i))
      const step = await exchange.onPasswordMessage(body)
      if (step.type !== 'failed') throw new Error('random bytes got further than the first message')
    }
  }
})
