/** Sockets that another program, systemd, has bound and handed over: they are listened on instead of addresses. */

import { readFileSync } from 'node:fs'
import type { Server } from 'node:net'
import { socketInode } from './socket-inode.ts'

/** An open descriptor of this process that clients connect to. */
export interface InheritedSocket {
  fd: number
  /** What the other program calls it. */
  name: string
}

/** Where clients find the socket of `server`, which listens on `socket`: TCP, or the path of a unix socket. */
export function inheritedAddress(
  server: Server,
  { fd, name }: InheritedSocket,
): { host: string; port: number } | string {
  const address = server.address()
  // Node knows no path of a socket that it has not bound, and Bun gives an empty object.
  if (address !== null && typeof address === 'object' && address.port) {
    return { host: address.address, port: address.port }
  }
  return pathOf(fd) ?? `unix socket ${name}`
}

/** The path of a unix socket, where the kernel tells; `@name` for an abstract one. */
function pathOf(fd: number): string | undefined {
  try {
    const inode = socketInode(fd)
    for (const line of readFileSync('/proc/net/unix', 'utf8').split('\n')) {
      const fields = line.split(' ').filter((field) => field !== '')
      if (fields[6] === inode && inode !== undefined) return fields.slice(7).join(' ') || undefined
    }
  } catch {
    // Not Linux.
  }
  return undefined
}
