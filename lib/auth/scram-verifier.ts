/**
 * A password -> its SCRAM-SHA-256 verifier in PostgreSQL's form (RFC 5803), as in pg_authid.rolpassword and auth_file.
 * config/userlist.ts reads it. Called by `pgbun hash-password`.
 */
import { randomBytes } from 'node:crypto'
import { SCRAM_PREFIX, type ScramSecret } from '../config/userlist.ts'
import { deriveKeys } from './scram-keys.ts'
import { SALT_BYTES } from './unknown-user.ts'

/** A new verifier of `password`. `salt` is random but for tests. */
export async function makeVerifier(
  password: string,
  iterations: number,
  salt: Buffer = randomBytes(SALT_BYTES),
): Promise<string> {
  const { storedKey, serverKey } = await deriveKeys(password, salt, iterations)
  return formatVerifier({ iterations, salt, storedKey, serverKey })
}

/** The text of a verifier. */
export function formatVerifier({ iterations, salt, storedKey, serverKey }: Omit<ScramSecret, 'kind'>): string {
  const [saltText, stored, server] = [salt, storedKey, serverKey].map((bytes) => bytes.toString('base64'))
  return `${SCRAM_PREFIX}${iterations}:${saltText}$${stored}:${server}`
}
