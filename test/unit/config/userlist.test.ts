import t from 'tap'
import {
  parseSecret,
  parseUserlist,
  passwordFault,
  UserlistError,
  userFault,
  userlistLine,
} from '../../../lib/config/userlist.ts'

const VERIFIER =
  'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU='

/** The message of the UserlistError that `text` causes. */
function problemsOf(text: string): readonly string[] {
  try {
    parseUserlist(text, 'userlist.txt')
  } catch (error) {
    if (error instanceof UserlistError) return error.problems
    throw error
  }
  return []
}

t.test('plain, md5 and SCRAM secrets are told apart', (t) => {
  const users = parseUserlist(
    [
      '"ann" "secret"',
      '"bob" "md5a6ee6ab3d1bbf2a8bcf9fd1eb3a5a3e8"',
      `"cid" "${VERIFIER}"`,
      '"dan" "md5 is not a hash here"',
      '"eve" "MD5A6EE6AB3D1BBF2A8BCF9FD1EB3A5A3E8"',
      '"fay" ""',
    ].join('\n'),
    'userlist.txt',
  )
  t.same(users.get('ann'), { kind: 'plain', password: 'secret' })
  t.same(users.get('bob'), { kind: 'md5', hash: 'md5a6ee6ab3d1bbf2a8bcf9fd1eb3a5a3e8' })
  const cid = users.get('cid')
  if (cid?.kind !== 'scram') throw new Error('a verifier was expected')
  t.equal(cid.iterations, 4096)
  t.equal(cid.salt.length, 16)
  t.equal(cid.storedKey.length, 32)
  t.equal(cid.serverKey.length, 32)
  const [salt, stored, server] = [cid.salt, cid.storedKey, cid.serverKey].map((bytes) => bytes.toString('base64'))
  t.equal(`SCRAM-SHA-256$${cid.iterations}:${salt}$${stored}:${server}`, VERIFIER)
  t.same(users.get('dan'), { kind: 'plain', password: 'md5 is not a hash here' })
  t.equal(users.get('eve')?.kind, 'plain')
  t.same(users.get('fay'), { kind: 'plain', password: '' })
  t.end()
})

t.test('doubled quotes, comments, blank lines, CRLF, a BOM and trailing fields are as in PgBouncer', (t) => {
  const text = '\uFEFF; comment\r\n# comment\r\n\r\n  "a ""b"""\t"p""w" "2026-01-01" anything\r\n"ü" "pässword"\r\n'
  const users = parseUserlist(text, 'userlist.txt')
  t.same([...users.keys()], ['a "b"', 'ü'])
  t.same(users.get('a "b"'), { kind: 'plain', password: 'p"w' })
  t.same(users.get('ü'), { kind: 'plain', password: 'pässword' })
  t.end()
})

t.test('the last line of a user counts', (t) => {
  t.same(parseUserlist('"a" "1"\n"a" "2"', 'f').get('a'), { kind: 'plain', password: '2' })
  t.end()
})

t.test('an empty file has no users', (t) => {
  t.equal(parseUserlist('', 'f').size, 0)
  t.end()
})

t.test('every problem of a file is named with file and line, and no secret', (t) => {
  const problems = problemsOf(
    [
      'user secret',
      '"ok" "fine"',
      '"a" hunter2',
      '"b"',
      '"c" "hunter2',
      '"d" "hunter2""',
      '"" "hunter2"',
      '"e""hunter2"',
      `"${'x'.repeat(128)}" "hunter2"`,
      `"f" "${'x'.repeat(65532)}"`,
      '"g" "SCRAM-SHA-256$4096:hunter2"',
      '"h\0" "hunter2"',
    ].join('\n'),
  )
  t.equal(problems.length, 11)
  t.match(problems[0], /^userlist\.txt:1: expected "user" "secret"/)
  t.match(problems[1], /^userlist\.txt:3: expected "secret" in double quotes/)
  t.match(problems[2], /^userlist\.txt:4: expected white space and "secret"/)
  t.match(problems[3], /^userlist\.txt:5: .*closing quote is missing/)
  t.match(problems[4], /^userlist\.txt:6: .*closing quote is missing/)
  t.match(problems[5], /^userlist\.txt:7: the user name is empty/)
  t.match(problems[6], /^userlist\.txt:8: /)
  t.match(problems[7], /^userlist\.txt:9: the user name is longer than 127 bytes/)
  t.match(problems[8], /^userlist\.txt:10: the secret is longer than 65531 bytes/)
  t.match(problems[9], /^userlist\.txt:11: .*begins like a SCRAM verifier/)
  t.match(problems[10], /^userlist\.txt:12: the \S+( name)? contains a zero byte/)
  for (const problem of problems) t.notMatch(problem, /hunter2/)
  t.end()
})

t.test('a token of a cloud provider fits', (t) => {
  const token = 'x'.repeat(65531)
  t.same(parseUserlist(`"u" "${token}"`, 'f').get('u'), { kind: 'plain', password: token })
  t.end()
})

t.test('a damaged verifier is refused rather than taken for a password', (t) => {
  for (let cut = 'SCRAM-SHA-256$'.length; cut < VERIFIER.length; cut++) {
    t.equal(parseSecret(VERIFIER.slice(0, cut)), undefined, `cut at ${cut}`)
  }
  t.equal(parseSecret(VERIFIER.replace('4096', '0')), undefined)
  t.equal(parseSecret(VERIFIER.replace('4096', '-1')), undefined)
  t.equal(parseSecret(VERIFIER.replace('4096', '9999999999')), undefined)
  t.equal(parseSecret(VERIFIER.replace('W22Z', 'W2*Z')), undefined)
  t.equal(parseSecret(`${VERIFIER}x`), undefined)
  t.end()
})

t.test('random text is parsed or refused, nothing else', (t) => {
  const alphabet = ['"', '""', ' ', '\t', '\n', 'a', ';', '#', '\0', 'é', 'SCRAM-SHA-256$', 'md5', '\\']
  let seed = 1
  const next = () => (seed = (seed * 48271) % 2147483647)
  for (let i = 0; i < 3000; i++) {
    let text = ''
    for (let length = next() % 30; length > 0; length--) text += alphabet[next() % alphabet.length]
    problemsOf(text)
  }
  t.equal(problemsOf('"'.repeat(300_001)).length, 1)
  t.pass('no other exception')
  t.end()
})

t.test('a line that is written is read back', async (t) => {
  for (const user of ['ann', 'a"b"', ' x ', '#']) {
    const users = parseUserlist(`${userlistLine(user, VERIFIER)}\n`, 'userlist.txt')
    t.same([...users.keys()], [user])
    t.match(users.get(user), { kind: 'scram', iterations: 4096 })
  }
  t.match(userFault('a\nb'), 'line break')
  t.equal(userFault('a b'), undefined)
})

t.test('what cannot be a password', async (t) => {
  t.equal(passwordFault('secret'), undefined)
  t.equal(passwordFault('x'.repeat(65531)), undefined)
  for (const password of ['', 'a\0b', 'x'.repeat(65532), VERIFIER, 'SCRAM-SHA-256$x', `md5${'0'.repeat(32)}`]) {
    t.type(passwordFault(password), 'string')
  }
})
