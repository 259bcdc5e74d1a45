/** Programs on PATH, their versions, and the account for those that refuse to run as root. */
import { execFileSync } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import path from 'node:path'

/** The path of a program on PATH (or beside PostgreSQL's own, which Debian keeps off it); undefined where there is none. */
export function findProgram(name: string): string | undefined {
  const dirs = (process.env.PATH ?? '').split(path.delimiter)
  return [...dirs, bindirOf('pg_config', dirs)].map((dir) => dir && path.join(dir, name)).find(isExecutable)
}

/** First line that `command --version` prints, or '' where it prints none. */
export function versionOf(command: string): string {
  try {
    const text = execFileSync(command, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    return text.split('\n')[0]!.trim()
  } catch {
    return ''
  }
}

/** The account for PostgreSQL and PgBouncer: their own where this is root; undefined for the one we run as. */
export function serviceAccount(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name, , uid, gid] = line.split(':')
    if (name === 'postgres') return { uid: Number(uid), gid: Number(gid) }
  }
  throw new Error('PostgreSQL and PgBouncer do not run as root, and there is no user postgres to run them as')
}

function bindirOf(program: string, dirs: string[]): string {
  const file = dirs.map((dir) => path.join(dir, program)).find(isExecutable)
  return file === undefined ? '' : execFileSync(file, ['--bindir'], { encoding: 'utf8' }).trim()
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return file !== ''
  } catch {
    return false
  }
}
