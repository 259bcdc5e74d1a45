/** What a FunctionCall may leave behind in the session of its server (note-effects.ts): it names its function by a number. */

import type { ServerConnection } from '../../server/connection.ts'
import { SqlFacts, UNKNOWN_CODE } from '../../sql/facts.ts'
import { settingsInBytes } from '../../sql/function-sources.ts'
import { ANY, KEEPS, NEXTVAL, SEQUENCE, SLOT } from '../../sql/state-effects.ts'
import type { ClientEffects } from '../state/client-effects.ts'
import { lookFor, noteEffects, noteUnread } from '../state/note-effects.ts'

/** Functions of PostgreSQL's own, by number: it is the same in all versions. */
const EFFECTS: Readonly<Record<number, number>> = {
  // nextval, currval, lastval
  1574: NEXTVAL,
  1575: SEQUENCE,
  2559: SEQUENCE,
  // setseed, pg_backup_start, pg_replication_origin_session_setup
  1599: KEEPS,
  2172: KEEPS,
  6006: KEEPS,
  // Replication slots.
  3779: SLOT,
  3786: SLOT,
  ...Object.fromEntries([4220, 4221, 4222, 4223, 4224].map((number) => [number, SLOT])),
}

/** By number of the function. What others leave nobody knows. */
const FACTS = new Map(
  Object.entries(EFFECTS).map(([number, effects]) => [Number(number), new SqlFacts('', ANY | effects)]),
)

/** A FunctionCall with this body, which may not be there as a whole: it may be of pg_advisory_lock(), or set_config(). */
export function noteCall(client: ClientEffects, server: ServerConnection, body: Buffer, whole: boolean): void {
  const known = body.length < 4 ? undefined : FACTS.get(body.readUInt32BE(0))
  noteEffects(client, server, known ?? UNKNOWN_CODE, '')
  lookFor(client, server, settingsInBytes(body.toString('latin1', 4)))
  if (!whole) noteUnread(client, server, 'a long call that may set parameters')
}
