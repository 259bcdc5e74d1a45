/** Messages of a client that came before and are sent once more. */

import { Batch } from './batch.ts'
import { Scanner } from './scanner.ts'
import { FRONTEND_TABLE, frontendName } from './types.ts'

/** The batch of `bytes`, which are whole messages that were scanned before. */
export function requestsIn(bytes: Buffer): Batch {
  const batch = Batch.take(bytes)
  new Scanner(FRONTEND_TABLE, { cap: bytes.length, name: frontendName }).scan(bytes, batch)
  return batch
}
