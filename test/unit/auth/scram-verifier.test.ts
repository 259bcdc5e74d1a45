/** The verifier of a password is the one that PostgreSQL would make, and can be read back. */
import t from 'tap'
import { decodePassword } from '../../../lib/auth/password-text.ts'
import { makeVerifier } from '../../../lib/auth/scram-verifier.ts'
import { parseSecret } from '../../../lib/config/userlist.ts'

const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
const KEYS = 'WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU='

t.test('the password of RFC 7677', async (t) => {
  t.equal(await makeVerifier('pencil', 4096, salt), `SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$${KEYS}`)
})

t.test('the number of iterations counts', async (t) => {
  const text = await makeVerifier('pencil', 1000, salt)
  t.match(text, /^SCRAM-SHA-256\$1000:/)
  t.notMatch(text, KEYS)
})

t.test('what stands for the same character has the same verifier (SASLprep)', async (t) => {
  t.equal(await makeVerifier('I\u00adX', 1, salt), await makeVerifier('IX', 1, salt))
  t.equal(await makeVerifier('\u2168', 1, salt), await makeVerifier('IX', 1, salt))
})

t.test('a password that is not UTF-8 has one', async (t) => {
  const [a, b] = await Promise.all([0xe4, 0xe5].map((byte) => makeVerifier(decodePassword(Buffer.of(byte)), 1, salt)))
  t.not(a, b)
})

t.test('each one has a salt of its own, and is read back', async (t) => {
  const [a, b] = await Promise.all([makeVerifier('x', 1), makeVerifier('x', 1)])
  t.not(a, b)
  t.match(parseSecret(a!), { kind: 'scram', iterations: 1, salt: { length: 16 } })
})
