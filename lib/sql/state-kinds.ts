/**
 * THE table of session state: each kind of state that a client can leave in the session of its server, one row each. All
 * that has to be known of a kind stands in its row, and everything else derives from it: the words statements are suspected
 * by (state-effects), what a text shows for certain (lasting-state), the question to the server (settings/state-query), the
 * reset (settings/reset), the command tags that are watched (server/downstream), logs, counts and hints. The tests compare
 * their samples and TRANSACTION-MODE.md with it. Pure.
 *
 * A new kind is a row here and a sample in test/fixtures/session-state.ts. Code elsewhere names a kind only where it does
 * something about it that no other kind needs.
 */

import { KEEPING_FUNCTIONS, SETTING_FUNCTIONS } from './known-functions.ts'
import {
  createsTemporary,
  holdsCursor,
  loadsLibrary,
  preparesStatement,
  type StatementRule,
  selectsIntoTemporary,
  setsSeed,
} from './lasting-statements.ts'
import { EQUAL } from './quote.ts'

/** A row. */
export interface StateKindRow {
  /** How logs, snapshots and errors call it. */
  readonly label: string
  /** The bit that stands for it where a text is suspected of it (state-effects). */
  readonly effect: number
  /** Words by which a text is suspected. */
  readonly words: readonly string[]
  /** Code whose text does not show what it does (DO, CALL, a function of the database's own) is suspected of it. */
  readonly ofCode: boolean
  /** By the first word of a statement: tells that this certainly leaves it. */
  readonly begins?: Readonly<Record<string, StatementRule>>
  /** The same for statements that run the functions they call, SELECT among them. */
  readonly runs?: StatementRule
  /** Functions of PostgreSQL's that leave it wherever they are called. */
  readonly calls?: readonly string[]
  /** A condition that is true in a session that has it; without one, nobody can be asked. */
  readonly there?: string
  /** First words of command tags that tell of it. */
  readonly tags: readonly string[]
  /** Statements that do away with all of it; only the end of the session does where there are none. */
  readonly cleanedBy: readonly string[]
  /** What a refused statement is to be replaced by, as a hint; '' where there is nothing. */
  readonly instead: string | ((statement: string) => string)
  /** It can be given to another server: it follows the client, and never keeps it. */
  readonly follows?: true
}

const LOCK_FUNCTIONS = [
  'pg_advisory_lock',
  'pg_advisory_lock_shared',
  'pg_try_advisory_lock',
  'pg_try_advisory_lock_shared',
]
const SEQUENCE_READERS = ['currval', 'lastval']

const ROWS = {
  temporary: {
    label: 'temporary tables',
    effect: 2,
    // What is created without a word about it is where search_path leads.
    words: ['create', 'into', 'temp', 'temporary', 'drop'],
    ofCode: true,
    begins: { create: createsTemporary },
    runs: selectsIntoTemporary,
    // Whatever lies in the schema depends on it: that is how PostgreSQL empties it.
    there:
      `EXISTS (SELECT 1 FROM pg_catalog.pg_depend WHERE refclassid ${EQUAL} 'pg_catalog.pg_namespace'::pg_catalog.regclass` +
      ` AND refobjid ${EQUAL} pg_catalog.pg_my_temp_schema())`,
    tags: [],
    cleanedBy: ['DISCARD TEMP'],
    instead: 'Create a temporary table with ON COMMIT DROP, in the transaction that uses it',
  },
  cursor: {
    label: 'cursor WITH HOLD',
    effect: 4,
    words: ['hold', 'close'],
    ofCode: true,
    begins: { declare: holdsCursor },
    there: 'EXISTS (SELECT 1 FROM pg_catalog.pg_cursors WHERE is_holdable)',
    tags: [],
    cleanedBy: ['CLOSE ALL'],
    instead: 'Read the cursor in the transaction that declares it, without HOLD',
  },
  advisoryLock: {
    label: 'advisory lock',
    effect: 8,
    words: [...LOCK_FUNCTIONS, 'pg_advisory_unlock', 'pg_advisory_unlock_shared', 'pg_advisory_unlock_all'],
    ofCode: true,
    calls: LOCK_FUNCTIONS,
    there:
      `EXISTS (SELECT 1 FROM pg_catalog.pg_locks WHERE locktype ${EQUAL} 'advisory'` +
      ` AND pid ${EQUAL} pg_catalog.pg_backend_pid())`,
    tags: [],
    cleanedBy: ['SELECT pg_catalog.pg_advisory_unlock_all()'],
    instead: (call) => `Lock for the transaction alone, with ${call.replace('advisory', 'advisory_xact')}`,
  },
  listen: {
    label: 'LISTEN',
    effect: 16,
    words: ['listen', 'unlisten'],
    ofCode: true,
    begins: { listen: () => 'LISTEN' },
    there: 'EXISTS (SELECT 1 FROM pg_catalog.pg_listening_channels())',
    tags: ['LISTEN', 'UNLISTEN'],
    cleanedBy: ['UNLISTEN *'],
    instead: '',
  },
  prepare: {
    label: 'SQL-level PREPARE',
    effect: 32,
    words: ['prepare', 'deallocate'],
    ofCode: true,
    begins: { prepare: preparesStatement },
    there: 'EXISTS (SELECT 1 FROM pg_catalog.pg_prepared_statements WHERE from_sql)',
    tags: ['PREPARE', 'DEALLOCATE'],
    // Nothing else leaves out the statements that clients share.
    cleanedBy: ['DISCARD ALL'],
    instead: 'Prepare with messages of the protocol, as drivers do: those statements follow the client',
  },
  load: {
    label: 'LOAD',
    effect: 64,
    words: ['load'],
    ofCode: true,
    begins: { load: loadsLibrary },
    tags: ['LOAD'],
    cleanedBy: [],
    instead: 'Load the library with session_preload_libraries',
  },
  sequence: {
    label: 'sequence values',
    effect: 128,
    words: SEQUENCE_READERS,
    ofCode: false,
    calls: SEQUENCE_READERS,
    tags: [],
    cleanedBy: ['DISCARD SEQUENCES'],
    instead: 'Take the value from INSERT … RETURNING',
  },
  replicationSlot: {
    label: 'temporary replication slot',
    effect: 2048,
    words: [
      'pg_create_physical_replication_slot',
      'pg_create_logical_replication_slot',
      'pg_copy_physical_replication_slot',
      'pg_copy_logical_replication_slot',
      'pg_drop_replication_slot',
    ],
    ofCode: false,
    there:
      'EXISTS (SELECT 1 FROM pg_catalog.pg_replication_slots WHERE temporary' +
      ` AND active_pid ${EQUAL} pg_catalog.pg_backend_pid())`,
    tags: [],
    cleanedBy: [],
    instead: '',
  },
  /**
   * What only its own words describe: a function that keeps something for itself (known-functions), a statement too long
   * to be kept, a parameter whose name is computed.
   */
  other: {
    label: 'other session state',
    effect: 8192,
    words: KEEPING_FUNCTIONS,
    ofCode: false,
    begins: { set: (tokens) => (setsSeed(tokens) ? 'SET seed' : undefined) },
    calls: KEEPING_FUNCTIONS,
    tags: [],
    cleanedBy: [],
    instead: '',
  },
  settings: {
    label: 'settings',
    effect: 1,
    words: ['set', 'reset', 'set_config', ...Object.keys(SETTING_FUNCTIONS)],
    ofCode: true,
    tags: ['SET', 'RESET'],
    // SET SESSION AUTHORIZATION forgets a role set by ALTER ROLE, which RESET ROLE behind it brings back.
    cleanedBy: ['SET SESSION AUTHORIZATION DEFAULT', 'RESET ROLE', 'RESET ALL'],
    instead: '',
    follows: true,
  },
} as const satisfies Record<string, StateKindRow>

/** A kind of session state. */
export type StateKind = keyof typeof ROWS

/** A kind that cannot follow a client from server to server. */
export type PinKind = { [K in StateKind]: (typeof ROWS)[K] extends { follows: true } ? never : K }[StateKind]

/** The table, in the order in which kinds are named where there are several. */
export const STATE_KINDS: Readonly<Record<StateKind, StateKindRow>> = ROWS

/** All kinds with their rows. */
export const STATE_KIND_ROWS = Object.entries(STATE_KINDS) as readonly (readonly [StateKind, StateKindRow])[]

/** The kinds that cannot follow a client. */
export const PIN_KIND_ROWS = STATE_KIND_ROWS.filter(([, { follows }]) => !follows) as readonly (readonly [
  PinKind,
  StateKindRow,
])[]

/** How often something happened, by kind. */
export type PinCounts = Record<PinKind, number>

/** Counts at zero. */
export function createPinCounts(): PinCounts {
  return Object.fromEntries(PIN_KIND_ROWS.map(([kind]) => [kind, 0])) as PinCounts
}

/** Add what `other` has counted to `sum`. */
export function addPinCounts(sum: PinCounts, other: PinCounts): void {
  for (const [kind] of PIN_KIND_ROWS) sum[kind] += other[kind]
}

/** What to write instead of `statement`, which would leave state of `kind`; '' where there is nothing. */
export function insteadOf(kind: PinKind, statement: string): string {
  const { instead } = STATE_KINDS[kind]
  return typeof instead === 'string' ? instead : instead(statement)
}
