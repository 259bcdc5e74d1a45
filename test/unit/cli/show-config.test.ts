/** What `config`, `--env` and `--dry-run` print can be read, by people and by pgbun itself. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readyLine } from '../../../lib/cli/ready-line.ts'
import { configJson, configToml, environmentText, summaryText } from '../../../lib/cli/show-config.ts'
import { resolveConfig } from '../../../lib/config/load.ts'
import { OPTION_NAMES } from '../../../lib/config/options.ts'

const unusual = {
  options: {
    listenHost: '127.0.0.1,::1',
    listenPort: 7000,
    serverHost: '/run/pg',
    poolMode: 'transaction',
    queryTimeout: 1500,
    serverCheckQuery: `select 'a', "b" # c \\ d`,
    logConnections: false,
  },
} as const

t.test('the printed configuration is a configuration file', async (t) => {
  const resolved = resolveConfig(unusual)
  const text = configToml(resolved)
  t.match(text, /^listen_port = 7000 +# listenPort$/m)
  t.match(text, /^pool_size = 25 +# default$/m)
  const file = join(t.testdir({}), 'saved.toml')
  writeFileSync(file, text)
  t.strictSame(resolveConfig({ file }).config, resolved.config)
})

t.test('the sources are named', async (t) => {
  const file = join(t.testdir({ 'a.toml': '[pool]\npool_size = 3\n' }), 'a.toml')
  const resolved = resolveConfig({ file, env: { PGBUN_LOG_LEVEL: 'debug' } })
  const text = configToml(resolved)
  t.match(text, `# ${file}:2`)
  t.match(text, '# environment PGBUN_LOG_LEVEL')
})

t.test('JSON has every option with value and source', async (t) => {
  const { version, options } = JSON.parse(configJson(resolveConfig(unusual), '1.2.3'))
  t.equal(version, '1.2.3')
  t.strictSame(Object.keys(options), OPTION_NAMES)
  t.strictSame(options.query_timeout, { value: 1500, source: 'library', where: 'queryTimeout' })
  t.strictSame(options.listen_host, { value: ['127.0.0.1', '::1'], source: 'library', where: 'listenHost' })
  t.strictSame(options.pool_size, { value: 25, source: 'default' })
})

t.test('the printed environment is one', async (t) => {
  const resolved = resolveConfig({ options: { ...unusual.options, serverCheckQuery: 'select 1' } })
  const text = environmentText(resolved)
  const env: Record<string, string> = {}
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const [, name, value] = /^(PGBUN_\w+)='?(.*?)'?$/.exec(line)!
    env[name!] = value!
  }
  t.equal(Object.keys(env).length, OPTION_NAMES.length)
  t.strictSame(resolveConfig({ env }).config, resolved.config)
})

t.test('the summary and the ready line say what a start would do', async (t) => {
  const resolved = resolveConfig(unusual)
  const summary = summaryText(resolved, 'a.toml')
  t.match(summary, 'configuration file  a.toml')
  t.match(summary, 'listens on          127.0.0.1:7000, [::1]:7000')
  t.match(summary, 'forwards to         /run/pg/.s.PGSQL.5432')
  t.equal(
    readyLine(resolved.config, [{ host: '::1', port: 7001 }, '/tmp/.s.PGSQL.7001'], '1.2.3'),
    'pgbun 1.2.3 is ready: listening on [::1]:7001, /tmp/.s.PGSQL.7001, forwarding to /run/pg/.s.PGSQL.5432, ' +
      'pool mode transaction, authentication passthrough',
  )
})
