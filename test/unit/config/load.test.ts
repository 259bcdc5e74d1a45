/** Where values come from, which one wins, and that every mistake is reported with its place and remedy. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type ConfigInput, resolveConfig } from '../../../lib/config/load.ts'
import { ConfigError, type RawValue } from '../../../lib/config/raw-value.ts'

function flag(name: RawValue['name'], value: unknown): RawValue {
  return { name, value, source: { kind: 'command line', where: `--${name.replaceAll('_', '-')}` } }
}

function problemsOf(input: ConfigInput): string[] {
  try {
    resolveConfig(input)
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n')
    throw error
  }
  return []
}

/** Writes a TOML file and returns its path. */
function tomlFile(t: Test, text: string | Buffer): string {
  const path = join(t.testdir({}), 'pgbun.toml')
  writeFileSync(path, text)
  return path
}

t.test('the defaults', async (t) => {
  const { config, sources, warnings } = resolveConfig({})
  t.match(config, {
    listenPort: 6432,
    listenHost: ['0.0.0.0'],
    serverHost: 'localhost',
    serverPort: 5432,
    poolMode: 'session',
    maxClientConn: 100,
    poolSize: 25,
    clientTlsMode: 'auto',
    serverTlsMode: 'prefer',
    authType: 'passthrough',
    serverConnectTimeout: 15_000,
    clientLoginTimeout: 60_000,
    serverIdleTimeout: 600_000,
    clientIdleTimeout: 0,
    statsPeriod: 60_000,
  })
  t.ok(Object.isFrozen(config) && Object.isFrozen(config.listenHost))
  t.equal(sources.listen_port.kind, 'default')
  t.strictSame(warnings, [])
})

t.test('command line over environment over file over default, and the place of each is known', async (t) => {
  const file = tomlFile(t, '[pool]\npool_size = 1\nmax_client_conn = 1\n\n[timeouts]\nquery_timeout = "1min"\n')
  const { config, sources } = resolveConfig({
    file,
    env: { PGBUN_POOL_SIZE: '2', PGBUN_MAX_CLIENT_CONN: '2', PATH: '/bin' },
    cli: [flag('pool_size', '3')],
  })
  t.match(config, { poolSize: 3, maxClientConn: 2, queryTimeout: 60_000, poolMode: 'session' })
  t.match(sources, {
    pool_size: { kind: 'command line', where: '--pool-size' },
    max_client_conn: { kind: 'environment', where: 'PGBUN_MAX_CLIENT_CONN' },
    query_timeout: { kind: 'file', where: `${file}:6` },
    pool_mode: { kind: 'default' },
  })
})

t.test('options of the library win and are checked alike', async (t) => {
  const { config, sources } = resolveConfig({
    options: { listenPort: 0, queryTimeout: '15s', listenHost: '127.0.0.1,::1', poolSize: undefined },
    env: { PGBUN_LISTEN_PORT: '7000' },
  })
  t.match(config, { listenPort: 0, queryTimeout: 15_000, listenHost: ['127.0.0.1', '::1'], poolSize: 25 })
  t.equal(sources.listen_port.where, 'listenPort')
  t.strictSame(problemsOf({ options: { poolMod: 'x', pool_size: 1, listenPort: -1, listenAddr: '*' } as object }), [
    'poolMod: Unknown option. Did you mean poolMode?',
    'pool_size: Unknown option. Write poolSize',
    "listenAddr: Unknown option. PgBouncer's listen_addr is listenHost here",
    'listenPort: Invalid listen_port: -1. Must be between 1 and 65535',
  ])
})

t.test('all problems of all sources are reported at once', async (t) => {
  const file = tomlFile(
    t,
    `pool_mode = "session"
foo = 1

[server]
listen_port = 99999
pool_size = 5
listen_prot = 1

[timeouts]
server_connect_timeout = 500

[pol]
a = 1

[queries]
x = 1

[pool]
default_pool_size = 1
pool_size = 2
`,
  )
  t.strictSame(problemsOf({ file, env: { PGBUN_POOL_MODE: 'x' }, cli: [flag('listen_port', '99999')] }), [
    `${file}:1: pool_mode must be in section [pool]`,
    `${file}:2: Unknown key 'foo' outside of a section. "pgbun config" lists all options`,
    `${file}:6: pool_size belongs in section [pool], not in [server]`,
    `${file}:7: Unknown key 'listen_prot' in [server]. Did you mean listen_port?`,
    `${file}:12: Unknown section [pol]. Did you mean [pool]?`,
    `${file}:15: Unknown section [queries]. Must be one of: [server], [pool], [logging], [timeouts], [auth], [tls], [http], [process], [databases.NAME], [users.NAME], [peers]`,
    `${file}:20: pool_size and default_pool_size are the same option. Keep one of them`,
    `${file}:5: Invalid listen_port: 99999. Must be between 1 and 65535`,
    `${file}:10: Invalid server_connect_timeout: 500. Must be at least 1000ms`,
    `PGBUN_POOL_MODE: Invalid pool mode 'x'. Must be one of: session, transaction, statement`,
    '--listen-port: Invalid port value: 99999. Must be between 1 and 65535',
  ])
})

t.test('files that cannot be used', async (t) => {
  const dir = t.testdir({ 'bad.toml': '[server]\nlisten_host = localhost\n' })
  t.strictSame(problemsOf({ file: join(dir, 'none.toml') }), [
    `Configuration file not found: ${join(dir, 'none.toml')}`,
  ])
  t.strictSame(problemsOf({ file: dir }), [`Configuration file cannot be read: ${dir}: it is a directory (EISDIR)`])
  const [syntax] = problemsOf({ file: join(dir, 'bad.toml') })
  t.match(syntax, `${join(dir, 'bad.toml')}:2: Not valid TOML: `)
  t.match(syntax, 'Texts need quotes')
})

t.test('a file where the directory of a socket should be', async (t) => {
  const dir = t.testdir({ file: '' })
  const cli = (value: string) => [
    { name: 'server_host', value, source: { kind: 'command line', where: '--server-host' } } as const,
  ]
  t.match(problemsOf({ cli: cli(join(dir, 'file')) }), [/^--server-host: server_host is a file: .*directory/])
  t.equal(resolveConfig({ cli: cli(dir) }).config.serverHost, dir)
  t.equal(resolveConfig({ cli: cli('/not/there/yet') }).config.serverHost, '/not/there/yet')
})

t.test('odd but valid files', async (t) => {
  t.equal(resolveConfig({ file: tomlFile(t, '') }).config.poolSize, 25)
  t.equal(resolveConfig({ file: tomlFile(t, '\ufeff[pool]\r\npool_size = 3\r\n') }).config.poolSize, 3)
  t.equal(resolveConfig({ file: tomlFile(t, 'pool.pool_size = 4') }).config.poolSize, 4)
  t.equal(resolveConfig({ file: tomlFile(t, 'pool = { default_pool_size = 5 }') }).config.poolSize, 5)
})

t.test('files of random bytes give an error or a configuration, nothing else', async (t) => {
  let seed = 7
  const random = () => (seed = (seed * 1103515245 + 12345) % 2 ** 31)
  const words = ['[pool]', 'pool_size', '=', '1', '"', '\n', '[', ']', '__proto__', '.', '{', '}', ',', '\0', 'é', '#']
  for (let i = 0; i < 300; i++) {
    const text = Array.from({ length: random() % 12 }, () => words[random() % words.length]).join(
      random() % 2 ? ' ' : '',
    )
    t.doesNotThrow(() => problemsOf({ file: tomlFile(t, text) }), JSON.stringify(text))
  }
  t.equal(({} as { pool_size?: number }).pool_size, undefined, 'no prototype was changed')
})

t.test('the environment', async (t) => {
  t.equal(resolveConfig({ env: { PGBUN_DEFAULT_POOL_SIZE: '9' } }).config.poolSize, 9)
  t.equal(resolveConfig({ env: { PGBUN_LOG_CONNECTIONS: 'false' } }).config.logConnections, false)
  t.equal(resolveConfig({ env: { PGBUN_POOL_SIZE: '' } }).config.poolSize, 25, 'empty is unset')
  t.equal(resolveConfig({ env: { PGBUN_SERVER_RESET_QUERY: '' } }).config.serverResetQuery, '', 'unless it is a text')
  t.strictSame(problemsOf({ env: { PGBUN_POOL_SIZE: '1', PGBUN_DEFAULT_POOL_SIZE: '1' } }), [
    'PGBUN_DEFAULT_POOL_SIZE: PGBUN_POOL_SIZE is the same option. Keep one of them',
  ])
  const { warnings } = resolveConfig({
    env: {
      PGBUN_POOL_SIZ: '1',
      PGBUN_TEST_RUNTIME: 'bun',
      // What Kubernetes sets for a service named pgbun.
      PGBUN_SERVICE_HOST: '10.0.0.1',
      PGBUN_PORT: 'tcp://10.0.0.1:6432',
      PGBUN_PORT_6432_TCP_ADDR: '10.0.0.1',
    },
  })
  t.strictSame(warnings, ['PGBUN_POOL_SIZ: Unknown variable, ignored. Did you mean PGBUN_POOL_SIZE?'])
})

t.test('seconds written as a plain number are questioned', async (t) => {
  const { config, warnings } = resolveConfig({ env: { PGBUN_QUERY_WAIT_TIMEOUT: '120' } })
  t.equal(config.queryWaitTimeout, 120)
  t.strictSame(warnings, [
    'PGBUN_QUERY_WAIT_TIMEOUT: query_wait_timeout is 120 milliseconds. If that is meant, write "120ms", otherwise "2min"',
  ])
  t.strictSame(resolveConfig({ env: { PGBUN_QUERY_WAIT_TIMEOUT: '120ms' } }).warnings, [])
})

t.test('TLS needs its files', async (t) => {
  const dir = t.testdir({ key: 'k', cert: 'c' })
  const [key, cert] = [join(dir, 'key'), join(dir, 'cert')]
  t.strictSame(problemsOf({ cli: [flag('client_tls_mode', 'require')] }), [
    '--client-tls-mode: TLS mode is enabled, but key/cert files are not configured. ' +
      'Set client_tls_key_file and client_tls_cert_file, or client_tls_mode to disable',
  ])
  t.strictSame(
    problemsOf({ options: { clientTlsMode: 'require', clientTlsKeyFile: key, clientTlsCertFile: cert } }),
    [],
  )
  t.strictSame(
    problemsOf({ options: { clientTlsMode: 'verify-full', clientTlsKeyFile: key, clientTlsCertFile: cert } }),
    ['clientTlsMode: client_tls_mode verify-full needs client_tls_ca_file to check clients with'],
  )
  t.strictSame(problemsOf({ cli: [flag('server_tls_ca_file', '/no/such/ca.pem')] }), [
    '--server-tls-ca-file: server_tls_ca_file names a file that does not exist: /no/such/ca.pem',
  ])
  t.strictSame(problemsOf({ cli: [flag('server_tls_ca_file', dir)] }), [
    `--server-tls-ca-file: server_tls_ca_file is a directory, not a file: ${dir}`,
  ])
  t.strictSame(problemsOf({ cli: [flag('server_tls_key_file', key)] }), [
    '--server-tls-key-file: server_tls_key_file is set, but server_tls_cert_file is not. A client certificate needs both',
  ])
  t.match(problemsOf({ cli: [flag('server_tls_negotiation', 'direct')] }), [/cannot fall back to plain connections/])
  chmodSync(key, 0o600)
  t.strictSame(problemsOf({ options: { clientTlsKeyFile: key } }), [
    'clientTlsKeyFile: client_tls_key_file is set, but client_tls_cert_file is not. A certificate needs its key',
  ])
  t.strictSame(problemsOf({ options: { clientTlsKeyFile: key, clientTlsCertFile: cert } }), [], 'auto takes them')
  const disabled = { clientTlsMode: 'disable', clientTlsKeyFile: key } as const
  t.match(resolveConfig({ options: disabled }).warnings, [/client_tls_key_file is not used/])
})

t.test('authentication follows from the auth_file', async (t) => {
  const authFile = join(t.testdir({ users: '"a" "b"\n' }), 'users')
  chmodSync(authFile, 0o600)
  t.equal(resolveConfig({ options: { authFile } }).config.authType, 'scram-sha-256')
  t.equal(resolveConfig({ options: { authFile, authType: 'md5' } }).config.authType, 'md5')
  t.match(resolveConfig({ options: { authFile, authType: 'passthrough' } }).warnings, [/auth_file is not used/])
  t.match(problemsOf({ options: { authType: 'md5' } }), [/auth_type md5 needs auth_file/])
  t.match(problemsOf({ options: { authFile: `${authFile}.none` } }), [/auth_file names a file that does not exist/])
})

t.test('files that others may read or change are warned of', async (t) => {
  const dir = t.testdir({ users: '"a" "b"\n', key: 'k', cert: 'c' })
  const [authFile, key, cert] = ['users', 'key', 'cert'].map((name) => join(dir, name)) as [string, string, string]
  const warnings = (mode: number): string[] => {
    for (const path of [authFile, key, cert]) chmodSync(path, mode)
    const options = { authFile, clientTlsMode: 'require', clientTlsKeyFile: key, clientTlsCertFile: cert } as const
    return resolveConfig({ options }).warnings.map((text) => text.replaceAll(dir, ''))
  }
  t.strictSame(warnings(0o600), [])
  t.strictSame(warnings(0o640), [], 'a group may share them')
  t.strictSame(warnings(0o644), [
    'authFile: auth_file can be read by every account of this machine (mode 0644): /users. Take that away with chmod 600',
    'clientTlsKeyFile: client_tls_key_file can be read by every account of this machine (mode 0644): /key. Take that away with chmod 600',
  ])
  t.strictSame(warnings(0o660), [
    'authFile: auth_file can be changed by its group (mode 0660): /users. Take that away with chmod 600',
    'clientTlsKeyFile: client_tls_key_file can be changed by its group (mode 0660): /key. Take that away with chmod 600',
  ])
  t.match(warnings(0o606), [
    /auth_file can be read and changed/,
    /key_file can be read and/,
    /cert_file can be changed by every/,
  ])
})

t.test('trust beside a list with passwords is warned of', async (t) => {
  const dir = t.testdir({ users: '"a" ""\n"b" "secret"\n', names: '"a" ""\n', broken: 'nonsense' })
  const warnings = (name: string, authType: 'trust' | 'md5'): string[] => {
    const authFile = join(dir, name)
    chmodSync(authFile, 0o600)
    return resolveConfig({ options: { authFile, authType } }).warnings
  }
  t.match(warnings('users', 'trust'), [/auth_type trust asks nobody for a password, although auth_file has some/])
  t.strictSame(warnings('names', 'trust'), [], 'a list of names is what trust needs')
  t.strictSame(warnings('users', 'md5'), [])
  t.strictSame(warnings('broken', 'trust'), [], 'which is reported where it is loaded')
})

t.test('combinations that cannot work', async (t) => {
  t.match(problemsOf({ options: { listenHost: [] } }), [/Nothing to listen on/])
  t.strictSame(problemsOf({ options: { listenHost: [], unixSocketDir: '/tmp' } }), [])
  t.match(problemsOf({ cli: [flag('listen_port', '5432')] }), [/^--listen-port: pgbun would forward to itself/])
  t.match(problemsOf({ cli: [flag('server_port', '6432')] }), [/^--server-port: pgbun would forward to itself/])
  t.strictSame(problemsOf({ options: { listenPort: 5432, serverHost: 'db.example.com' } }), [])
  t.match(problemsOf({ options: { minPoolSize: 30 } }), [/min_pool_size 30 is larger than pool_size 25/])
})
