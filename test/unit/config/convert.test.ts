/** Which spellings of a value are accepted, and the exact words for those that are not. */
import t, { type Test } from 'tap'
import { convertValue, formatValue } from '../../../lib/config/convert.ts'
import { OPTION_NAMES, OPTIONS, type OptionName, optionRow } from '../../../lib/config/options.ts'
import type { Source } from '../../../lib/config/raw-value.ts'
import { MAX_DURATION } from '../../../lib/config/units.ts'

function accepts(t: Test, name: OptionName, value: unknown, expected: unknown, kind: Source['kind'] = 'file') {
  t.strictSame(convertValue(name, value, kind), { value: expected }, `${name} = ${String(value)}`)
}

function refuses(t: Test, name: OptionName, value: unknown, message: string, kind: Source['kind'] = 'file') {
  t.strictSame(convertValue(name, value, kind), { message }, `${name} = ${String(value)}`)
}

t.test('the messages of the manual', async (t) => {
  refuses(t, 'listen_port', '99999', 'Invalid port value: 99999. Must be between 1 and 65535', 'command line')
  refuses(t, 'listen_port', 99999, 'Invalid listen_port: 99999. Must be between 1 and 65535')
  refuses(t, 'server_connect_timeout', 500, 'Invalid server_connect_timeout: 500. Must be at least 1000ms')
  refuses(t, 'pool_mode', 'invalid', "Invalid pool mode 'invalid'. Must be one of: session, transaction, statement")
  refuses(t, 'log_level', 'loud', "Invalid log level 'loud'. Must be one of: debug, info, warn, error")
  refuses(
    t,
    'client_tls_mode',
    'on',
    "Invalid client TLS mode 'on'. Must be one of: disable, allow, prefer, require, verify-ca, verify-full, auto",
  )
})

t.test('port 0 is any free port where the answer is read at once', async (t) => {
  accepts(t, 'listen_port', '0', 0, 'command line')
  accepts(t, 'listen_port', 0, 0, 'library')
  refuses(t, 'listen_port', 0, 'Invalid listen_port: 0. Must be between 1 and 65535')
  refuses(t, 'listen_port', '0', 'Invalid listen_port: 0. Must be between 1 and 65535', 'environment')
  refuses(t, 'server_port', '0', 'Invalid port value: 0. Must be between 1 and 65535', 'command line')
})

t.test('whole numbers', async (t) => {
  accepts(t, 'pool_size', 7, 7)
  accepts(t, 'pool_size', ' 7 ', 7)
  accepts(t, 'pool_size', 1e3, 1000)
  for (const value of [
    '',
    '7.5',
    7.5,
    '0x10',
    '1e3',
    'seven',
    '-',
    Number.NaN,
    10n ** 20n,
    true,
    null,
    [7],
    new Date(0),
  ]) {
    t.match(convertValue('pool_size', value, 'file'), {
      message: /^Invalid pool_size: .*Must be between 1 and 1000000$/,
    })
  }
})

t.test('durations', async (t) => {
  accepts(t, 'query_timeout', 1500, 1500)
  accepts(t, 'query_timeout', '1500', 1500)
  accepts(t, 'query_timeout', '500ms', 500)
  accepts(t, 'query_timeout', '15s', 15_000)
  accepts(t, 'query_timeout', '1.1s', 1100)
  accepts(t, 'query_timeout', '10 min', 600_000)
  accepts(t, 'query_timeout', '1h', 3_600_000)
  accepts(t, 'query_timeout', '1d', 86_400_000)
  accepts(t, 'query_timeout', 0, 0)
  for (const value of [
    '1m',
    '15 sec',
    's',
    '',
    '0.5',
    0.5,
    '1h30min',
    true,
    Number.POSITIVE_INFINITY,
    'constructor',
    '1constructor',
  ]) {
    t.match(convertValue('query_timeout', value, 'file'), { message: /with a unit: ms, s, min, h, d$/ }, String(value))
  }
  refuses(t, 'query_timeout', -1, 'Invalid query_timeout: -1. Must not be negative')
  refuses(t, 'query_timeout', '30d', 'Invalid query_timeout: 30d. Must be at most 24d')
  accepts(t, 'query_timeout', MAX_DURATION, MAX_DURATION)
})

t.test('sizes', async (t) => {
  accepts(t, 'max_packet_size', 4096, 4096)
  accepts(t, 'max_packet_size', '64kB', 65_536)
  accepts(t, 'max_packet_size', '1.5 MB', 1_572_864)
  accepts(t, 'max_packet_size', '2KiB', 2048)
  for (const value of ['64 apples', '0.3kB', {}, false]) {
    t.match(convertValue('max_packet_size', value, 'file'), { message: /with a unit: B, kB, MB, GB$/ })
  }
  refuses(t, 'max_packet_size', '4GB', 'Invalid max_packet_size: 4GB. Must be between 1024 and 2147483647')
})

t.test('switches', async (t) => {
  for (const value of [true, 'true', 'on', 'YES', '1', 1]) accepts(t, 'log_connections', value, true)
  for (const value of [false, 'false', 'off', 'No', '0', 0]) accepts(t, 'log_connections', value, false)
  for (const value of ['maybe', '', 2, [], null]) {
    t.match(convertValue('log_connections', value, 'file'), { message: /Must be true or false$/ })
  }
})

t.test('lists', async (t) => {
  accepts(t, 'listen_host', '127.0.0.1, ::1,', ['127.0.0.1', '::1'])
  accepts(t, 'listen_host', ['127.0.0.1', '::1'], ['127.0.0.1', '::1'])
  accepts(t, 'listen_host', '', [])
  t.match(convertValue('listen_host', [1], 'file'), { message: /^Invalid listen_host: an array\. Must be texts/ })
})

t.test('texts', async (t) => {
  accepts(t, 'server_reset_query', '', '')
  accepts(t, 'unix_socket_mode', '0700', '0700')
  // 0o777 is the number 511, whose digits would make another, wrong mode.
  refuses(t, 'unix_socket_mode', 0o777, 'Invalid unix_socket_mode: 511. Must be a text in quotes')
  refuses(t, 'unix_socket_mode', '0999', 'Invalid unix_socket_mode: 0999. Must be three octal digits such as "0777"')
  refuses(
    t,
    'server_host',
    '',
    'Invalid server_host: (empty). Must be host names, addresses or socket directories, separated by commas; one with a port of its own is written host:port',
  )
  refuses(t, 'auth_file', 'a\0b', 'Invalid auth_file: a?b. Must not contain a null character')
  accepts(t, 'server_tls_protocols', 'tlsv1.2,tlsv1.3', 'tlsv1.2,tlsv1.3')
  t.match(convertValue('server_tls_protocols', 'sslv3', 'file'), { message: /Must be secure, all, or a list/ })
})

t.test('messages repeat no password', async (t) => {
  for (const value of ['postgres://u:hunter2@h/d', 'u:hunter2@h:5432', 'postgres://u:hun/ter2@h']) {
    const converted = convertValue('server_host', value, 'file')
    t.match(converted, { message: /^Invalid server_host: .*\*\*\*@h/ }, value)
    t.notMatch(converted, { message: /ter2/ }, value)
  }
})

t.test('messages stay on one line and stay short', async (t) => {
  const { message } = convertValue('pool_mode', `x\n\x1b[31m${'y'.repeat(10_000)}`, 'environment') as {
    message: string
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: their absence is the assertion
  t.notMatch(message, /[\u0000-\u001f]/)
  t.ok(message.length < 300)
})

t.test('every default is a value its own row accepts', async (t) => {
  for (const name of OPTION_NAMES) {
    accepts(t, name, OPTIONS[name].default, OPTIONS[name].default, 'library')
  }
})

t.test('a secret value is never shown', async (t) => {
  const row = { ...optionRow('server_reset_query'), secret: true }
  t.equal(formatValue(row, 'hunter2'), '"***"')
  t.equal(formatValue(row, ''), '""', 'whether it is set may be known')
})
