/** Whether a message must wait because a name in it was given by a batch that has not been answered (pending-names.ts). */

import { FRONTEND } from '../../protocol/types.ts'
import type { ServerConnection } from '../../server/connection.ts'
import { NO_FACTS } from '../../sql/facts.ts'
import { bindsUnnamed, STATEMENT } from './message-kinds.ts'
import type { NamedStatements } from './named-statements.ts'
import type { UnnamedStatement } from './unnamed-statement.ts'

/**
 * True for a message whose meaning depends on a batch that was sent and has not been answered: were that to fail, a
 * statement it prepared would not be there, or one of the same name would still be. It waits for the answer. A driver
 * that pipelines meets this once for each new statement; a batch never waits for itself.
 * @param bytes the message, at least its names
 * @param current number of the batch it belongs to
 */
export function waitsForNames(
  server: ServerConnection,
  type: number,
  bytes: Buffer,
  prepared: NamedStatements | undefined,
  unnamed: UnnamedStatement,
  current: number,
): boolean {
  switch (type) {
    case FRONTEND.Query:
      return prepared?.uncertainText(server, bytes.toString('latin1', 5, bytes.length - 1)) ?? false
    case FRONTEND.Parse:
      if (prepared === undefined) return false
      return (bytes[5] !== 0 && prepared.uncertain(server, bytes, 5)) || prepared.parsesUncertain(server, bytes)
    case FRONTEND.Bind:
      if (bindsUnnamed(bytes.subarray(5))) {
        return (
          !unnamed.certain(server, current) ||
          (prepared?.sqlNamesPending(server, unnamed.current?.facts ?? NO_FACTS) ?? false)
        )
      }
      return prepared?.uncertain(server, bytes, bytes.indexOf(0, 5) + 1, true) ?? false
    case FRONTEND.Describe:
    case FRONTEND.Close:
      if (bytes[5] !== STATEMENT) return false
      // A Close makes an end of the unnamed statement whatever it was.
      if (bytes[6] === 0) return type === FRONTEND.Describe && !unnamed.certain(server, current)
      return prepared?.uncertain(server, bytes, 6, type === FRONTEND.Describe) ?? false
    default:
      return false
  }
}
