/** What a user is taken for that is in no list: most of those that are. */
import t from 'tap'
import { unknownUserOf } from '../../../lib/auth/unknown-user.ts'
import type { Secret } from '../../../lib/config/userlist.ts'

const plain: Secret = { kind: 'plain', password: 'x' }
const md5: Secret = { kind: 'md5', hash: 'md5' }
const scram = (iterations: number, length = 16): Secret => {
  const key = Buffer.alloc(32)
  return { kind: 'scram', iterations, salt: Buffer.alloc(length), storedKey: key, serverKey: key }
}
const of = (...secrets: Secret[]) => unknownUserOf(new Map(secrets.map((secret, i) => [`u${i}`, secret])), 5000)

t.test('the most common kind, count and length', async (t) => {
  t.same(unknownUserOf(undefined, 5000), { kind: 'md5', iterations: 5000, saltLength: 16, derives: false })
  t.same(of(md5, plain), { kind: 'md5', iterations: 5000, saltLength: 16, derives: false })
  t.same(of(scram(9000)), { kind: 'scram', iterations: 9000, saltLength: 16, derives: true })
  t.same(of(scram(4096), scram(9000, 24), scram(9000, 24)), {
    kind: 'scram',
    iterations: 9000,
    saltLength: 24,
    derives: true,
  })
  t.same(of(md5, md5, scram(9000)), { kind: 'md5', iterations: 9000, saltLength: 16, derives: true })
  t.same(of(plain, plain, scram(9000)), { kind: 'md5', iterations: 5000, saltLength: 16, derives: true })
})
