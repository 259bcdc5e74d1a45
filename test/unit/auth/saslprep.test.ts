import t from 'tap'
import { decodePassword } from '../../../lib/auth/password-text.ts'
import { saslprep } from '../../../lib/auth/saslprep.ts'

t.test('the examples of RFC 4013 section 3', (t) => {
  t.equal(saslprep('I\u00adX'), 'IX')
  t.equal(saslprep('user'), 'user')
  t.equal(saslprep('USER'), 'USER')
  t.equal(saslprep('\u00aa'), 'a')
  t.equal(saslprep('\u2168'), 'IX')
  t.end()
})

t.test('where SASLprep refuses, the password is used as it stands', (t) => {
  for (const password of [
    '\u0007',
    '\u0627\u0031',
    'ä\u0007',
    '\ue000',
    '\u0221',
    '😀',
    '\u00ad',
    '\u05d0a\u05d0',
    '\u{e0001}ä',
  ]) {
    t.equal(saslprep(password), password)
  }
  const notText = decodePassword(Buffer.from([0x41, 0xe4]))
  t.equal(saslprep(notText), notText)
  t.end()
})

t.test('spaces are mapped, U+200B among them as in PostgreSQL', (t) => {
  t.equal(saslprep('a\u00a0b\u3000c\u200bd'), 'a b c d')
  t.end()
})

t.test('right-to-left passwords that are well-formed are normalized', (t) => {
  t.equal(saslprep('\u0627\u0031\u0628'), '\u0627\u0031\u0628')
  t.equal(saslprep('\ufe8d\u0031\u0628'), '\u0627\u0031\u0628')
  t.end()
})

t.test('composition', (t) => {
  t.equal(saslprep('a\u0308'), 'ä')
  t.equal(saslprep('\ufb01'), 'fi')
  t.end()
})
