/** The kinds of session state that cannot follow a client from server to server, counted by these names. */

/** Kinds, and how logs and snapshots call them. */
export const PIN_KINDS = {
  temporary: 'temporary tables',
  cursor: 'cursor WITH HOLD',
  advisoryLock: 'advisory lock',
  listen: 'LISTEN',
  prepare: 'SQL-level PREPARE',
  load: 'LOAD',
  sequence: 'sequence values',
  replicationSlot: 'temporary replication slot',
  /** What only its own words describe: a statement too long to be kept, a parameter whose name is computed. */
  other: 'other session state',
} as const

/** A kind of session state. */
export type PinKind = keyof typeof PIN_KINDS

/** How often something happened, by kind. */
export type PinCounts = Record<PinKind, number>

/** Counts at zero. */
export function createPinCounts(): PinCounts {
  return {
    temporary: 0,
    cursor: 0,
    advisoryLock: 0,
    listen: 0,
    prepare: 0,
    load: 0,
    sequence: 0,
    replicationSlot: 0,
    other: 0,
  }
}
