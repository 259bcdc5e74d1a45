/**
 * The descriptors of the TCP sockets on which this process listens. Neither Node nor Bun tells them; Linux does, in
 * /proc. Other systems have no such place.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { socketInode } from './socket-inode.ts'

/** The state of a listening socket in /proc/net/tcp. */
const LISTEN = '0A'

/** Descriptors of sockets that listen on `port`, in any order; none where the system does not tell. */
export function listeningDescriptors(port: number): number[] {
  const inodes = new Set(['tcp', 'tcp6'].flatMap((family) => inodesOf(readText(`/proc/self/net/${family}`), port)))
  if (inodes.size === 0) return []
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    const inode = socketInode(fd)
    return inode !== undefined && inodes.has(inode) ? [Number(fd)] : []
  })
}

/** The inodes of the sockets in a table of the kernel's that listen on `port`. */
export function inodesOf(table: string, port: number): string[] {
  return table.split('\n').flatMap((line) => {
    const fields = line
      .trim()
      .split(' ')
      .filter((field) => field !== '')
    const [, address = '', , state] = fields
    const listens = state === LISTEN && Number.parseInt(address.slice(address.indexOf(':') + 1), 16) === port
    return listens && fields[9] !== undefined ? [fields[9]] : []
  })
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
