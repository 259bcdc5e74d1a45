/** Who may look: tokens, passwords, names of this machine; without sockets. */
import t from 'tap'
import { Access, type Visitor } from '../../../lib/http/access.ts'
import type { HttpSettings, Role } from '../../../lib/http/ports.ts'
import { createLogger } from '../../../lib/util/logger.ts'

const TOKEN = 'a-token-of-the-tests'

interface Case {
  local?: boolean
  settings?: Partial<HttpSettings>
  headers?: Visitor['headers']
  address?: string
  tls?: boolean
}

/** The role, or the status of the refusal. */
async function judge({ local = false, settings, headers = {}, address = '10.0.0.1', tls = true }: Case) {
  const access = new Access(
    {
      settings: () => ({ token: '', cleartextAllowed: false, ...settings }),
      login: async (user, password): Promise<Role | undefined> =>
        password === `of ${user}: the secret` ? (user === 'boss' ? 'admin' : 'stats') : undefined,
      log: createLogger({ write: () => {} }),
    },
    local,
  )
  const { signal } = new AbortController()
  const verdict = await access.judge({ headers, origin: { address, port: 5, tls }, signal })
  return 'role' in verdict ? verdict.role : verdict.refusal.status
}

const basic = (text: string): Visitor['headers'] => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` })

t.test('where only this machine can connect, nobody is asked', async (t) => {
  for (const host of ['localhost', 'LOCALHOST:6433', '127.0.0.1:6433', '127.1.2.3', '[::1]:6433', '[::1]'])
    t.equal(await judge({ local: true, headers: { host } }), 'stats', host)
  for (const host of ['evil.example.com', '127.0.0.1.evil.example.com', 'localhost.evil.com:6433', '10.0.0.1', ''])
    t.equal(await judge({ local: true, headers: { host } }), 403, host)
  t.equal(
    await judge({ local: true, headers: { host: 'localhost' }, settings: { token: TOKEN } }),
    401,
    'a token was set',
  )
})

t.test('tokens', async (t) => {
  const settings = { token: TOKEN }
  const bearer = (token: string): Visitor['headers'] => ({ authorization: `Bearer ${token}` })
  t.equal(await judge({ settings, headers: bearer(TOKEN) }), 'stats')
  t.equal(await judge({ settings, headers: { authorization: `bearer ${TOKEN}` } }), 'stats')
  for (const wrong of ['', TOKEN.slice(1), `${TOKEN}x`, TOKEN.toUpperCase()])
    t.equal(await judge({ settings, headers: bearer(wrong) }), 401, wrong)
  t.equal(await judge({ headers: bearer('') }), 401, 'no token is no token of nobody')
})

t.test('passwords', async (t) => {
  t.equal(await judge({ headers: basic('boss:of boss: the secret') }), 'admin', 'a colon in the password')
  t.equal(await judge({ headers: basic('eye:of eye: the secret') }), 'stats')
  for (const wrong of ['eye:no', 'eye', ':x', 'eye:', '', 'eye\0:of eye: the secret'])
    t.equal(await judge({ headers: basic(wrong) }), 401, JSON.stringify(wrong))
  const headers = basic('eye:of eye: the secret')
  t.equal(await judge({ headers, tls: false }), 403, 'not in clear')
  t.equal(await judge({ headers, tls: false, settings: { cleartextAllowed: true } }), 'stats')
  t.equal(await judge({ headers, tls: false, address: '127.0.0.1' }), 'stats', 'from this machine nobody listens')
})

t.test('nothing and anything else', async (t) => {
  t.equal(await judge({}), 401)
  t.equal(await judge({ headers: { authorization: 'Digest x' } }), 401)
})
