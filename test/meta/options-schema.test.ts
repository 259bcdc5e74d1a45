/**
 * The JSON Schema of the TOML file and pgbun agree: the documents' examples and the output of `pgbun config` are valid,
 * mistakes are not, and of each option the schema accepts what convert.ts accepts.
 */
import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import t from 'tap'
import { configToml } from '../../lib/cli/show-config.ts'
import { convertValue } from '../../lib/config/convert.ts'
import { resolveConfig } from '../../lib/config/load.ts'
import { OPTION_NAMES, optionRow, SCOPED_GROUPS, scopedNames, settingRow } from '../../lib/config/options.ts'
import { parseToml } from '../../lib/config/parse-toml.ts'
import { atOnce } from '../../lib/util/steps.ts'
import { optionsSchema } from './options-schema.ts'

const ROOT = new URL('../../', import.meta.url)
const validate = new Ajv({ strict: true, strictRequired: false }).compile(JSON.parse(optionsSchema()))

function faults(toml: string): string[] {
  const valid = validate(atOnce(parseToml(toml)))
  return valid ? [] : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)
}

for (const file of ['README.md', 'CONFIG.md', 'CLI.md', 'TLS.md', 'TRANSACTION-MODE.md', 'CONSOLE.md', 'SECURITY.md']) {
  t.test(`the examples of ${file} are valid`, async (t) => {
    const text = readFileSync(new URL(file, ROOT), 'utf8')
    for (const [, toml] of text.matchAll(/^ *```toml\n([\s\S]*?)^ *```/gm)) t.same(faults(toml!), [], toml!)
  })
}

t.test('the output of pgbun config is valid, and read back', async (t) => {
  const options = {
    listenHost: '127.0.0.1,::1',
    scramSaltSecret: 'x',
    queryTimeout: 1500,
    databases: { app: { host: '[::1]:5433,db', poolSize: 3, queryTimeout: '5s' }, '*': {} },
    users: { batch: { poolMode: 'transaction', clientIdleTimeout: 0 } },
  } as const
  for (const resolved of [resolveConfig({}), resolveConfig({ options })]) {
    const toml = configToml(resolved, 'file:///opt/pgbun.schema.json')
    t.match(toml, /^#:schema file:\/\/\/opt\/pgbun\.schema\.json\n\n\[server\]\n/)
    t.same(faults(toml), [])
    const file = `${t.testdir({ 'saved.toml': toml })}/saved.toml`
    if (resolved.config.scramSaltSecret === '') t.strictSame(resolveConfig({ file }).config, resolved.config)
  }
})

t.test('mistakes are not', async (t) => {
  for (const toml of [
    'pool_size = 5',
    'pool = 5',
    '[pol]\npool_size = 5',
    '[pool]\npool_sise = 5',
    '[server]\npool_size = 5',
    '[pool]\npool_size = 0',
    '[pool]\npool_size = 5\ndefault_pool_size = 5',
    '[pool]\npool_size = true',
    '[pool]\npool_size = "five"',
    '[pool]\npool_mode = "transactions"',
    '[pool]\npool_mode = 1',
    '[pool]\ncheck_functions = 2',
    '[pool]\ncheck_functions = "maybe"',
    '[server]\nlisten_port = 65536',
    '[server]\nlisten_port = 6432.5',
    '[server]\nlisten_host = [1]',
    '[server]\nserver_host = "a b"',
    '[server]\nunix_socket_mode = "999"',
    '[server]\nmax_packet_size = "1 TB"',
    '[timeouts]\nserver_connect_timeout = 500',
    '[timeouts]\nquery_timeout = "15 seconds"',
    '[timeouts]\nquery_timeout = "1.5"',
    '[timeouts]\nquery_timeout = -1',
    '[timeouts]\nquery_timeout = 2200000000',
    '[auth]\nauth_file = 5',
    '[auth]\nscram_salt_secret = "${not a name}"',
    '[databases]\napp = "host=db"',
    '[databases.app]\nserver_host = "db"',
    '[databases.app]\nmax_user_connections = 5',
    '[databases.app]\nport = 0',
    '[users.app]\nhost = "db"',
    '[peers]\none = "db"',
    '[peers]\n1 = 5',
    '[peers]\n1 = { port = 6432 }',
    '[peers]\n1 = { host = "db", size = 5 }',
    '[peers]\n1 = { host = "db", port = 70000 }',
    '[users.app]\npool_size = -1',
  ]) {
    t.not(faults(toml).length, 0, toml)
  }
})

t.test('variables may stand in every text', async (t) => {
  const toml = `[server]
listen_port = "\${PORT}"
server_host = "\${HOST}.example.com"
[pool]
pool_mode = "\${MODE}"
check_functions = "\${A}\${B}"
[auth]
scram_salt_secret = "$\${ stays"
[databases.app]
password = "a$\${b c}d\${PASSWORD}"
`
  t.same(faults(toml), [])
})

const VALUES = [
  ...[0, 1, 2, -1, 1.5, 500, 1000, 1024, 5432, 65535, 65536, 1e6, 1e6 + 1, 2 ** 31 - 1, 2 ** 31, 2 ** 53],
  ...[true, false, [], ['a', 'b, c'], ['a', 1], [['a']], {}],
  ...[
    '',
    ' ',
    'x',
    'a b',
    'a\nb',
    'a\0b',
    'db',
    'DB:5432',
    '[FE80::1%eth0]:5433, ::Ff',
    '/run/pg',
    '@x',
    'a,b',
    'é.de',
    '*',
  ],
  ...['1', ' 5432 ', '007', '5.0', '1.5', '-1', '1e3', '0x10', '12345678901234567890', '0777', '777', '0888'],
  ...['true', 'ON', ' Yes', 'oFf ', 'no', '0', 'y', 'tru'],
  ...['15s', '15 s', '1.5s', '1.0004s', '500ms', '1.0ms', '0.5ms', '1min', '1.5h', '1d', '15S', '15sec', 's', '15 s s'],
  ...['64kB', '64KIB', '1.5 MB', '1gb', '512', '512B', '1.5B', '1 TB', '64k'],
  ...['session', 'Session', 'transaction', 'pin', 'prefer', 'auto', 'verify-full', 'md5', 'debug', 'json', 'direct'],
]

t.test('what pgbun accepts, the schema accepts; what it refuses is refused, but for numbers in texts', async (t) => {
  let compared = 0
  const compare = (
    place: string,
    name: Parameters<typeof convertValue>[0],
    key: string,
    wrap: (table: object) => object,
  ) => {
    for (const value of VALUES) {
      const { kind } = settingRow(name)
      const accepted = 'value' in convertValue(name, value, 'file')
      const valid = validate(wrap({ [key]: value }))
      compared++
      const lenient = typeof value === 'string' && ['int', 'duration', 'bytes'].includes(kind)
      if (valid !== accepted && !(valid && lenient))
        t.fail(`${place} ${key} = ${JSON.stringify(value)}`, { valid, accepted })
    }
  }
  for (const name of OPTION_NAMES) {
    const { section, aliases = [] } = optionRow(name)
    for (const key of [name, ...aliases]) compare(section, name, key, (table) => ({ [section]: table }))
  }
  for (const group of SCOPED_GROUPS) {
    for (const name of scopedNames(group)) {
      for (const key of [name, ...(settingRow(name).aliases ?? [])])
        compare(group, name, key, (table) => ({ [group]: { any: table } }))
    }
  }
  t.ok(compared > 5000, `${compared} values were compared`)
})

t.test('every option says what it does', async (t) => {
  const { properties } = JSON.parse(optionsSchema())
  for (const name of OPTION_NAMES) {
    const { section, doc, default: value } = optionRow(name)
    const option = properties[section].properties[name]
    t.ok(option.description.startsWith(doc), name)
    t.same(option.default, value)
  }
  t.equal(properties.pool.properties.default_pool_size.description, 'Same as pool_size.')
})
