/**
 * Which way of authentication a client gets: the table of (auth_type, kind of stored secret), with PgBouncer's meaning
 * (md5 with a SCRAM verifier uses SCRAM; plain checks against any kind). Where a combination cannot work the exchange
 * still takes place, so that the client cannot tell, and `problem` says in the log why. Used by client-auth.ts, and at
 * start to warn about users that can never log in.
 */
import type { Secret } from '../config/userlist.ts'

/** auth_type values under which pgbun itself checks clients. */
export type ClientAuthType = 'trust' | 'plain' | 'md5' | 'scram-sha-256'

/** What the client is asked for. */
export type ClientMethod = 'none' | 'cleartext' | 'md5' | 'sasl'

/** Why nobody can log in this way, and the cure. */
export interface AuthProblem {
  reason: string
  remedy?: string
}

/** A cell of the table. */
export interface MethodChoice {
  method: ClientMethod
  problem?: AuthProblem
}

type SecretKind = Secret['kind']

const METHODS: Record<ClientAuthType, Record<SecretKind, ClientMethod>> = {
  trust: { plain: 'none', md5: 'none', scram: 'none' },
  plain: { plain: 'cleartext', md5: 'cleartext', scram: 'cleartext' },
  md5: { plain: 'md5', md5: 'md5', scram: 'sasl' },
  'scram-sha-256': { plain: 'sasl', md5: 'sasl', scram: 'sasl' },
}

/** Method and problem for a user with `secret`, or with no secret at all, under `authType`. */
export function chooseMethod(
  authType: ClientAuthType,
  secret: Secret | undefined,
  unknownAs: 'md5' | 'scram',
): MethodChoice {
  if (!secret) {
    const method = METHODS[authType][unknownAs]
    if (method === 'none') return { method }
    return {
      method,
      problem: { reason: 'the user has no secret in auth_file', remedy: 'add a line for the user to auth_file' },
    }
  }
  const method = METHODS[authType][secret.kind]
  if (method === 'none') return { method }
  if (secret.kind === 'plain' && secret.password === '') {
    return {
      method,
      problem: {
        reason: 'the secret of the user in auth_file is empty',
        remedy: 'write a password or a verifier there',
      },
    }
  }
  if (authType === 'scram-sha-256' && secret.kind === 'md5') {
    return {
      method,
      problem: {
        reason: 'auth_type is scram-sha-256 but auth_file has an md5 hash for the user',
        remedy: 'put a SCRAM-SHA-256 verifier or the password into auth_file, or set auth_type to md5',
      },
    }
  }
  return { method }
}
