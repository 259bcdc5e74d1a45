import t from 'tap'
import { decodePassword, encodePassword, isTextPassword } from '../../../lib/auth/password-text.ts'

t.test('UTF-8 passwords are ordinary strings', (t) => {
  for (const text of ['', 'secret', 'pässwörd', '\uFEFFbom', '😀']) {
    t.equal(decodePassword(Buffer.from(text)), text)
    t.same(encodePassword(text), Buffer.from(text))
    t.equal(isTextPassword(text), true)
  }
  t.end()
})

t.test('bytes that are not UTF-8 survive unchanged', (t) => {
  const cases = [
    [0xe4],
    [0x70, 0xe4, 0x73, 0x73],
    [0xed, 0xa0, 0x80],
    [0xf0, 0x9f, 0x98],
    [0xff, 0xfe, 0x80],
    [0xc3, 0xa4, 0xe4],
    [0xc0, 0x80],
  ]
  for (const bytes of cases) {
    const text = decodePassword(Buffer.from(bytes))
    t.equal(isTextPassword(text), false)
    t.same([...encodePassword(text)], bytes)
  }
  t.not(decodePassword(Buffer.from([0xe4])), decodePassword(Buffer.from([0xe5])))
  t.end()
})

t.test('a lone surrogate between ordinary characters is encoded too', (t) => {
  t.same([...encodePassword('ä\udce4😀')], [0xc3, 0xa4, 0xe4, 0xf0, 0x9f, 0x98, 0x80])
  t.end()
})
