/**
 * The lines of README's "Install", each of them run as it stands there: in a copy of the repository that is cloned, with
 * prefixes of npm of its own, without looking at what is installed on this machine.
 */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { freePort } from '../fixtures/ports.ts'
import { rootDir } from '../fixtures/postgres.ts'
import { bunPath } from '../fixtures/runtimes.ts'

// npm ci, twice, and a build, on a machine that does other things.
t.setTimeout(900_000)

const run = promisify(execFile)
const readme = readFileSync(path.join(rootDir, 'README.md'), 'utf8')
const section = /^## Install\n([\s\S]*?)^## /m.exec(readme)?.[1] ?? ''
const blocks = [...section.matchAll(/^```bash\n([\s\S]*?)^```/gm)].map(([, block]) => block!.trim().split('\n'))
const hasGit = spawnSync('git', ['--version']).status === 0

t.test('the lines of the README', { skip: hasGit ? false : 'no git on this machine' }, async (t) => {
  t.equal(blocks.length, 3, 'the repository, a project, Bun')
  const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-install-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }))
  const repository = path.join(dir, 'repository')
  copyRepository(repository)
  const bin = path.join(dir, 'bin')
  mkdirSync(bin)
  cpSync(bunPath(), path.join(bin, 'bun'))
  const env: NodeJS.ProcessEnv = {
    ...Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(PGBUN_|TAP|NODE_OPTIONS|npm_(?!config))/.test(name)),
    ),
    PATH: [path.dirname(process.execPath), path.join(dir, 'prefix', 'bin'), bin, process.env.PATH].join(path.delimiter),
    npm_config_prefix: path.join(dir, 'prefix'),
    npm_config_prefer_offline: 'true',
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_update_notifier: 'false',
    PGBUN_LISTEN_HOST: '127.0.0.1',
    PGBUN_LISTEN_PORT: String(await freePort()),
  }
  let cwd = dir
  const places = [dir, path.join(dir, 'project'), path.join(dir, 'pgbun')]
  for (const [index, lines] of blocks.entries()) {
    cwd = places[index]!
    if (index === 1) {
      mkdirSync(cwd)
      writeFileSync(path.join(cwd, 'package.json'), '{ "name": "project", "version": "1.0.0", "type": "module" }')
    }
    for (const line of lines) {
      const command = line.replace(/\s+#.*$/, '').replaceAll('<repository-url>', `file://${repository}`)
      await t.test(line, async (t) => {
        if (command.startsWith('cd ')) cwd = path.join(cwd, command.slice(3))
        else if (/npm start|\.\/dist\/pgbun$/.test(command)) await runsUntilReady(t, command, cwd, env)
        else {
          const { stdout, stderr } = await run('bash', ['-c', command], { cwd, env, maxBuffer: 1e8 })
          t.notMatch(stdout + stderr, /install-scripts|allow-scripts=pgbun/, 'nothing to be allowed')
          if (command.startsWith('npm install -g')) {
            t.match((await run('pgbun', ['version'], { env, cwd: os.tmpdir() })).stdout, /^pgbun \d/)
          } else if (/^npm install (git|\.\.)/.test(command)) {
            const program = "import { createPooler } from 'pgbun'; console.log(typeof createPooler)"
            const answer = await run(process.execPath, ['--input-type=module', '-e', program], { env, cwd })
            t.equal(answer.stdout, 'function\n')
          }
        }
      })
    }
  }
  const said = Number(/one file of (\d+) MB/.exec(section)?.[1])
  const size = statSync(path.join(dir, 'pgbun', 'dist', 'pgbun')).size / 1e6
  t.ok(Math.abs(size - said) < 0.15 * said, `the size that the README says: ${said} MB, ${Math.round(size)} MB`)
})

/** What a clone would have of the working tree. */
function copyRepository(target: string): void {
  const left = new Set(['.git', 'node_modules', 'dist', '.cache', '.tap'])
  const skipped = (source: string): boolean => left.has(path.basename(source)) || /\.(tgz|log|cpuprofile)$/.test(source)
  cpSync(rootDir, target, { recursive: true, filter: (source) => source === rootDir || !skipped(source) })
  const git = (...args: string[]): void => {
    const { status, stderr } = spawnSync('git', ['-C', target, '-c', 'user.name=t', '-c', 'user.email=t@t', ...args])
    if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`)
  }
  git('init', '--quiet')
  git('add', '--all')
  git('commit', '--quiet', '--message', 'all')
}

/** The command ends by itself when it is told to, behind its line that it is ready. */
function runsUntilReady(t: Test, command: string, cwd: string, env: NodeJS.ProcessEnv): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['-c', command], { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    const signal = (name: NodeJS.Signals): void => {
      try {
        process.kill(-child.pid!, name)
      } catch {
        // It has ended.
      }
    }
    t.teardown(() => signal('SIGKILL'))
    let output = ''
    let asked = false
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk
        if (asked || !/is ready: listening on 127\.0\.0\.1:/.test(output)) return
        asked = true
        signal('SIGTERM')
      })
    }
    child.once('close', () => {
      t.match(output, / stopped$/m, 'it ran, and ended in order')
      if (asked) resolve()
      else reject(new Error(output))
    })
  })
}
