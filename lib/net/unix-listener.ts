/**
 * Takes possession of a unix socket's path, for the listener: tells a socket that a crash left behind from one that is
 * in use, and lets no two processes decide that at the same time.
 *
 * The socket is bound under a name of its own and then renamed: clients find the old socket or the new one, never none,
 * and the runtime, which removes the name that was bound when it closes the socket, removes nothing of a successor's.
 *
 * The lock file beside the socket exists only while one process looks and binds. After that the socket says by itself
 * whether it is in use, so a crash leaves nothing behind that would need a pid to be believed.
 */

import {
  chmodSync,
  closeSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import type { UnixPath } from './unix-path.ts'

/** A socket we listen on. */
export interface UnixBinding {
  /** Remove the socket's file, unless it is another's by now. */
  remove(): void
}

/** A lock older than this was left by a process that died with it, even if its pid lives again. */
const LOCK_MAX_AGE_MS = 10_000
/** Locks of this process: one of its pid that is not here was left by another, in a container of its own. */
const ownLocks = new Set<string>()
/** How many sockets this process has bound: each has a name of its own while it is being bound. */
let bound = 0
/** Milliseconds a live server may take to accept; the kernel does it at once. */
const PROBE_MS = 1000

/**
 * Free the path if nobody listens there, bind, and set the file's mode.
 * @param bind listens on the path that it is given
 * @param takesOver somebody may listen there, who is succeeded
 * @throws Error that says what is in the way and what to do
 */
export async function bindUnixSocket(
  target: UnixPath,
  mode: number,
  bind: (path: string) => Promise<void>,
  takesOver = false,
): Promise<UnixBinding> {
  if (target.abstract) {
    await bind(target.path).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'EADDRINUSE' ? inUse(target) : error
    })
    return { remove() {} }
  }
  const { path } = target
  checkDirectory(dirname(path))
  const lock = `${path}.lock-pgbun`
  takeLock(lock, target)
  try {
    await checkFree(target, takesOver)
    const first = ownName(path)
    rmSync(first, { force: true })
    // Nobody may connect before the mode is what it should be.
    const umask = process.umask(0o777)
    let binding: Promise<void>
    try {
      binding = bind(first)
    } finally {
      process.umask(umask)
    }
    await binding
    chmodSync(first, mode)
    const { ino } = statSync(first)
    renameSync(first, path)
    return { remove: () => removeOwn(path, ino) }
  } finally {
    ownLocks.delete(lock)
    rmSync(lock, { force: true })
  }
}

function checkDirectory(directory: string): void {
  let isDirectory = false
  try {
    isDirectory = statSync(directory).isDirectory()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') throw directoryError(directory, error as NodeJS.ErrnoException)
    throw withCode('ENOENT', `unix_socket_dir '${directory}' does not exist: create it, or set another directory`)
  }
  if (!isDirectory) throw withCode('ENOTDIR', `unix_socket_dir '${directory}' is not a directory`)
}

function takeLock(lock: string, target: UnixPath): void {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const file = openSync(lock, 'wx', 0o600)
      writeSync(file, `${process.pid}\n`)
      closeSync(file)
      ownLocks.add(lock)
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw directoryError(dirname(lock), error as NodeJS.ErrnoException)
      }
      if (isHeld(lock)) throw withCode('EADDRINUSE', `another pgbun is just starting on '${target.label}' (${lock})`)
      rmSync(lock, { force: true })
    }
  }
  throw withCode('EADDRINUSE', `another pgbun is just starting on '${target.label}' (${lock})`)
}

function isHeld(lock: string): boolean {
  if (ownLocks.has(lock)) return true
  try {
    const { mtimeMs } = statSync(lock)
    const pid = Number.parseInt(readFileSync(lock, 'utf8'), 10)
    if (Date.now() - mtimeMs > LOCK_MAX_AGE_MS || pid === process.pid) return false
    // Between its creation and the pid in it the file is empty.
    if (!Number.isInteger(pid)) return true
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** A name in the same directory, no longer than `.s.PGSQL.1`: the path must fit. */
function ownName(path: string): string {
  return join(dirname(path), `.pg${process.pid.toString(36)}-${(bound++ % 36).toString(36)}`)
}

/** @throws Error where there is something that must not be replaced */
async function checkFree(target: UnixPath, takesOver: boolean): Promise<void> {
  const { path } = target
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (!found) return
  if (!found.isSocket()) {
    throw withCode('EADDRINUSE', `cannot listen on '${path}': something is there that is not a socket; remove it`)
  }
  if (!takesOver && (await isAlive(path))) throw inUse(target)
}

/** Only a refusal says that nobody listens: a full backlog, a missing permission or silence do not. */
function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path })
    const done = (alive: boolean) => {
      clearTimeout(timer)
      probe.destroy()
      resolve(alive)
    }
    const timer = setTimeout(() => done(true), PROBE_MS)
    probe.on('connect', () => done(true))
    probe.on('error', (error: NodeJS.ErrnoException) => done(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'))
  })
}

function removeOwn(path: string, ino: number): void {
  try {
    if (lstatSync(path).ino === ino) unlinkSync(path)
  } catch {
    // The runtime removed it when it closed the socket.
  }
}

function inUse({ label }: UnixPath): Error {
  return withCode(
    'EADDRINUSE',
    `cannot listen on '${label}': another program listens there: stop it, or choose another listen_port or unix_socket_dir`,
  )
}

function directoryError(directory: string, error: NodeJS.ErrnoException): Error {
  const code = error.code ?? 'EACCES'
  const reason =
    code === 'EACCES' || code === 'EPERM' || code === 'EROFS'
      ? 'permission denied: make it writable for the user pgbun runs as, or set another directory'
      : error.message
  return withCode(code, `cannot create a socket in unix_socket_dir '${directory}': ${reason}`)
}

function withCode(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}
