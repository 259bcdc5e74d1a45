/** The secrets of `auth_file`: read at the start and at each reload. */

import { readFileSync } from 'node:fs'
import type { ScramKeyCache } from '../auth/scram-keys.ts'
import type { Config } from '../config/options.ts'
import { parseUserlist, type Secret } from '../config/userlist.ts'

/** By user; undefined where there is no file. @throws UserlistError, or the error of a file that cannot be read */
export function readSecrets({ authFile }: Config): ReadonlyMap<string, Secret> | undefined {
  return authFile === '' ? undefined : parseUserlist(readFileSync(authFile, 'utf8'), authFile)
}

/** Derive the verifiers of plain secrets ahead: a first login must not take longer than that of an unknown user. */
export function warmVerifiers(
  config: Config,
  secrets: ReadonlyMap<string, Secret> | undefined,
  cache: ScramKeyCache,
): void {
  if (config.authType !== 'scram-sha-256' || secrets === undefined) return
  for (const [user, secret] of secrets) {
    if (secret.kind === 'plain') cache.prepare(user, secret.password, config.scramIterations)
  }
}
