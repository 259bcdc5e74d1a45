import { randomBytes } from 'node:crypto'
import t from 'tap'
import { chooseMechanism, SCRAM, SCRAM_PLUS, ScramClient, ScramServer } from '../../../lib/auth/scram.ts'
import { ScramKeyCache, type ScramKeys } from '../../../lib/auth/scram-keys.ts'

const keyCache = new ScramKeyCache()
const SALT = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
const CLIENT_NONCE = 'rOprNGfwEbeRWgbNEkqO'
const SERVER_NONCE = '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
const SERVER_FIRST = `r=${CLIENT_NONCE}${SERVER_NONCE},s=${SALT.toString('base64')},i=4096`
const CLIENT_FINAL = `c=biws,r=${CLIENT_NONCE}${SERVER_NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`
const SERVER_FINAL = 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='

async function pencil(): Promise<ScramKeys> {
  return keyCache.keys('pencil', SALT, 4096)
}

const text = (payload: string) => Buffer.from(payload, 'latin1')

t.test('RFC 7677 example, as client', async (t) => {
  const client = new ScramClient({
    mechanism: SCRAM,
    password: 'pencil',
    keyCache,
    nonce: CLIENT_NONCE,
    userName: 'user',
  })
  t.equal(client.first().toString(), `n,,n=user,r=${CLIENT_NONCE}`)
  const final = await client.final(text(SERVER_FIRST))
  if (!final.ok) throw new Error(final.reason)
  t.equal(final.data.toString(), CLIENT_FINAL)
  t.equal(final.iterations, 4096)
  t.same(client.verify(text(SERVER_FINAL)), { ok: true })
})

t.test('RFC 7677 example, as server', async (t) => {
  const server = new ScramServer({ salt: SALT, iterations: 4096, plus: false, nonce: SERVER_NONCE })
  const first = server.first(text(`n,,n=user,r=${CLIENT_NONCE}`))
  if (!first.ok) throw new Error(first.reason)
  t.equal(first.data.toString(), SERVER_FIRST)
  const keys = await pencil()
  const final = server.final(text(CLIENT_FINAL), keys)
  if (!final.ok) throw new Error(final.reason)
  t.equal(final.serverFinal.toString(), SERVER_FINAL)
  t.same(final.clientKey, keys.clientKey)
})

/** Both roles against each other. Returns the end of the exchange as each side sees it. */
async function exchange(o: {
  password: string
  plus?: boolean
  clientBinding?: Buffer
  serverBinding?: Buffer
  clientKeys?: ScramKeys
}) {
  const keys = await pencil()
  const server = new ScramServer({
    salt: SALT,
    iterations: 4096,
    plus: o.plus ?? false,
    channelBinding: o.serverBinding,
  })
  const client = new ScramClient({
    mechanism: o.plus ? SCRAM_PLUS : SCRAM,
    channelBinding: o.clientBinding,
    password: o.clientKeys ? undefined : o.password,
    keys: o.clientKeys,
    keyCache,
  })
  const first = server.first(client.first())
  if (!first.ok) return { server: first }
  const clientFinal = await client.final(first.data)
  if (!clientFinal.ok) return { client: clientFinal }
  const serverFinal = server.final(clientFinal.data, keys)
  if (!serverFinal.ok) return { server: serverFinal }
  return { server: serverFinal, client: client.verify(serverFinal.serverFinal) }
}

t.test('both roles agree: plain, with channel binding, and with keys instead of a password', async (t) => {
  const hash = randomBytes(32)
  t.match(await exchange({ password: 'pencil' }), { server: { ok: true }, client: { ok: true } })
  t.match(await exchange({ password: 'pencil', plus: true, clientBinding: hash, serverBinding: hash }), {
    server: { ok: true },
    client: { ok: true },
  })
  // TLS on the client's side only, as behind a proxy that terminates it: flag y, nothing offered
  t.match(await exchange({ password: 'pencil', clientBinding: hash }), { server: { ok: true }, client: { ok: true } })
  const first = await exchange({ password: 'pencil' })
  if (!first.server?.ok) throw new Error('login expected')
  const learned = { ...(await pencil()), clientKey: first.server.clientKey }
  t.match(await exchange({ password: '', clientKeys: learned }), { server: { ok: true }, client: { ok: true } })
})

t.test('a wrong password is told from a malformed message', async (t) => {
  t.same(await exchange({ password: 'pen' }), { server: { ok: false, reason: 'wrong password', malformed: false } })
})

t.test('another certificate in between is noticed', async (t) => {
  const result = await exchange({
    password: 'pencil',
    plus: true,
    clientBinding: randomBytes(32),
    serverBinding: randomBytes(32),
  })
  t.match(result, { server: { ok: false, malformed: true, reason: /another certificate/ } })
})

t.test('a stripped -PLUS is noticed by the server', async (t) => {
  const hash = randomBytes(32)
  const result = await exchange({ password: 'pencil', clientBinding: hash, serverBinding: hash })
  t.match(result, { server: { ok: false, reason: /someone may be in the middle/ } })
})

t.test('server: the gs2 header must fit what was chosen and offered', (t) => {
  const hash = randomBytes(32)
  const cases: [string, { plus: boolean; channelBinding?: Buffer }, RegExp | true][] = [
    ['n,,', { plus: false }, true],
    ['n,,', { plus: false, channelBinding: hash }, true],
    ['y,,', { plus: false }, true],
    ['y,,', { plus: false, channelBinding: hash }, /not offered, although it is/],
    ['p=tls-server-end-point,,', { plus: true, channelBinding: hash }, true],
    ['p=tls-server-end-point,,', { plus: false, channelBinding: hash }, /which has none/],
    ['p=tls-unique,,', { plus: true, channelBinding: hash }, /not tls-server-end-point/],
    ['p=tls-server-end-point,,', { plus: true }, /was not offered/],
    ['n,,', { plus: true, channelBinding: hash }, /sent no channel binding/],
    ['y,,', { plus: true, channelBinding: hash }, /sent no channel binding/],
    ['n,a=admin,', { plus: false }, /authorization identity/],
    ['x,,', { plus: false }, /gs2 header/],
    ['', { plus: false }, /gs2 header/],
    ['n,', { plus: false }, /gs2 header/],
    ['p=,,', { plus: true, channelBinding: hash }, /gs2 header/],
  ]
  for (const [header, options, expected] of cases) {
    const server = new ScramServer({ salt: SALT, iterations: 4096, ...options })
    const result = server.first(text(`${header}n=,r=abc`))
    if (expected === true) t.equal(result.ok, true, header)
    else t.match(result, { ok: false, malformed: true, reason: expected }, header)
  }
  t.end()
})

t.test('server: user names of the exchange do not matter, extensions are skipped, nonces are bounded', (t) => {
  const first = (bare: string) => new ScramServer({ salt: SALT, iterations: 1, plus: false }).first(text(`n,,${bare}`))
  t.equal(first('n=,r=abc').ok, true)
  t.equal(first('n=*,r=abc').ok, true)
  t.equal(first('n=other=2Cuser,r=abc').ok, true)
  t.equal(first('n=,r=abc,x=1,y=').ok, true)
  t.match(first('m=ext,n=,r=abc'), { ok: false, reason: /extension/ })
  t.match(first('n=,r='), { ok: false, reason: /nonce/ })
  t.match(first(`n=,r=${'x'.repeat(1025)}`), { ok: false, reason: /nonce/ })
  t.equal(first(`n=,r=${'x'.repeat(1024)}`).ok, true)
  t.match(first('n=,r=a b'), { ok: false, reason: /nonce/ })
  t.match(first('n=,r=\xe4'), { ok: false, reason: /nonce/ })
  t.match(first('r=abc,n='), { ok: false, reason: /lacks/ })
  t.match(first('n=,r=a\0'), { ok: false, reason: /zero byte/ })
  t.match(first(`n=${'x'.repeat(5000)},r=a`), { ok: false, reason: /longer than/ })
  t.end()
})

t.test('server: a final message must repeat the nonce and carry a whole proof', async (t) => {
  const keys = await pencil()
  const finals: [string, RegExp][] = [
    [CLIENT_FINAL.replace(SERVER_NONCE, 'other'), /nonce/],
    [CLIENT_FINAL.replace('biws', 'eSws'), /channel binding/],
    [CLIENT_FINAL.replace('biws', '!!!!'), /base64/],
    [CLIENT_FINAL.slice(0, -4), /proof/],
    [CLIENT_FINAL.replace(/,p=.*/, ''), /lacks/],
    [`${CLIENT_FINAL},x=1`, /proof|lacks/],
    ['', /lacks/],
  ]
  for (const [final, reason] of finals) {
    const server = new ScramServer({ salt: SALT, iterations: 4096, plus: false, nonce: SERVER_NONCE })
    server.first(text(`n,,n=user,r=${CLIENT_NONCE}`))
    t.match(server.final(text(final), keys), { ok: false, malformed: true, reason })
  }
  const early = new ScramServer({ salt: SALT, iterations: 4096, plus: false })
  t.match(early.final(text(CLIENT_FINAL), keys), { ok: false, malformed: true })
})

t.test('client: a hostile server-first-message is refused without computing anything', async (t) => {
  const cache = new ScramKeyCache()
  const messages: [string, RegExp][] = [
    [SERVER_FIRST.replace(CLIENT_NONCE, 'x'), /nonce/],
    [`r=${CLIENT_NONCE},s=${SALT.toString('base64')},i=4096`, /nonce/],
    [SERVER_FIRST.replace('4096', '0'), /iteration/],
    [SERVER_FIRST.replace('4096', '-1'), /iteration/],
    [SERVER_FIRST.replace('4096', '1e9'), /iteration/],
    [SERVER_FIRST.replace('4096', '1000001'), /1000001 iterations/],
    [SERVER_FIRST.replace('4096', '99999999999999999999'), /iteration/],
    [SERVER_FIRST.replace(/s=[^,]*/, 's='), /salt/],
    [SERVER_FIRST.replace(/s=[^,]*/, 's=%%'), /salt/],
    [SERVER_FIRST.replace(/s=[^,]*/, `s=${Buffer.alloc(1025).toString('base64')}`), /salt/],
    [SERVER_FIRST.replace('r=', `r=${'x'.repeat(2000)}`), /nonce/],
    [`m=ext,${SERVER_FIRST}`, /extension/],
    [`${SERVER_FIRST}${',a=b'.repeat(2000)}`, /longer/],
    ['e=other-error', /lacks/],
    ['', /lacks/],
  ]
  for (const [message, reason] of messages) {
    const client = new ScramClient({ mechanism: SCRAM, password: 'pencil', keyCache: cache, nonce: CLIENT_NONCE })
    t.match(client.final(text(message)), { ok: false, reason }, message.slice(0, 60))
  }
  t.equal(cache.pending, 0)
})

t.test('client: the server has to prove itself', async (t) => {
  const client = async () => {
    const made = new ScramClient({
      mechanism: SCRAM,
      password: 'pencil',
      keyCache,
      nonce: CLIENT_NONCE,
      userName: 'user',
    })
    await made.final(text(SERVER_FIRST))
    return made
  }
  t.match((await client()).verify(text(`v=${randomBytes(32).toString('base64')}`)), { ok: false, reason: /impostor/ })
  t.match((await client()).verify(text('v=AAAA')), { ok: false, reason: /signature/ })
  t.match((await client()).verify(text('')), { ok: false })
  t.match((await client()).verify(text('e=invalid-proof\n\x1b[2J')), {
    ok: false,
    reason: 'the server refused: invalid-proof??[2J',
  })
  const early = new ScramClient({ mechanism: SCRAM, password: 'pencil', keyCache })
  t.match(early.verify(text(SERVER_FINAL)), { ok: false })
})

t.test('client: keys of another verifier are recognised as such', (t) => {
  const keys = { clientKey: randomBytes(32), serverKey: randomBytes(32), salt: randomBytes(16), iterations: 4096 }
  const client = new ScramClient({ mechanism: SCRAM, keys, keyCache, nonce: CLIENT_NONCE })
  t.match(client.final(text(SERVER_FIRST)), { ok: false, malformed: false, reason: /not the one in auth_file/ })
  t.end()
})

t.test('the mechanism is -PLUS whenever both ends can', (t) => {
  t.equal(chooseMechanism([SCRAM, SCRAM_PLUS], true), SCRAM_PLUS)
  t.equal(chooseMechanism([SCRAM_PLUS, SCRAM], false), SCRAM)
  t.equal(chooseMechanism([SCRAM], true), SCRAM)
  t.equal(chooseMechanism([SCRAM_PLUS], false), undefined)
  t.equal(chooseMechanism(['OAUTHBEARER'], true), undefined)
  t.end()
})

t.test('every message cut at every byte, and with every byte changed, ends in a result', async (t) => {
  const keys = await pencil()
  const mutate = (message: string): Buffer[] => {
    const whole = text(message)
    const out: Buffer[] = []
    for (let i = 0; i < whole.length; i++) {
      out.push(whole.subarray(0, i))
      for (const byte of [0, 0x2c, 0x3d, 0x41, 0xff]) {
        const changed = Buffer.from(whole)
        if (changed[i] === byte) continue
        changed[i] = byte
        out.push(changed)
      }
    }
    return out
  }
  for (const payload of mutate(`n,,n=user,r=${CLIENT_NONCE}`)) {
    new ScramServer({ salt: SALT, iterations: 4096, plus: false }).first(payload)
  }
  for (const payload of mutate(CLIENT_FINAL)) {
    const server = new ScramServer({ salt: SALT, iterations: 4096, plus: false, nonce: SERVER_NONCE })
    server.first(text(`n,,n=user,r=${CLIENT_NONCE}`))
    t.equal(server.final(payload, keys).ok, false, payload.toString('latin1'))
  }
  const learned = { clientKey: keys.clientKey, serverKey: keys.serverKey }
  for (const payload of mutate(SERVER_FIRST)) {
    new ScramClient({ mechanism: SCRAM, keys: learned, keyCache, nonce: CLIENT_NONCE }).final(payload)
  }
  for (const payload of mutate(SERVER_FINAL)) {
    const client = new ScramClient({ mechanism: SCRAM, keys: learned, keyCache, nonce: CLIENT_NONCE, userName: 'user' })
    client.final(text(SERVER_FIRST))
    t.equal(client.verify(payload).ok, false, payload.toString('latin1'))
  }
})
