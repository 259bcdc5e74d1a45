/** What the command line accepts, and the words for what it does not. */
import t from 'tap'
import { type CliRequest, helpText, parseArgs, UsageError } from '../../../lib/cli/parse-args.ts'
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
    [['version'], 'version'],
    [['--version'], 'version'],
    [['help'], 'help'],
    [['help', 'config'], 'help'],
    [['-h'], 'help'],
    [['start', '--help'], 'help'],
  ]
  for (const [argv, command] of commands) t.equal(parseArgs(argv).command, command, argv.join(' '))
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
  t.strictSame(config('--listen-host', '127.0.0.1', '--listen-host', '::1').listenHost, ['127.0.0.1', '::1'])
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
  t.match(config('--server-round-robin', 'db.example.com'), { serverRoundRobin: true, serverHost: 'db.example.com' })
})

t.test('verbose and quiet are log levels', async (t) => {
  t.equal(config('-v').logLevel, 'debug')
  t.equal(config('--quiet').logLevel, 'error')
  t.equal(mistake('-vq'), '--verbose and --quiet both set log_level. Give one of them')
  t.equal(mistake('-v', '--log-level', 'info'), '--log-level and --verbose both set log_level. Give one of them')
})

t.test('the server argument', async (t) => {
  t.match(config('db.example.com:5433'), { serverHost: 'db.example.com', serverPort: 5433 })
  t.match(config('start', 'postgres://db?sslmode=require'), { serverHost: 'db', serverTlsMode: 'require' })
  t.match(config('-v', '/run/pg'), { serverHost: '/run/pg', logLevel: 'debug' })
  t.match(config('--', '::1'), { serverHost: '::1' })
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
    [['--no-verbose'], /^--no-verbose: only switches/],
    [['-p'], '-p needs a value. Where the value begins with a dash, write -pVALUE'],
    [['--pool-mode'], '--pool-mode needs a value. Where the value begins with a dash, write --pool-mode=VALUE'],
    [['--pool-mode', '-v'], /^--pool-mode needs a value/],
    [['-p', '1', '--listen-port', '2'], '--listen-port is given more than once'],
    [['-c', 'a', '-c', 'b'], '--config is given more than once'],
    [['--pool-size', '1', '--default-pool-size', '2'], /both set pool_size\. Give one of them$/],
    [['db', '--server-host', 'other'], /both set server_host\. Give one of them$/],
    [['confg'], "Unknown command 'confg'. Did you mean config? A server of that name: --server-host confg"],
    [['db1', 'hunter2'], /^Unexpected argument after start\. Usage: /],
    [['version', 'hunter2'], /^Unexpected argument after version\./],
    [['postgres://app:hunter2@db'], /^the server argument: Contains a user name or password/],
    [['postgres://db?sslmode=on'], /^the server argument: Invalid server TLS mode 'on'/],
    [
      ['--embedded', 'db.example.com'],
      '--embedded brings its own server, so the server argument cannot be used with it',
    ],
    [['--embedded', '--server-port', '1'], /--server-port cannot be used with it$/],
    [['--json'], '--json belongs to the command "pgbun config"'],
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
