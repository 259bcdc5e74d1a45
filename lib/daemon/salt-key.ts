/**
 * The key that the salts of SCRAM exchanges are made of: the same after a restart, and known to no client.
 *
 * Nothing of auth_file will do for it. What is there follows from passwords, and a salt that follows from one would be
 * a way to try passwords without asking pgbun. So it is `scram_salt_secret`, or what the machine is known by: that is
 * not secret from accounts of the machine, who could learn from it which names exist.
 */

import { createHmac, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** What a machine is known by; the last one until it is started anew. */
const MACHINE = ['/etc/machine-id', '/var/lib/dbus/machine-id', '/etc/hostid', '/proc/sys/kernel/random/boot_id']
/** Fewer characters are no number drawn at random. */
const SHORTEST = 16

/** The key, by `secret` where that is not ''. */
export function saltKeyOf(secret: string, files: readonly string[] = MACHINE): Buffer {
  const source = secret !== '' ? secret : files.map(readId).find((id) => id !== undefined)
  // Never the identity itself: other programs rely on it, too.
  return source === undefined ? randomBytes(32) : createHmac('sha256', source).update('salts of pgbun').digest()
}

function readId(path: string): string | undefined {
  try {
    const text = readFileSync(path, 'utf8').trim()
    return text.length >= SHORTEST && /^[\w-]+$/.test(text) ? text : undefined
  } catch {
    return undefined
  }
}
