/**
 * The pid file: says which process serves, and keeps a second pgbun with the same file from starting.
 * Called by start.ts; removed when the process ends.
 *
 * What must hold: nothing is lost that is not a pid file. A symbolic link is not followed, and a file is replaced or
 * removed only where it is empty or holds nothing but the id of a process that is gone, or of this one. What is checked
 * is what is written: both happen on one descriptor.
 */
import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { systemErrorText } from '../util/system-error.ts'

/** Longest content that can be a process id. */
const LONGEST = 16
/** Opening a FIFO must not wait for its other end. */
const CAREFULLY = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/**
 * Create the file with this process's id. A file left behind by a process that is gone is replaced.
 * Throws an Error naming the file where another pgbun is alive, it is no pid file, or it cannot be written.
 * @param owner the account that the process becomes later
 * @param succeeded a living process whose file is taken over
 * @returns a function that removes the file, if it is still ours
 */
export function writePidFile(path: string, owner?: { uid: number; gid: number }, succeeded?: number): () => void {
  const fd = create(path) ?? takeOver(path, succeeded)
  let written: { dev: number; ino: number }
  try {
    written = fstatSync(fd)
    ftruncateSync(fd)
    if (owner) fchownSync(fd, owner.uid, owner.gid)
    writeSync(fd, `${process.pid}\n`, 0)
  } catch (error) {
    throw cannotWrite(path, error)
  } finally {
    closeSync(fd)
  }
  return () => {
    try {
      const { dev, ino } = lstatSync(path)
      if (dev === written.dev && ino === written.ino && ownerOf(path) === process.pid) removeOrEmpty(path)
    } catch {
      // It is gone already, or its directory became read-only; the next start replaces it.
    }
  }
}

/** A descriptor of a new file; undefined where there is something of that name, if only a link that leads nowhere. */
function create(path: string): number | undefined {
  try {
    return openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | CAREFULLY, 0o644)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined
    throw cannotWrite(path, error)
  }
}

/** A descriptor of the file that is there, which is one that a process left behind. */
function takeOver(path: string, succeeded: number | undefined): number {
  let fd: number
  try {
    if (lstatSync(path).isSymbolicLink()) throw notOurs(path, 'is a symbolic link')
    fd = openSync(path, constants.O_RDWR | CAREFULLY)
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === undefined ? error : cannotWrite(path, error)
  }
  try {
    const owner = readOwner(fd)
    if (owner === 'no pid file') throw notOurs(path, 'holds something else than a process id')
    if (owner !== 'empty' && owner !== succeeded && isAlive(owner)) {
      throw new Error(`pid_file ${path} belongs to process ${owner}, which is running. Stop it or use another pid_file`)
    }
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** A user who may not remove it, because pgbun was root when it wrote it, can empty it: the id may be another's some day. */
function removeOrEmpty(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    const fd = openSync(path, constants.O_WRONLY | CAREFULLY)
    ftruncateSync(fd)
    closeSync(fd)
  }
}

function ownerOf(path: string): number | string {
  const fd = openSync(path, constants.O_RDONLY | CAREFULLY)
  try {
    return readOwner(fd)
  } finally {
    closeSync(fd)
  }
}

/** The process id that an open file holds and nothing else. A file of two names may be somebody's under the other. */
function readOwner(fd: number): number | 'empty' | 'no pid file' {
  const stat = fstatSync(fd)
  if (!stat.isFile() || stat.nlink > 1 || stat.size > LONGEST) return 'no pid file'
  const content = Buffer.alloc(LONGEST)
  const text = content.toString('latin1', 0, readSync(fd, content, 0, LONGEST, 0))
  if (text === '') return 'empty'
  return /^[1-9]\d{0,9}\s*$/.test(text) ? Number.parseInt(text, 10) : 'no pid file'
}

/** Signal 0 only asks; EPERM means that the process exists and belongs to another user. */
function isAlive(pid: number): boolean {
  if (pid === process.pid) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function notOurs(path: string, what: string): Error {
  return new Error(`pid_file ${path} ${what}, and is left as it is. Name a file that is pgbun's own, or remove it`)
}

function cannotWrite(path: string, error: unknown): Error {
  return new Error(`pid_file ${path} cannot be written: ${systemErrorText(error)}`)
}
