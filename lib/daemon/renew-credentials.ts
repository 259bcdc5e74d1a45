/**
 * Secrets of auth_file that a reload has changed: pools log in to PostgreSQL with the new ones at once. Clients that are
 * connected would otherwise be without servers until the next one logs in.
 */

import { credentialsOfSecret } from '../auth/credentials.ts'
import type { Secret } from '../config/userlist.ts'
import type { Pool } from '../pool/pool.ts'

/** Secrets by user; undefined without an auth_file. */
type Secrets = ReadonlyMap<string, Secret> | undefined

/** Give `pools` what has changed between `before` and `next`. A SCRAM verifier alone is of no use: the old keys stay. */
export function renewCredentials(pools: Iterable<Pool>, before: Secrets, next: Secrets): void {
  for (const pool of pools) {
    const secret = next?.get(pool.user)
    if (JSON.stringify(secret) === JSON.stringify(before?.get(pool.user))) continue
    const credentials = credentialsOfSecret(secret)
    if (credentials.kind !== 'none') pool.credentials = credentials
  }
}
