/**
 * `npm run drivers`: the matrix of drivers and tools. Installs test/drivers if its lock changed, checks its types, runs
 * its tests on one PostgreSQL, and compares the table of TRANSACTION-MODE.md with what they found
 * (PGBUN_TEST_WRITE_DOCS=1 writes it). Names of test files as arguments run only these: `npm run drivers -- pg psql`.
 *
 * Exit code 0 when every test passed and the table is true.
 */
import { spawn } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { startMatrixPostgres } from './matrix-postgres.ts'
import { languages, missingFor } from './programs.ts'
import { readResults } from './results.ts'
import { writeTable } from './table.ts'

const here = path.dirname(fileURLToPath(import.meta.url))
const root = path.resolve(here, '../..')
const page = path.join(root, 'TRANSACTION-MODE.md')
const cleanups: (() => unknown)[] = []

process.exitCode = await main(process.argv.slice(2))
for (const cleanup of cleanups.reverse()) await cleanup()

async function main(names: string[]): Promise<number> {
  const everything = readdirSync(here).filter((file) => file.endsWith('.test.ts'))
  const files = names.length === 0 ? everything : names.map((name) => `${name}.test.ts`)
  const unknown = files.find((file) => !everything.includes(file))
  if (unknown) return failed(`no such driver; there are ${everything.map((file) => path.basename(file, '.test.ts'))}`)
  if (!(await install())) return failed('npm ci in test/drivers failed')
  if ((await run(root, 'node_modules/typescript-7/bin/tsc', '-p', 'test/drivers')) !== 0) return failed('type errors')

  // Before the tests, whose time is limited: a first build of a language may take minutes. All at once, for some of it is
  // waiting for packages.
  const used = Object.entries(languages).filter(
    ([name, language]) => files.includes(`${name}.test.ts`) && !missingFor(language),
  )
  if (used.length > 0) process.stdout.write(`building the drivers of ${used.map(([name]) => name).join(', ')}\n`)
  await Promise.all(used.map(([, language]) => language.build()))

  const results = mkdtempSync(path.join(os.tmpdir(), 'pgbun-drivers-results-'))
  cleanups.push(() => rmSync(results, { recursive: true, force: true }))
  const { host, port, user, password } = await startMatrixPostgres({
    teardown: (cleanup: () => unknown) => void cleanups.push(cleanup),
  })
  process.env.PGBUN_DRIVERS_POSTGRES = JSON.stringify({ host, port, user, password })
  process.env.PGBUN_DRIVERS_RESULTS = results
  const paths = files.map((file) => path.join('test', 'drivers', file))
  const code = await run(root, 'test/fixtures/tap/run.mjs', '--timeout=300', ...paths)
  if (code !== 0) return code

  const text = readFileSync(page, 'utf8')
  const next = writeTable(text, readResults(results), names.length === 0)
  if (process.env.PGBUN_TEST_WRITE_DOCS) writeFileSync(page, next)
  else if (text !== next) {
    return failed(
      'the table of TRANSACTION-MODE.md is not what this run found; PGBUN_TEST_WRITE_DOCS=1 npm run drivers writes it',
    )
  }
  return 0
}

/** Installs the packages of the matrix unless this very lock is installed. */
async function install(): Promise<boolean> {
  const lock = path.join(here, 'package-lock.json')
  const installed = path.join(here, 'node_modules', '.installed-lock.json')
  if (existsSync(installed) && readFileSync(installed, 'utf8') === readFileSync(lock, 'utf8')) return true
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund']
  if ((await exitOf(spawn(npm, args, { cwd: here, stdio: 'inherit' }))) !== 0) return false
  copyFileSync(lock, installed)
  return true
}

function run(cwd: string, ...args: string[]): Promise<number> {
  return exitOf(spawn(process.execPath, args, { cwd, stdio: 'inherit' }))
}

function exitOf(child: ReturnType<typeof spawn>): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? 1))
  })
}

function failed(why: string): number {
  process.stderr.write(`drivers: ${why}\n`)
  return 1
}
