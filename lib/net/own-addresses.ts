/** The addresses of this machine. */

import { networkInterfaces } from 'node:os'

/** Whether `address` is one of this machine's. Asked of the system each time: addresses come and go. */
export function isOwnAddress(address: string): boolean {
  for (const found of Object.values(networkInterfaces())) {
    if (found?.some((each) => each.address === address)) return true
  }
  return address === '127.0.0.1' || address === '::1'
}
