import t from 'tap'
import { isUnixDirectory, unixSocketPath } from '../../../lib/net/unix-path.ts'

t.test('directories of unix sockets', async (t) => {
  for (const host of ['/tmp', '/', '@pgbun']) t.ok(isUnixDirectory(host), host)
  for (const host of ['localhost', '127.0.0.1', '::1', '']) t.notOk(isUnixDirectory(host), host)
})

t.test('paths', async (t) => {
  for (const [directory, label] of [
    ['/tmp', '/tmp/.s.PGSQL.6432'],
    ['/tmp//', '/tmp/.s.PGSQL.6432'],
    ['/', '/.s.PGSQL.6432'],
  ] as const) {
    t.strictSame(unixSocketPath(directory, 6432, 'unix_socket_dir'), { path: label, label, abstract: false })
  }
})

t.test('a path the kernel would cut', async (t) => {
  const limit = process.platform === 'linux' ? 107 : 103
  const fits = `/${'x'.repeat(limit - '//.s.PGSQL.6432'.length)}`
  t.equal(unixSocketPath(fits, 6432, 'unix_socket_dir').path.length, limit)
  t.throws(() => unixSocketPath(`${fits}x`, 6432, 'unix_socket_dir'), {
    message: new RegExp(`unix_socket_dir: .* is ${limit + 1} bytes long, and a unix socket may have ${limit}`),
  })
})
