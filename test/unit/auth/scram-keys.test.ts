import t from 'tap'
import { decodePassword } from '../../../lib/auth/password-text.ts'
import { keysFromSalted, ScramKeyCache } from '../../../lib/auth/scram-keys.ts'

const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')

t.test('the keys are those of the RFC 7677 example', async (t) => {
  const keys = await new ScramKeyCache().keys('pencil', salt, 4096)
  t.equal(keys.storedKey.toString('base64'), 'WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=')
  t.equal(keys.serverKey.toString('base64'), 'wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=')
  t.same(keysFromSalted(Buffer.alloc(32)).clientKey.length, 32)
})

t.test('a known password is answered at once, and those who ask meanwhile share the computation', async (t) => {
  const cache = new ScramKeyCache()
  const first = cache.keys('a', salt, 4096)
  const second = cache.keys('a', salt, 4096)
  t.ok(first instanceof Promise)
  t.equal(first, second)
  t.equal(cache.pending, 1)
  const keys = await first
  t.equal(cache.pending, 0)
  t.equal(cache.keys('a', salt, 4096), keys)
  t.ok(cache.keys('b', salt, 4096) instanceof Promise)
  t.ok(cache.keys('a', Buffer.alloc(16), 4096) instanceof Promise)
  t.ok(cache.keys('a', salt, 4097) instanceof Promise)
})

t.test('many at once are queued and all answered', async (t) => {
  const cache = new ScramKeyCache({ concurrency: 2 })
  const all = Array.from({ length: 50 }, (_, i) => cache.keys(`password ${i}`, salt, 10))
  t.equal(cache.pending, 50)
  const keys = await Promise.all(all)
  t.equal(new Set(keys.map((k) => k.clientKey.toString('hex'))).size, 50)
  t.equal(cache.pending, 0)
})

t.test('the cache forgets the one unused for longest', async (t) => {
  const cache = new ScramKeyCache({ maxEntries: 2 })
  await cache.keys('a', salt, 1)
  await cache.keys('b', salt, 1)
  t.notOk(cache.keys('a', salt, 1) instanceof Promise)
  await cache.keys('c', salt, 1)
  t.notOk(cache.keys('a', salt, 1) instanceof Promise)
  t.ok(cache.keys('b', salt, 1) instanceof Promise)
})

t.test('passwords that are not UTF-8 have keys of their own', async (t) => {
  const cache = new ScramKeyCache()
  const a = await cache.keys(decodePassword(Buffer.from([0xe4])), salt, 1)
  const b = await cache.keys(decodePassword(Buffer.from([0xe5])), salt, 1)
  t.notSame(a.clientKey, b.clientKey)
})

t.test('the verifier of a plain password keeps its salt, and two users never share one', async (t) => {
  const cache = new ScramKeyCache()
  const first = cache.verifier('ann', 'same', 4096)
  const again = cache.verifier('ann', 'same', 4096)
  const other = cache.verifier('bob', 'same', 4096)
  t.same(first.salt, again.salt)
  t.notSame(first.salt, other.salt)
  t.same(await first.keys, await again.keys)
  t.notOk(cache.verifier('ann', 'same', 4096).keys instanceof Promise)
})

t.test('mock secrets are stable per user, over restarts, and of the form of real ones', (t) => {
  const saltKey = Buffer.alloc(32, 1)
  const like = { iterations: 4096, saltLength: 16 }
  const cache = new ScramKeyCache({ saltKey })
  const mock = cache.mockSecret('nobody', like)
  t.same(cache.mockSecret('nobody', like), mock)
  t.same(new ScramKeyCache({ saltKey }).mockSecret('nobody', like), mock)
  t.notSame(cache.mockSecret('somebody', like).salt, mock.salt)
  t.notSame(new ScramKeyCache().mockSecret('nobody', like).salt, mock.salt)
  t.equal(mock.salt.length, 16)
  t.equal(mock.storedKey.length, 32)
  t.match(cache.mockSecret('nobody', { iterations: 9000, saltLength: 24 }), { iterations: 9000, salt: { length: 24 } })
  t.same(cache.verifier('nobody', 'pw', 1).salt, mock.salt, 'a user that exists has its salt by the same rule')
  t.end()
})

t.test('what waits for its turn leaves with the last who asked, and places take turns', async (t) => {
  const cache = new ScramKeyCache({ concurrency: 1 })
  const asker = (neighbourhood: string) => {
    const controller = new AbortController()
    return { neighbourhood, signal: controller.signal, leave: () => controller.abort(new Error('gone')) }
  }
  const order: string[] = []
  const ask = (password: string, who: ReturnType<typeof asker>): Promise<void> => {
    return Promise.resolve(cache.keys(password, salt, 1000, who)).then(
      () => void order.push(password),
      (error: Error) => void order.push(`${password} ${error.message}`),
    )
  }
  const crowd = Array.from({ length: 20 }, () => asker('crowd'))
  const done = crowd.map((who, i) => ask(`guess ${i}`, who))
  const [first, second] = [asker('a'), asker('b')]
  done.push(ask('shared', first), ask('shared', second), ask('alone', asker('c')))
  first.leave()
  for (const who of crowd.slice(2)) who.leave()
  t.ok(cache.pending <= 4, 'two guesses, the shared one, and the one of c are left')
  await Promise.all(done)
  t.equal(cache.pending, 0)
  t.equal(order.filter((entry) => entry.endsWith('gone')).length, 18)
  t.ok(order.indexOf('alone') < order.indexOf('guess 1'), order.join())
  t.equal(order.filter((entry) => entry === 'shared').length, 2, 'both who asked are answered')
})
