/**
 * The pid file: says which process serves, and keeps a second pgbun with the same file from starting.
 * Called by start.ts; removed when the process ends.
 */
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs'

/**
 * Create the file with this process's id. A file left behind by a process that is gone is replaced.
 * Throws an Error naming the file where another pgbun is alive or the file cannot be written.
 * @returns a function that removes the file, if it is still ours
 */
export function writePidFile(path: string): () => void {
  const text = `${process.pid}\n`
  try {
    writeFileSync(path, text, { flag: 'wx', mode: 0o644 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw cannotWrite(path, error)
    const owner = readOwner(path)
    if (owner !== undefined && isAlive(owner)) {
      throw new Error(`pid_file ${path} belongs to process ${owner}, which is running. Stop it or use another pid_file`)
    }
    try {
      writeFileSync(path, text)
    } catch (cause) {
      throw cannotWrite(path, cause)
    }
  }
  return () => {
    try {
      if (readOwner(path) === process.pid) unlinkSync(path)
    } catch {
      // It is gone already, or its directory became read-only; the next start replaces it.
    }
  }
}

function readOwner(path: string): number | undefined {
  try {
    const text = readFileSync(path, 'utf8').trim()
    return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : undefined
  } catch {
    return undefined
  }
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

function cannotWrite(path: string, error: unknown): Error {
  return new Error(`pid_file ${path} cannot be written (${(error as NodeJS.ErrnoException).code})`)
}
