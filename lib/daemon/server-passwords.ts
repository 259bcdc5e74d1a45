/**
 * Passwords of the users that pgbun logs in as for all clients of a database: written in the configuration, read from a
 * file for each login, printed by a command, given by a function of the program, or the secret of auth_file. What a
 * command or function gave is used for `password_lifetime`, or until PostgreSQL refuses it.
 */

import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { type Credentials, credentialsOfSecret } from '../auth/credentials.ts'
import type { Secret } from '../config/userlist.ts'
import type { PasswordSource, ServerUser } from '../pool/target.ts'
import { LoginError } from '../server/login.ts'
import { after, now } from '../util/clock.ts'

/** As long as the longest token of a cloud, and more. */
const MAX_OUTPUT = 64 * 1024

interface Given {
  password: string
  until: number
}

/** The passwords of one process. */
export class ServerPasswords {
  readonly #secrets: () => ReadonlyMap<string, Secret> | undefined
  /** What was given, and what is being asked for: once at a time. */
  readonly #given = new Map<unknown, Given>()
  readonly #asked = new Map<unknown, Promise<string>>()

  /** @param secrets of auth_file */
  constructor(secrets: () => ReadonlyMap<string, Secret> | undefined) {
    this.#secrets = secrets
  }

  /**
   * What to log in with as `user`.
   * @throws LoginError where there is no password to be had within `timeoutMs`
   */
  async credentials({ name, password: source }: ServerUser, timeoutMs: number): Promise<Credentials> {
    if (source.kind === 'auth_file') return credentialsOfSecret(this.#secrets()?.get(name))
    const password = source.kind === 'text' ? source.password : await this.#get(name, source, timeoutMs)
    return password === '' ? { kind: 'none' } : { kind: 'password', password }
  }

  /** PostgreSQL has refused the password of `user`. True where another may be had. */
  refused({ password: source }: ServerUser): boolean {
    return this.#given.delete(keyOf(source))
  }

  #get(user: string, source: PasswordSource, timeoutMs: number): Promise<string> {
    const key = keyOf(source)
    const given = this.#given.get(key)
    if (given !== undefined && now() < given.until) return Promise.resolve(given.password)
    let asked = this.#asked.get(key)
    if (asked === undefined) {
      asked = this.#ask(user, source, timeoutMs).finally(() => this.#asked.delete(key))
      this.#asked.set(key, asked)
    }
    return asked
  }

  async #ask(user: string, source: PasswordSource, timeoutMs: number): Promise<string> {
    try {
      const password = await passwordOf(source, timeoutMs)
      if (source.kind === 'command' || source.kind === 'function') {
        this.#given.set(keyOf(source), { password, until: now() + source.lifetimeMs })
      }
      return password
    } catch (error) {
      // Never what was printed: it may be the password.
      const what = `no password for user "${user}": ${WHAT[source.kind]} ${(error as Error).message}`
      throw new LoginError(what, { sqlstate: '28000', cause: error, remedy: REMEDY[source.kind] })
    }
  }
}

const WHAT: Readonly<Record<string, string>> = {
  file: 'password_file',
  command: 'password_command',
  function: 'the function given as password',
}
const REMEDY: Readonly<Record<string, string>> = {
  file: 'correct password_file, or the permissions of the file',
  command: 'run password_command by hand as the account of pgbun: it must print the password and end with 0',
  function: 'have the function return the password within server_connect_timeout',
}

/** What a source is known by: functions are what they are. */
function keyOf(source: PasswordSource): unknown {
  if (source.kind === 'function') return source.ask
  return source.kind === 'command' ? source.command : undefined
}

function passwordOf(source: PasswordSource, timeoutMs: number): Promise<string> {
  switch (source.kind) {
    case 'file':
      return readPassword(source.path)
    case 'command':
      return runCommand(source.command, timeoutMs)
    case 'function':
      return within(timeoutMs, source.ask)
    default:
      throw new Error('is no source that is asked')
  }
}

async function readPassword(path: string): Promise<string> {
  try {
    return firstLine(await readFile(path, 'utf8'))
  } catch (error) {
    throw new Error(`cannot be read: ${(error as Error).message}`)
  }
}

/** The first line that `command` prints. Nobody else may see it: it is not logged, nor passed on. */
function runCommand(command: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    // A group of its own: a shell that is killed leaves what it has started.
    const detached = process.platform !== 'win32'
    const child = spawn(command, { shell: true, detached, stdio: ['ignore', 'pipe', 'ignore'], windowsHide: true })
    const kill = (): void => {
      try {
        if (detached && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
        else child.kill('SIGKILL')
      } catch {
        // It has ended meanwhile.
      }
    }
    let output = ''
    const fail = (reason: string): void => {
      cancel()
      kill()
      child.stdout.destroy()
      reject(new Error(reason))
    }
    const cancel = after(timeoutMs, () => fail(`did not end within ${timeoutMs} ms`))
    child.stdout.setEncoding('utf8')
    child.stdout.on('data', (text: string) => {
      output += text
      if (output.length > MAX_OUTPUT) fail(`printed more than ${MAX_OUTPUT} characters`)
    })
    child.on('error', (error) => fail(`cannot be run: ${error.message}`))
    child.on('close', (code, signal) => {
      if (code !== 0) fail(`ended with ${code === null ? signal : `exit code ${code}`}`)
      else if (firstLine(output) === '') fail('printed nothing')
      else resolve(firstLine(output))
      cancel()
    })
  })
}

function within(timeoutMs: number, ask: () => string | Promise<string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const cancel = after(timeoutMs, () => reject(new Error(`gave none within ${timeoutMs} ms`)))
    Promise.resolve()
      .then(ask)
      .then((password: unknown) => {
        if (typeof password === 'string' && password !== '') resolve(password)
        else reject(new Error('returned no text'))
      }, reject)
      .finally(cancel)
  })
}

function firstLine(text: string): string {
  return /^[^\r\n]*/.exec(text)![0]
}
