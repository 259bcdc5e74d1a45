/** Whether a unix socket can be opened by the account that pgbun runs as and by nobody else but root. */

import { statSync } from 'node:fs'
import { unixSocketPath } from '../net/unix-path.ts'

/** To connect to a socket one must be allowed to write to it. */
const OTHERS_WRITE = 0o022

/** As the socket's permissions are now; false where there is no socket, or one without permissions (Linux' abstract ones). */
export function onlyOwnerConnects(unixSocketDir: string, port: number): boolean {
  if (unixSocketDir === '') return false
  const { path, abstract } = unixSocketPath(unixSocketDir, port, 'unix_socket_dir')
  if (abstract) return false
  const found = statSync(path, { throwIfNoEntry: false })
  return found?.isSocket() === true && (found.mode & OTHERS_WRITE) === 0 && found.uid === process.geteuid?.()
}
