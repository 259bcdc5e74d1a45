/**
 * The file of `log_file`, which takes the log instead of the standard error stream; a terminal still shows it, too.
 *
 * What must hold: a rotated file is let go of at the next reload; where the new one cannot be opened, the log goes on in
 * the old one; a full disk ends nothing.
 */
import { accessSync, closeSync, constants, existsSync, fchownSync, fstatSync, openSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { logTo } from '../util/logger.ts'
import { systemErrorText } from '../util/system-error.ts'

/** Whether the log of a file is shown on the standard error stream, too. */
const shown = process.stderr.isTTY

/** Where the log of the process goes. */
export class LogFile {
  #path = ''
  #fd: number | undefined

  /** The standard error stream does not have the log. */
  get hides(): boolean {
    return this.#fd !== undefined && !shown
  }

  /**
   * Write to the file at `path` from now on, opened anew; '' is the standard error stream.
   * @throws Error naming the file, and changes nothing
   */
  open(path: string): void {
    let fd: number | undefined
    try {
      fd = path === '' ? undefined : openSync(path, 'a', 0o640)
    } catch (error) {
      throw cannotOpen(path, error)
    }
    const before = this.#fd
    this.#path = path
    this.#fd = fd
    logTo(fd === undefined ? undefined : (lines) => write(fd, lines))
    if (before !== undefined) closeSync(before)
  }

  /** Let go of a file that was moved away. @throws Error naming the file, and changes nothing */
  reopen(): void {
    if (this.#path !== '') this.open(this.#path)
  }

  /** Have the file belong to another account. */
  giveTo(uid: number, gid: number): void {
    // Something else than a file, a FIFO or a device, is not only pgbun's.
    if (this.#fd !== undefined && fstatSync(this.#fd).isFile()) fchownSync(this.#fd, uid, gid)
  }
}

/** @throws Error where the file cannot be opened; makes none */
export function checkLogFile(path: string): void {
  try {
    accessSync(existsSync(path) ? path : dirname(path), constants.W_OK)
  } catch (error) {
    throw cannotOpen(path, error)
  }
}

function cannotOpen(path: string, error: unknown): Error {
  return new Error(`log_file ${path} cannot be opened: ${systemErrorText(error)}`)
}

function write(fd: number, lines: string): void {
  if (shown) process.stderr.write(lines)
  try {
    writeSync(fd, lines)
  } catch {
    // A log that cannot be written must not take the program down with it.
  }
}
