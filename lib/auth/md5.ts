/**
 * PostgreSQL's md5 authentication, both roles (protocol chapter "Authentication", AuthenticationMD5Password).
 *
 * The stored secret is 'md5' + hex(md5(password + user)); the response to a challenge is
 * 'md5' + hex(md5(hex part of the secret + 4 salt bytes)). Called by client-auth.ts and server-auth.ts. Builds of
 * OpenSSL in FIPS mode have no MD5: `md5Available` must be asked before the others are called.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { encodePassword } from './password-text.ts'

/** Length of the salt of a challenge, in bytes. */
export const MD5_SALT_LENGTH = 4

let available: boolean | undefined

/** Whether this runtime's OpenSSL has MD5. */
export function md5Available(): boolean {
  if (available === undefined) {
    try {
      createHash('md5')
      available = true
    } catch {
      available = false
    }
  }
  return available
}

/** The secret PostgreSQL stores for `user` with `password`: 35 characters, 'md5' and 32 hex digits. */
export function md5Secret(user: string, password: string): string {
  return `md5${createHash('md5').update(encodePassword(password)).update(user, 'utf8').digest('hex')}`
}

/** What a client answers to a challenge with `salt`, given its stored `secret` ('md5…'). */
export function md5Response(secret: string, salt: Buffer): string {
  return `md5${createHash('md5').update(secret.slice(3), 'latin1').update(salt).digest('hex')}`
}

/** Whether `response` (the bytes of a password message, without terminator) answers the challenge. Constant time. */
export function verifyMd5Response(secret: string, salt: Buffer, response: Buffer): boolean {
  const expected = Buffer.from(md5Response(secret, salt), 'latin1')
  return response.length === expected.length && timingSafeEqual(response, expected)
}
