/**
 * What is known for logging in to PostgreSQL as a user. client-auth.ts makes it of a client's own login (or its stored
 * secret), server-auth.ts uses it. Never logged, never shown.
 */
import type { Secret } from '../config/userlist.ts'

export type Credentials =
  /** Nothing: only a server that asks for no password lets us in. */
  | { kind: 'none' }
  | { kind: 'password'; password: string }
  /** PostgreSQL's stored md5 hash, 'md5' and 32 hex digits: enough for a server that asks for md5. */
  | { kind: 'md5'; hash: string }
  /** ClientKey and ServerKey of a client's SCRAM login: enough where the server has the same verifier. */
  | { kind: 'scram-keys'; clientKey: Buffer; serverKey: Buffer; salt?: Buffer; iterations?: number }

/** What a stored secret alone gives, without the user having logged in. A SCRAM verifier or an empty one gives nothing. */
export function credentialsOfSecret(secret: Secret | undefined): Credentials {
  if (secret?.kind === 'plain' && secret.password !== '') return { kind: 'password', password: secret.password }
  if (secret?.kind === 'md5') return { kind: 'md5', hash: secret.hash }
  return { kind: 'none' }
}
