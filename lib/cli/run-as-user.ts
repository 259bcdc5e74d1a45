/**
 * `run_as_user`: pgbun is started by root, listens, and becomes another user before it serves anybody.
 *
 * What must hold: afterwards nothing of root is left, groups included; whatever pgbun made as root and writes or removes
 * later belongs to the user then.
 */
import { execFileSync } from 'node:child_process'
import { accessSync, constants, lchownSync, lstatSync, readFileSync } from 'node:fs'
import { systemErrorText } from '../util/system-error.ts'

/** An account of the system. */
export interface Account {
  name: string
  uid: number
  gid: number
}

/**
 * The account to become; undefined where the process has it already.
 * @throws Error where there is no such account, or only root could become it
 */
export function accountToBecome(name: string): Account | undefined {
  if (process.getuid === undefined) throw new Error('run_as_user: this system has no such users')
  const account = findAccount(name)
  if (account === undefined) throw new Error(`run_as_user: there is no user "${name}" on this machine`)
  const uid = process.getuid()
  if (uid === account.uid) return undefined
  if (uid !== 0) {
    throw new Error(
      `run_as_user: only root can become user "${name}", and pgbun was started by the user with the number ${uid}. ` +
        'Start pgbun as root or as that user, or leave run_as_user out',
    )
  }
  return account
}

/** Give `paths` to the account, and become it for good. */
export function becomeUser({ name, uid, gid }: Account, paths: readonly string[]): void {
  for (const path of paths) {
    if (lstatSync(path, { throwIfNoEntry: false })) lchownSync(path, uid, gid)
  }
  // Groups first: whoever is not root any more cannot change them.
  process.setgid!(gid)
  ;(process as Groups).initgroups(name, gid)
  process.setuid!(uid)
  if (process.getuid!() !== uid || process.geteuid!() !== uid || process.getgid!() !== gid) {
    throw new Error(`run_as_user: the system did not let pgbun become user "${name}"`)
  }
}

/** Which of `paths` this process cannot read, and why, each as a sentence. */
export function unreadable(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    try {
      accessSync(path, constants.R_OK)
      return []
    } catch (error) {
      return [`${path} cannot be read: ${systemErrorText(error)}`]
    }
  })
}

/** What the types of Node do not know. */
type Groups = typeof process & { initgroups(user: string, extraGroup: number): void }

/** In the file of accounts, which every system has; others, of a directory service, are known to the program `id`. */
function findAccount(name: string): Account | undefined {
  for (const line of passwd().split('\n')) {
    const [found, , uid, gid] = line.split(':')
    if (found === name && uid !== undefined && gid !== undefined) return { name, uid: Number(uid), gid: Number(gid) }
  }
  try {
    const ask = (what: string): number =>
      Number(execFileSync('id', [what, '--', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))
    return { name, uid: ask('-u'), gid: ask('-g') }
  } catch {
    return undefined
  }
}

function passwd(): string {
  try {
    return readFileSync('/etc/passwd', 'utf8')
  } catch {
    return ''
  }
}
