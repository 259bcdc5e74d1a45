/** Files that a configuration names: they are there, and those with secrets are for pgbun's eyes alone. */

import { accessSync, constants, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { systemErrorText } from '../util/system-error.ts'
import type { Findings } from './findings.ts'
import type { SettingName } from './options.ts'

/** Take down what is wrong with the file at `path`, which is the value of `name`; '' is none. */
export function checkFile(name: SettingName, path: string, { problem, warning }: Findings): void {
  if (path === '') return
  const fault = fileFault(path)
  const exposure = fault ? undefined : exposureOf(path, SECRET_FILES.has(name))
  if (fault) problem(name, `${name} ${fault}`)
  else if (exposure) warning(name, `${name} ${exposure}`)
}

/** Whether a path leads to something that is not a directory. One that leads nowhere may be there later. */
export function isNoDirectory(path: string): boolean {
  try {
    return !statSync(path).isDirectory()
  } catch {
    return false
  }
}

/** Take down that others can read the file at `path`, in which the value of `name` is a secret. */
export function checkSecretIn(name: SettingName, path: string, { warning }: Findings): void {
  const exposure = exposureOf(path, true)
  if (exposure) warning(name, `${name} is in a file that ${exposure}`)
}

/** Files that only the account pgbun runs as should be able to read. */
const SECRET_FILES: ReadonlySet<SettingName> = new Set([
  'auth_file',
  'client_tls_key_file',
  'server_tls_key_file',
  'password_file',
])
const OTHERS_READ = 0o004
const OTHERS_WRITE = 0o002
const GROUP_WRITE = 0o020

/** Who else may do what with a file, as the end of a sentence. Its group may read it: that is how accounts share a key. */
function exposureOf(path: string, secret: boolean): string | undefined {
  // There are no such permissions on Windows.
  if (process.platform === 'win32') return undefined
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0
  const write = (mode & (secret ? OTHERS_WRITE | GROUP_WRITE : OTHERS_WRITE)) !== 0
  const read = secret && (mode & OTHERS_READ) !== 0
  if (!write && !read) return undefined
  const who = (mode & (OTHERS_READ | OTHERS_WRITE)) === 0 ? 'its group' : 'every account of this machine'
  const shown = (mode & 0o777).toString(8).padStart(4, '0')
  const what = write ? (read ? 'read and changed' : 'changed') : 'read'
  return `can be ${what} by ${who} (mode ${shown}): ${path}. Take that away with chmod ${secret ? '600' : 'o-w'}`
}

/** What keeps a file from being read, as the end of a sentence that begins with the option's name. */
function fileFault(path: string): string | undefined {
  const shown = path === resolve(path) ? path : `${path} (${resolve(path)})`
  try {
    if (statSync(path).isDirectory()) return `is a directory, not a file: ${shown}`
    accessSync(path, constants.R_OK)
    return undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' || code === 'ENOTDIR'
      ? `names a file that does not exist: ${shown}`
      : `names a file that cannot be read: ${shown}: ${systemErrorText(error)}`
  }
}
