/**
 * The startup parameter `replication` (protocol chapter "Streaming Replication Protocol"): whether a session talks to a
 * walsender, and whether that one is connected to a database. Values are read as PostgreSQL reads them: a boolean with
 * its unambiguous abbreviations, in any case, or `database` in just this spelling.
 */

/** `none` is an ordinary session; `physical` belongs to no database; `logical` (`replication=database`) runs SQL, too. */
export type ReplicationMode = 'none' | 'physical' | 'logical'

const TRUE = /^(?:t|tr|tru|true|y|ye|yes|on|1)$/i
const FALSE = /^(?:f|fa|fal|fals|false|n|no|of|off|0)$/i

/** The mode a value of the parameter asks for; undefined where PostgreSQL would refuse the value. */
export function readReplicationMode(value: string): ReplicationMode | undefined {
  if (value === 'database') return 'logical'
  if (TRUE.test(value)) return 'physical'
  return FALSE.test(value) ? 'none' : undefined
}
