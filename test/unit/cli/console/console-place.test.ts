/** Where the console is looked for, and as whom: URL before environment before configuration. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import t, { type Test } from 'tap'
import { findConsole, type PlaceInput } from '../../../../lib/cli/console/console-place.ts'
import { parseArgs } from '../../../../lib/cli/parse-args.ts'
import { resolveConfig } from '../../../../lib/config/load.ts'

const NO_FILE = { PGPASSFILE: '/no/such/file' }

function find(args: string[], env: Record<string, string> = {}, more: Partial<PlaceInput> = {}) {
  const { values, url, saysWhere } = parseArgs(args)
  const { config } = resolveConfig({ cli: values })
  const input = {
    url,
    env: { ...NO_FILE, ...env },
    config,
    configured: saysWhere,
    name: 'a test',
    warn: t.fail,
    ...more,
  }
  return findConsole(input)
}

t.test('the URL, then the environment, then the configuration', async (t) => {
  const env = { PGHOST: 'env', PGPORT: '7000', PGUSER: 'eve' }
  t.match(find(['ctl', '--url', 'url:7001'], env), {
    targets: [{ host: 'url', port: 7001 }],
    user: 'eve',
    source: 'URL',
  })
  t.match(find(['ctl', '--url', 'url'], env), { targets: [{ host: 'url', port: 6432 }] }, 'PGPORT is of PGHOST')
  t.match(find(['ctl'], env), { targets: [{ host: 'env', port: 7000 }], source: 'environment' })
  t.match(find(['ctl'], { PGHOST: 'a,b' }), { targets: [{ host: 'a' }, { host: 'b', port: 6432 }] })
  t.match(find(['ctl'], { PGPORT: '7000' }), { targets: [{ host: 'localhost', port: 7000 }] })
  t.match(find(['ctl', '-p', '7002'], env), { targets: [{ host: '127.0.0.1', port: 7002 }], source: 'configuration' })
  t.match(find(['ctl'], { PGHOST: '', PGUSER: 'eve' }), { source: 'configuration', user: 'eve' }, 'empty is none')
  t.match(find(['ctl', '--listen-host', '10.0.0.1']), { targets: [{ host: '10.0.0.1' }], user: 'pgbun' })
  t.match(find(['ctl', '--admin-users', 'a,b', '--stats-users', 'c']), { user: 'a' })
  t.match(find(['ctl', '--stats-users', 'c']), { user: 'c' })
})

t.test('who, with which password and how', async (t) => {
  t.match(find(['ctl']), { database: 'pgbouncer', applicationName: 'a test', negotiation: 'postgres', timeoutMs: 5000 })
  t.match(find(['ctl'], { PGDATABASE: 'shop' }), { database: 'pgbouncer' }, 'that of applications is not meant')
  const url = 'postgres://u:p@h/pgbun?sslmode=verify-ca&sslrootcert=/ca&connect_timeout=9&application_name=me'
  const place = find(['ctl', '--url', url], { PGSSLMODE: 'disable', PGPASSWORD: 'no', PGUSER: 'no' })
  t.match(place, {
    database: 'pgbun',
    user: 'u',
    tls: { mode: 'verify-ca', caFile: '/ca' },
    timeoutMs: 9000,
    applicationName: 'me',
  })
  t.equal(place.passwordFor(place.targets[0]!), 'p')
  const other = find(['ctl', '--url', 'h'], { PGPASSWORD: 'env', PGSSLMODE: 'require', PGSSLROOTCERT: 'system' })
  t.match(other, { tls: { mode: 'require', caFile: '' } })
  t.equal(other.passwordFor(other.targets[0]!), 'env')
  t.throws(() => find(['ctl'], { PGSSLMODE: 'on' }), /sslmode must be one of disable, allow/)
  t.throws(() => find(['ctl'], { PGCONNECT_TIMEOUT: '-1' }), /connect_timeout must be a number of seconds/)
})

t.test('a password file', async (t) => {
  const file = path.join(t.testdir({ pgpass: 'h:1:pgbouncer:u:one\n*:2:*:*:two\n' }), 'pgpass')
  chmodSync(file, 0o600)
  const place = find(['ctl', '--url', 'postgres://u@h:1,h:2,h:3'], { PGPASSFILE: file })
  t.strictSame(place.targets.map(place.passwordFor), ['one', 'two', undefined])
})

t.test('the unix socket of a configuration, if it is there', async (t) => {
  // t.testdir() is too long for the path of a socket.
  const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-place-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const args = ['ctl', '-p', '7003', '--unix-socket-dir', dir, '--admin-users', 'boss']
  t.match(find(args), { targets: [{ host: '127.0.0.1' }], user: 'boss' })
  const socket = path.join(dir, '.s.PGSQL.7003')
  await listen(t, socket)
  chmodSync(socket, 0o777)
  t.match(find(args), { targets: [{ host: dir, port: 7003 }], user: 'boss' }, 'others may open it, too')
  chmodSync(socket, 0o700)
  t.match(find(args), { targets: [{ host: dir }], user: 'pgbun' }, "the owner's")
})

async function listen(t: Test, socket: string): Promise<void> {
  const server = createServer()
  t.teardown(() => void server.close())
  await new Promise<void>((resolve) => void server.listen(socket, resolve))
}
