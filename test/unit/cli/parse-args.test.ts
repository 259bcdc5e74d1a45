/** What the command line accepts, and the words for what it does not. */
import t from 'tap'
import { helpText } from '../../../lib/cli/help-text.ts'
import { type CliRequest, parseArgs, UsageError } from '../../../lib/cli/parse-args.ts'
import { resolveConfig } from '../../../lib/config/load.ts'
import { OPTION_NAMES, optionRow } from '../../../lib/config/options.ts'

const config = (...argv: string[]) => resolveConfig({ cli: parseArgs(argv).values }).config

function mistake(...argv: string[]): string {
  try {
    parseArgs(argv)
  } catch (error) {
    if (error instanceof UsageError) return error.message
    throw error
  }
  return 'accepted'
}

t.test('commands', async (t) => {
  const commands: [string[], CliRequest['command']][] = [
    [[], 'start'],
    [['start'], 'start'],
    [['db.example.com'], 'start'],
    [['config', '--json'], 'config'],
    [['doctor', '--json', 'db.example.com'], 'doctor'],
    [['version'], 'version'],
    [['--version'], 'version'],
    [['help'], 'help'],
    [['help', 'config'], 'help'],
    [['-h'], 'help'],
    [['start', '--help'], 'help'],
  ]
  for (const [argv, command] of commands) t.equal(parseArgs(argv).command, command, argv.join(' '))
})

t.test('the user of a verifier', async (t) => {
  t.match(parseArgs(['hash-password']), { command: 'hash-password', user: undefined })
  t.match(parseArgs(['hash-password', 'start', '--scram-iterations', '5000']), { user: 'start', values: { length: 1 } })
  t.equal(parseArgs(['hash-password', '--', '-odd']).user, '-odd')
  t.equal(parseArgs(['start']).user, undefined)
  t.match(mistake('hash-password', ''), 'hash-password: the user name is empty')
  t.match(mistake('hash-password', 'x'.repeat(128)), 'the user name is longer than 127 bytes')
  t.match(mistake('hash-password', 'a\nb'), 'the user name contains a line break')
  for (const argv of [['app', 'hunter2'], ['app:hunter2'], ['--password=hunter2'], ['postgres://app:hunter2@db']]) {
    const message = mistake('hash-password', ...argv)
    t.match(message, '"pgbun hash-password USER" asks for it')
    t.notMatch(message, 'hunter2')
  }
  t.match(mistake('passwd'), /Unknown command 'passwd'.*pgbun hash-password USER/)
})

t.test('a statement for the console', async (t) => {
  t.match(parseArgs(['ctl']), { command: 'ctl', statement: '', url: undefined, everyMs: undefined, saysWhere: false })
  t.match(parseArgs(['ctl', 'SHOW POOLS', '--json', '--watch', '0.5']), { statement: 'SHOW POOLS', everyMs: 500 })
  t.match(parseArgs(['ctl', 'SET', 'pool_size', '=', '5', '-p', '7000']), {
    statement: 'SET pool_size = 5',
    saysWhere: true,
  })
  t.match(parseArgs(['ctl', '--url=postgres://u:p@h', 'PAUSE']), { url: 'postgres://u:p@h', statement: 'PAUSE' })
  t.match(parseArgs(['ctl', 'PAUSE', '-c', 'a.toml']), { saysWhere: true, configFile: 'a.toml' })
  t.match(parseArgs(['ctl', 'SHOW POOLS', '--pool-size', '3']), { saysWhere: false })
  for (const [argv, message] of [
    [['--watch', '0'], "--watch: Invalid value '0'. Must be 0.1 to 86400 seconds"],
    [['--watch', '1min'], "--watch: Invalid value '1min'"],
    [['--watch', '99999'], 'Must be 0.1 to 86400 seconds'],
    [['--watch'], '--watch needs a value'],
    [['--url', 'postgres://h:hunter2'], /^the URL of the console does not name a host and its port/],
    [['--url', 'h:0'], 'a port that is not 1 to 65535'],
    [['--url', ''], 'the URL of the console is empty'],
    [['--daemon'], '--daemon belongs to "pgbun start", not to "pgbun ctl"'],
    [['--dry-run'], '--dry-run belongs to "pgbun start"'],
  ] as [string[], string | RegExp][]) {
    t.match(mistake('ctl', 'SHOW POOLS', ...argv), message, argv.join(' '))
  }
})

t.test('what is watched', async (t) => {
  t.match(parseArgs(['top']), { command: 'top', url: undefined, everyMs: undefined })
  t.match(parseArgs(['top', 'postgres://u:p@h', '--interval', '2']), { url: 'postgres://u:p@h', everyMs: 2000 })
  t.match(parseArgs(['top', '--url', '/run/pgbun']), { url: '/run/pgbun', values: [] })
  t.match(parseArgs(['top', '-p', '7000']), { url: undefined, saysWhere: true })
  for (const argv of [
    ['a', 'b'],
    ['a', '--url', 'b'],
  ])
    t.match(mistake('top', ...argv), 'Unexpected argument after top')
  t.match(mistake('top', 'hunter2:x'), /^the URL of the console does not name a host and its port/)
  t.match(mistake('top', '--watch', '1'), '--watch belongs to the command "pgbun ctl"')
  t.match(mistake('top', '--interval', '0.05'), "--interval: Invalid value '0.05'. Must be 0.1 to 86400 seconds")
})

t.test('the shell of a completion', async (t) => {
  t.match(parseArgs(['completion']), { command: 'completion', shell: undefined })
  t.match(parseArgs(['completion', 'zsh']), { shell: 'zsh' })
  t.match(mistake('completion', 'tcsh'), "completion: Unknown shell 'tcsh'. Must be one of: bash, zsh, fish")
  t.match(mistake('completion', 'bash', 'zsh'), 'Unexpected argument after completion')
  t.match(mistake('completion', '--embedded'), '--embedded belongs to "pgbun start", not to "pgbun completion"')
})

t.test('the flags of a run', async (t) => {
  t.match(parseArgs([]), { dryRun: false, env: false, daemon: false, embedded: false, configFile: undefined })
  t.match(parseArgs(['--dry-run', '--env', '-d', '--embedded', '-c', 'a.toml']), {
    dryRun: true,
    env: true,
    daemon: true,
    embedded: true,
    configFile: 'a.toml',
  })
  t.equal(parseArgs(['--config=b.toml']).configFile, 'b.toml')
})

t.test('values of options', async (t) => {
  t.match(config('-p', '7000', '--pool-mode', 'transaction', '--query-timeout=15s', '--max-packet-size', '64kB'), {
    listenPort: 7000,
    poolMode: 'transaction',
    queryTimeout: 15_000,
    maxPacketSize: 65_536,
  })
  t.equal(config('-p7001').listenPort, 7001)
  t.equal(config('-p', '0').listenPort, 0)
  t.equal(config('--default-pool-size', '3').poolSize, 3)
  t.strictSame(config('--listen-host', '127.0.0.1,::1').listenHost, ['127.0.0.1', '::1'])
  t.equal(config('-p=7002').listenPort, 7002)
  t.equal(config('--server-reset-query', '').serverResetQuery, '')
  t.equal(config('--server-check-query=--x').serverCheckQuery, '--x')
})

t.test('switches', async (t) => {
  for (const off of [
    '--no-log-connections',
    '--log-connections=false',
    '--log-connections=off',
    '--log-connections=0',
  ]) {
    t.equal(config(off).logConnections, false, off)
  }
  for (const on of ['--server-round-robin', '--server-round-robin=true', '--server-round-robin=yes']) {
    t.equal(config(on).serverRoundRobin, true, on)
  }
  t.equal(config('--log-connections', '--no-log-connections').logConnections, false, 'the last one counts')
  for (const [argv, on] of [
    [['--tcp-keepalive', 'off'], false],
    [['--tcp-keepalive', 'NO'], false],
    [['--tcp-keepalive', '0'], false],
    [['--tcp-keepalive', 'false'], false],
    [['--no-tcp-keepalive', '--tcp-keepalive', 'on'], true],
  ] as [string[], boolean][]) {
    t.equal(config(...argv).tcpKeepalive, on, argv.join(' '))
  }
  t.match(parseArgs(['--daemon=no', '--json', 'off', '-d=off', '--no-embedded']), {
    daemon: false,
    json: false,
    embedded: false,
  })
  t.match(config('--server-round-robin', 'db.example.com'), { serverRoundRobin: true, serverHost: 'db.example.com' })
})

t.test('verbose and quiet are log levels', async (t) => {
  t.equal(config('-v').logLevel, 'debug')
  t.equal(config('--quiet').logLevel, 'error')
  t.equal(config('-v', '--no-verbose').logLevel, 'info')
})

t.test('the last one of several counts', async (t) => {
  t.equal(config('-p', '1', '--listen-port', '2').listenPort, 2)
  t.equal(config('--listen-port=2', '-p1').listenPort, 1)
  t.equal(config('--pool-size', '1', '--default-pool-size', '2').poolSize, 2)
  t.equal(config('--default-pool-size', '2', '--pool-size', '1').poolSize, 1)
  t.strictSame(config('--listen-host', '127.0.0.1', '--listen-host', '::1').listenHost, ['::1'])
  t.equal(config('--auth-file', '', '--auth-file=').authFile, '')
  t.equal(config('-vq').logLevel, 'error')
  t.equal(config('-v', '--log-level', 'info').logLevel, 'info')
  t.equal(config('--log-level', 'info', '-v').logLevel, 'debug')
  t.equal(config('--no-log-connections', '--log-connections').logConnections, true)
  t.equal(parseArgs(['-c', 'a', '--config=b']).configFile, 'b')
  t.equal(parseArgs(['-d', '--no-daemon']).daemon, false)
  t.equal(mistake('-p', 'x', '-p', '1'), '--listen-port: Invalid port value: x. Must be between 1 and 65535')
})

t.test('the server argument', async (t) => {
  t.match(config('db.example.com:5433'), { serverHost: 'db.example.com', serverPort: 5433 })
  t.match(config('localhost', '--dry-run'), { serverHost: 'localhost' })
  t.match(config('db:5433'), { serverHost: 'db', serverPort: 5433 })
  t.match(config(':5433'), { serverHost: 'localhost', serverPort: 5433 })
  t.match(config('@abstract'), { serverHost: '@abstract' })
  t.match(config('postgres://db', '--pool-size', '3'), { serverHost: 'db', poolSize: 3 })
  t.match(config('--server-host', 'reload'), { serverHost: 'reload' })
  t.match(config('start', 'postgres://db?sslmode=require'), { serverHost: 'db', serverTlsMode: 'require' })
  t.match(config('-v', '/run/pg'), { serverHost: '/run/pg', logLevel: 'debug' })
  t.match(config('--', '::1'), { serverHost: '::1' })
})

t.test('a stray word is not the name of a server', async (t) => {
  const commands = /^Commands: start, config, doctor, health, ctl, /m
  for (const word of [
    'stop',
    'status',
    'reload',
    'check',
    'pause',
    'logs',
    'db',
    'START',
    'a-b',
    '5433',
    '-',
    'naïve',
  ]) {
    for (const argv of [
      [word],
      ['start', word],
      ['config', word],
      ['--', word],
      ['-v', word],
      [word, 'x.example.com'],
    ]) {
      if (word === '5433' && argv[0] === '-v') continue
      t.match(mistake(...argv), new RegExp(`'${word}'`), argv.join(' '))
      t.match(mistake(...argv), commands, argv.join(' '))
    }
  }
  t.match(mistake('db'), 'A server of that name: --server-host db or postgres://db')
  const hints: [string[], string | RegExp][] = [
    [['stop'], /SIGTERM/],
    [['reload'], /SIGHUP/],
    [['check'], 'pgbun --dry-run'],
    [['confg'], "Unknown command 'confg'. Did you mean config?"],
    [['--tcp-keepalive', 'maybe'], "--tcp-keepalive: Invalid value 'maybe'. Must be true or false"],
    [['--tcp-keepalive', 'maybe'], commands],
    [['--no-tcp-keepalive', 'off'], /^--no-tcp-keepalive takes no value/],
    [['pool_mode=transaction'], '--pool-mode=VALUE'],
    [['\u2014daemon'], /long dash/],
    [['a\x1b[2Jb'], "'a?[2Jb'"],
    [['pgbouncer.ini'], '--config pgbouncer.ini'],
    [['/etc/pgbun.toml'], '--config /etc/pgbun.toml'],
    [['./pgbun.toml'], '--config ./pgbun.toml'],
    [['start', 'pgbun.toml'], '--config pgbun.toml'],
    [['host=db.example.com'], /^the server argument: Is not host/],
    [['.'], /^the server argument: Is not host/],
    [[''], /^the server argument: Names no server/],
  ]
  for (const [argv, message] of hints) t.match(mistake(...argv), message, argv.join(' '))
  t.equal(parseArgs(['stop', '--help']).command, 'help')
})

t.test('mistakes', async (t) => {
  const mistakes: [string[], string | RegExp][] = [
    [['--listen-port', '99999'], '--listen-port: Invalid port value: 99999. Must be between 1 and 65535'],
    [['-p', '-1'], '--listen-port: Invalid port value: -1. Must be between 1 and 65535'],
    [['--server-port', 'x'], '--server-port: Invalid port value: x. Must be between 1 and 65535'],
    [
      ['--pool-mode', 'invalid'],
      "--pool-mode: Invalid pool mode 'invalid'. Must be one of: session, transaction, statement",
    ],
    [['--log-level', 'x'], "--log-level: Invalid log level 'x'. Must be one of: debug, info, warn, error"],
    [
      ['--server-connect-timeout', '500'],
      '--server-connect-timeout: Invalid server_connect_timeout: 500. Must be at least 1000ms',
    ],
    [['--log-connections=maybe'], "--log-connections: Invalid value 'maybe'. Must be true or false"],
    [['--listen-prot', '1'], 'Unknown option --listen-prot. Did you mean --listen-port?'],
    [['--no-log-conections'], 'Unknown option --no-log-conections. Did you mean --no-log-connections?'],
    [['--listen_port', '1'], 'Unknown option --listen_port. Did you mean --listen-port?'],
    [['--listen-addr', '*'], "Unknown option --listen-addr. PgBouncer's listen_addr is --listen-host here"],
    [['--dryrun'], 'Unknown option --dryrun. Did you mean --dry-run?'],
    [['--xyzzy'], 'Unknown option --xyzzy. "pgbun --help" lists all options'],
    [['--constructor', 'x'], 'Unknown option --constructor. "pgbun --help" lists all options'],
    [['--__proto__', 'x'], /^Unknown option --__proto__/],
    [['-x'], 'Unknown option -x. "pgbun --help" lists all options'],
    [['-vx'], 'Unknown option -x. "pgbun --help" lists all options'],
    [['--no-pool-mode'], '--no-pool-mode: only switches can be turned off with --no-'],
    [['--no-tcp-keepalive=on'], '--no-tcp-keepalive takes no value. Write --tcp-keepalive=VALUE'],
    [['--no-config'], '--no-config: only switches can be turned off with --no-'],
    [['--verbose=maybe'], "--verbose: Invalid value 'maybe'. Must be true or false"],
    [['-d=maybe'], "--daemon: Invalid value 'maybe'. Must be true or false"],
    [['--log-connections='], "--log-connections: Invalid value ''. Must be true or false"],
    [['--listen-port='], '--listen-port: Invalid port value: (empty). Must be between 1 and 65535'],
    [['--listen-port=0x10'], '--listen-port: Invalid port value: 0x10. Must be between 1 and 65535'],
    [['--pool-size', '1e3'], '--pool-size: Invalid pool_size: 1e3. Must be between 1 and 1000000'],
    [['--pool-size', '2.5'], '--pool-size: Invalid pool_size: 2.5. Must be between 1 and 1000000'],
    [['--query-timeout='], /^--query-timeout: Invalid query_timeout: \(empty\)\. Must be milliseconds/],
    [['--config='], '--config needs the name of a file'],
    [['--server-host', 'db:5433x'], /^--server-host: .*written host:port$/],
    [['--server-host', 'postgres://db'], /^--server-host: /],
    [['-1'], 'Unknown option -1. "pgbun --help" lists all options'],
    [['-V'], 'Unknown option -V. Did you mean --version?'],
    [['--p', '1'], /^Unknown option --p\./],
    [['--=1'], /^Unknown option --\./],
    [['-p'], '-p needs a value. Where the value begins with a dash, write -pVALUE'],
    [['--pool-mode'], '--pool-mode needs a value. Where the value begins with a dash, write --pool-mode=VALUE'],
    [['--pool-mode', '-v'], /^--pool-mode needs a value/],
    [['db:5432', '--server-host', 'other'], /both set server_host\. Give one of them$/],
    [['db1:5432', 'hunter2'], /^Unexpected argument after start\. Usage: /],
    [['version', 'hunter2'], /^Unexpected argument after version\./],
    [['postgres://app:hunter2@db'], /^the server argument: Contains a user name or password/],
    [['postgres://db?sslmode=on'], /^the server argument: Invalid server TLS mode 'on'/],
    [
      ['--embedded', 'db.example.com'],
      '--embedded brings its own server, so the server argument cannot be used with it',
    ],
    [['--embedded', '--server-port', '1'], /--server-port cannot be used with it$/],
    [['--json'], '--json belongs to the commands "pgbun config", "pgbun doctor" and "pgbun ctl"'],
    [['--url', 'db'], '--url belongs to the commands "pgbun ctl" and "pgbun top"'],
    [['config', '--watch=1'], '--watch belongs to the command "pgbun ctl"'],
    [['doctor', '--embedded'], /^--embedded brings its own server when it starts/],
  ]
  for (const [argv, message] of mistakes) {
    t.match(mistake(...argv), message, argv.join(' '))
    t.notMatch(mistake(...argv), 'hunter2')
  }
})

t.test('every option has a flag that takes its default', async (t) => {
  for (const name of OPTION_NAMES) {
    const flag = name.replaceAll('_', '-')
    const row = optionRow(name)
    const argv = row.kind === 'bool' ? [row.default ? `--${flag}` : `--no-${flag}`] : [`--${flag}=${row.default}`]
    t.strictSame(config(...argv), config(), name)
  }
})

t.test('the help names every option and fits its width', async (t) => {
  const help = await helpText(90)
  for (const name of OPTION_NAMES) t.match(help, `--${name.replaceAll('_', '-')} `)
  for (const command of ['start', 'config', 'version', 'help']) t.match(help, `pgbun ${command} `)
  t.ok(Math.max(...help.split('\n').map((line) => line.length)) <= 90)
})
