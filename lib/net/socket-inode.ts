/** Which socket of the kernel a descriptor of this process is: only Linux tells. */

import { readlinkSync } from 'node:fs'

/** The inode of the socket `fd`; undefined where it is none, is closed by now, or the system does not tell. */
export function socketInode(fd: number | string): string | undefined {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1]
  } catch {
    return undefined
  }
}
