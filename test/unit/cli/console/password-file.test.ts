/** The password file is read as libpq reads it. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { passwordIn, readPassword } from '../../../../lib/cli/console/password-file.ts'

const LOGIN = { host: 'db', port: 6432, database: 'pgbouncer', user: 'boss' }

t.test('the first line that fits', async (t) => {
  const find = (text: string, login = LOGIN) => passwordIn(text, login)
  t.equal(find('db:6432:pgbouncer:boss:secret\n'), 'secret')
  t.equal(find('# comment\n\nother:*:*:*:no\r\n*:*:*:*:any\r\ndb:*:*:*:late'), 'any')
  t.equal(find(String.raw`*:*:*:boss:a\:b\\c:d`), String.raw`a:b\c:d`, 'colons after the fourth are the password')
  t.equal(find(String.raw`d\:b:*:*:*:x`, { ...LOGIN, host: 'd:b' }), 'x')
  t.equal(find(String.raw`\*:*:*:*:x`), undefined, 'an escaped star is a star')
  t.equal(find(String.raw`\*:*:*:*:x`, { ...LOGIN, host: '*' }), 'x')
  for (const text of ['', 'db:6432:pgbouncer:boss', 'db:6433:*:*:x', '#*:*:*:*:x']) t.equal(find(text), undefined, text)
})

t.test('a file that others may read is not used', async (t) => {
  const dir = t.testdir()
  const file = path.join(dir, 'pgpass')
  const warnings: string[] = []
  const read = (name: string) => readPassword(name, LOGIN, (message) => warnings.push(message))
  t.equal(read(file), undefined)
  t.strictSame(warnings, [], 'none is fine')
  writeFileSync(file, '*:*:*:*:secret\n')
  chmodSync(file, 0o600)
  t.equal(read(file), 'secret')
  chmodSync(file, 0o640)
  t.equal(read(file), undefined)
  mkdirSync(path.join(dir, 'd'))
  t.equal(read(path.join(dir, 'd')), undefined)
  t.match(warnings, [/others may read it\. chmod 600/, /no plain file/])
  t.equal(warnings.length, 2)
})
