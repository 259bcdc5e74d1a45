/**
 * The drivers of other languages: how their programs are built into `.cache/drivers`, from a lock of versions each, and
 * started. A language whose tool chain is not on this machine is left out, and shown as skipped.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { commandPath } from './command-path.ts'
import { runProgram } from './run-program.ts'
import type { Load, Outcome, Target } from './scenario.ts'

const here = import.meta.dirname
const built = path.resolve(here, '../../.cache/drivers')

export interface Language {
  /** Programs that must be in PATH. */
  tools: string[]
  /** Brings what is built up to date; quick where it is. */
  build(): Promise<void>
  /** The command and its arguments for one load. */
  command(driver: string, target: Target, load: Load): [string, ...string[]]
  /** The locked version of a package. */
  version(name: string): string
}

const python: Language = {
  tools: ['python3'],
  async build() {
    const requirements = path.join(here, 'python', 'requirements.txt')
    const home = path.join(built, 'python')
    const stamp = path.join(home, 'requirements.txt')
    const wanted = readFileSync(requirements, 'utf8')
    if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
    await run('python3', ['-m', 'venv', '--clear', home])
    const quiet = ['--quiet', '--disable-pip-version-check', '--no-input']
    await run(path.join(home, 'bin', 'python'), ['-m', 'pip', 'install', ...quiet, '--requirement', requirements])
    writeFileSync(stamp, wanted)
  },
  command: (driver, target, load) => [
    path.join(built, 'python', 'bin', 'python'),
    // Nothing is written beside the sources.
    '-B',
    path.join(here, 'python', `${driver}_load.py`),
    JSON.stringify({ target, load }),
  ],
  version: (name) => found(path.join('python', 'requirements.txt'), new RegExp(`^${name}==(\\S+)`, 'm')),
}

const go: Language = {
  tools: ['go'],
  build: () => run('go', ['build', '-o', path.join(built, 'go', 'drivers'), '.'], path.join(here, 'go')),
  command: (driver, target, load) => [path.join(built, 'go', 'drivers'), driver, JSON.stringify({ target, load })],
  version: (name) => found(path.join('go', 'go.mod'), new RegExp(`${name} v(\\S+)`)),
}

const java: Language = {
  tools: ['mvn', 'java'],
  build: () => run('mvn', ['-q', '-B', `-Doutput=${path.join(built, 'java')}`, 'package'], path.join(here, 'java')),
  command: (driver, target, load) => {
    const home = path.join(built, 'java')
    const { host, port, user, password, database } = target
    const arguments_ = [driver, host, port, user, password, database, load.workers, load.rounds].map(String)
    const jars = [path.join(home, 'drivers-1.jar'), path.join(home, 'lib', '*')]
    return ['java', '-cp', jars.join(path.delimiter), 'pgbun.Main', ...arguments_]
  },
  version: (name) => found(path.join('java', 'pom.xml'), new RegExp(`${name}</artifactId>\\s*<version>([^<]+)`)),
}

const rust: Language = {
  tools: ['cargo'],
  build: () =>
    run('cargo', ['build', '--quiet', '--locked', '--target-dir', path.join(built, 'rust')], path.join(here, 'rust')),
  command: (driver, target, load) => [
    path.join(built, 'rust', 'debug', 'pgbun-drivers'),
    driver,
    JSON.stringify({ target, load }),
  ],
  version: (name) => found(path.join('rust', 'Cargo.lock'), new RegExp(`name = "${name}"\\nversion = "([^"]+)"`)),
}

export const languages = { python, go, java, rust }

/** What is missing on this machine to build the programs of a language; undefined where everything is there. */
export function missingFor({ tools }: Language): string | undefined {
  const absent = tools.filter((tool) => commandPath(tool) === undefined)
  return absent.length === 0 ? undefined : `no ${absent.join(' and no ')} in PATH`
}

/** Runs one driver's load in its own process. */
export async function runLoad(language: Language, driver: string, target: Target, load: Load): Promise<Outcome> {
  const [command, ...args] = language.command(driver, target, load)
  return JSON.parse(await runProgram(command, args)) as Outcome
}

function found(file: string, pattern: RegExp): string {
  const version = pattern.exec(readFileSync(path.join(here, file), 'utf8'))?.[1]
  if (version === undefined) throw new Error(`no version like ${pattern} in ${file}`)
  return version
}

/** Runs a builder; rejects with all that it said when it fails. It may take minutes, so there is no deadline. */
async function run(command: string, args: string[], cwd = here): Promise<void> {
  mkdirSync(built, { recursive: true })
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  const exit = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const [code, output, errors] = await Promise.all([exit, text(child.stdout), text(child.stderr)])
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}\n${output}${errors}`)
}
