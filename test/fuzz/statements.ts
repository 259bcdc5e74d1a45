/**
 * The kinds of statements the fuzzer sends. A new kind is a row of KINDS; nothing else has to change.
 *
 * What must hold: on a direct connection the answer depends on nothing but the client's own messages: each client has
 * the table `fuzz.t<client>` to itself, whatever has an order is ordered, nothing tells the time or a process id.
 */

import type { Random } from './random.ts'
import type { CopyStream } from './script.ts'

/** Who asks, and for which message: every row can be told by it. */
export interface Context {
  random: Random
  client: number
  /** `c<client>.<step>`, different in each message. */
  tag: string
}

export type ArgumentType = 'tag' | 'int' | 'id'

/** When a kind is used: always, or with what the pool mode or an option allows. */
export type Group =
  | 'always'
  /** Begins or ends transactions, or needs one: not in statement mode. */
  | 'transaction'
  /** Leaves state behind in the session. */
  | 'state'
  /** Settings of transactions, and what they decide the meaning of. */
  | 'settings'
  /** The same text for all clients, whose rows are in one table: it becomes known as short, and is sent behind others. */
  | 'shared'

export interface Kind {
  name: string
  weight: number
  group?: Group
  /** What the placeholders or literals stand for. */
  args?: ArgumentType[]
  /** The text with `args` in their places: `$1::int`, or a literal. */
  sql(context: Context, ...args: string[]): string
  /** Not within several statements of one Query. */
  alone?: boolean
  /**
   * Its columns are those of something else that exists when it is parsed, so it may be told others once pgbun had to
   * prepare it again: never a statement with a name.
   */
  unnamed?: boolean
  /** What it does to the transaction, as far as is likely. */
  transaction?: 'begin' | 'end'
  /** COPY FROM STDIN: what the client sends. */
  copy?(context: Context): CopyStream
}

const table = ({ client }: Context): string => `fuzz.t${client}`

/** SQL with nothing to choose. */
const fixed =
  (sql: string): Kind['sql'] =>
  () =>
    sql

/** Rows of this client in the table of all of them. */
const own = ({ client }: Context): string => `client = ${client}`

export const KINDS: readonly Kind[] = [
  {
    name: 'shared insert',
    weight: 6,
    group: 'shared',
    args: ['id', 'tag', 'int'],
    sql: ({ client }, id, tag, n) =>
      `INSERT INTO fuzz.shared VALUES (${client}, ${id}, ${tag}, ${n}) RETURNING id, tag`,
  },
  {
    name: 'shared update',
    weight: 6,
    group: 'shared',
    args: ['tag', 'id'],
    sql: (context, tag, id) =>
      `UPDATE fuzz.shared SET tag = ${tag}, n = n + 1 WHERE ${own(context)} AND id = ${id} RETURNING *`,
  },
  {
    name: 'shared delete',
    weight: 2,
    group: 'shared',
    args: ['id'],
    sql: (context, id) => `DELETE FROM fuzz.shared WHERE ${own(context)} AND id = ${id} RETURNING tag`,
  },
  {
    name: 'shared read',
    weight: 6,
    group: 'shared',
    sql: (context) => `SELECT id, tag, n FROM fuzz.shared WHERE ${own(context)} ORDER BY id`,
  },
  // Rows of every shape. Without a literal in it, the text is the same for all clients and its statement is shared.
  { name: 'tag', weight: 12, args: ['tag'], sql: (_, tag) => `SELECT ${tag} AS tag` },
  { name: 'sum', weight: 8, args: ['int', 'int', 'tag'], sql: (_, a, b, tag) => `SELECT ${a} + ${b}, ${tag}` },
  {
    name: 'rows',
    weight: 10,
    args: ['tag', 'int'],
    sql: (_, tag, count) => `SELECT n, ${tag} AS tag FROM generate_series(1, ${count}) n`,
  },
  {
    name: 'wide',
    weight: 2,
    args: ['tag'],
    sql: ({ random }, tag) => `SELECT repeat(left(${tag}, 20), ${random.below(30_000)})`,
  },
  {
    name: 'many',
    weight: 2,
    args: ['tag'],
    sql: ({ random }, tag) =>
      `SELECT n, repeat(left(${tag}, 20), n % 50) FROM generate_series(1, ${random.below(3000)}) n`,
  },
  {
    name: 'long text',
    weight: 1,
    args: ['tag'],
    sql: ({ random }, tag) => `SELECT ${tag} /* «x*${1 + random.below(200_000)}» */`,
  },
  { name: 'no columns', weight: 1, sql: fixed('SELECT') },
  { name: 'null', weight: 1, args: ['tag'], sql: (_, tag) => `SELECT NULL::int, ${tag}, ''` },
  { name: 'show', weight: 1, sql: fixed('SHOW search_path') },
  // Errors: at Parse, at Bind, in the middle of the rows.
  {
    name: 'division',
    weight: 4,
    args: ['int'],
    sql: (_, by) => `SELECT 10 / (${by} - n) FROM generate_series(0, 5) n`,
  },
  { name: 'syntax', weight: 3, args: [], sql: ({ tag }) => `SELEC '${tag}'` },
  { name: 'unknown column', weight: 2, sql: ({ tag }) => `SELECT "${tag}"` },
  { name: 'unknown table', weight: 1, sql: ({ tag }) => `SELECT * FROM fuzz."${tag}"` },
  { name: 'undetermined', weight: 1, args: ['tag'], sql: (_, tag) => `SELECT ${tag.startsWith('$') ? '$2' : tag}` },
  // Data of the client's own.
  {
    name: 'insert',
    weight: 8,
    args: ['id', 'tag', 'int'],
    sql: (context, id, tag, n) => `INSERT INTO ${table(context)} VALUES (${id}, ${tag}, ${n}, ${id} % 5) RETURNING tag`,
  },
  {
    name: 'update',
    weight: 4,
    args: ['tag', 'int', 'id'],
    sql: (context, tag, n, id) => `UPDATE ${table(context)} SET tag = ${tag}, n = ${n} WHERE id = ${id} RETURNING *`,
  },
  { name: 'delete', weight: 3, args: ['id'], sql: (context, id) => `DELETE FROM ${table(context)} WHERE id = ${id}` },
  { name: 'read', weight: 6, sql: (context) => `SELECT * FROM ${table(context)} ORDER BY id` },
  {
    name: 'lock',
    weight: 1,
    args: ['id'],
    sql: (context, id) => `SELECT tag FROM ${table(context)} WHERE id = ${id} FOR UPDATE`,
  },
  {
    name: 'merge',
    weight: 1,
    args: ['id'],
    sql: (context, id) =>
      `WITH gone AS (DELETE FROM ${table(context)} WHERE id = ${id} RETURNING 1) SELECT count(*) FROM gone`,
  },
  // What comes besides the rows.
  { name: 'notice', weight: 3, sql: ({ tag }) => `DO $$ BEGIN RAISE NOTICE '${tag}'; END $$` },
  { name: 'notices', weight: 1, args: ['tag', 'int'], sql: (_, tag, count) => `SELECT fuzz.say(${tag}, ${count})` },
  { name: 'exception', weight: 1, sql: ({ tag }) => `DO $$ BEGIN RAISE WARNING 'before'; RAISE '${tag}'; END $$` },
  { name: 'notify', weight: 1, sql: ({ tag }) => `NOTIFY fuzz_nobody, '${tag}'` },
  { name: 'empty', weight: 2, sql: ({ random }) => random.pick(['', ' ', ';', '-- nothing', '/* nothing */ ;; ']) },
  // Transactions.
  {
    name: 'begin',
    weight: 8,
    group: 'transaction',
    transaction: 'begin',
    sql: ({ random }) =>
      random.pick(['BEGIN', 'BEGIN', 'START TRANSACTION READ ONLY', 'BEGIN ISOLATION LEVEL REPEATABLE READ']),
  },
  {
    name: 'end',
    weight: 8,
    group: 'transaction',
    transaction: 'end',
    sql: ({ random }) =>
      random.pick([
        'COMMIT',
        'COMMIT',
        'ROLLBACK',
        'ROLLBACK',
        'END',
        'ABORT',
        'COMMIT AND CHAIN',
        'ROLLBACK AND CHAIN',
      ]),
  },
  {
    name: 'savepoint',
    weight: 6,
    group: 'transaction',
    sql: ({ random }) =>
      random.pick(['SAVEPOINT here', 'SAVEPOINT there', 'ROLLBACK TO here', 'ROLLBACK TO there', 'RELEASE here']),
  },
  {
    name: 'local setting',
    weight: 3,
    group: 'transaction',
    sql: ({ random, tag }) =>
      random.pick([
        `SET LOCAL application_name = '${tag}'`,
        `SET LOCAL search_path = fuzz, "${tag}"`,
        `SELECT set_config('app.tag', '${tag}', true)`,
        'SET LOCAL DateStyle = German',
        'SET TRANSACTION READ ONLY',
      ]),
  },
  // No text has anything of its client's own: what they share must mean to each what it means directly.
  {
    name: 'settings of the transaction',
    weight: 22,
    group: 'settings',
    sql: ({ random }) =>
      random.pick([
        "SET LOCAL TimeZone = 'UTC'",
        "SET LOCAL TimeZone = 'Asia/Tokyo'",
        "SET TimeZone = 'Europe/Paris'",
        'SET LOCAL DateStyle = DMY',
        'SET LOCAL DateStyle = MDY',
        'RESET DateStyle',
        'SET LOCAL search_path = fuzz_one, public',
        'SET LOCAL search_path = fuzz_two, public',
        "SELECT set_config('search_path', 'fuzz_two', true)",
        "SELECT set_config('TimeZone', 'America/New_York', true)",
        'SET LOCAL IntervalStyle = iso_8601',
        "SET LOCAL app.mode = 'a'",
        "SELECT set_config('app.mode', 'b', true)",
        "SET LOCAL statement_timeout = '1min'",
        "DO $$ BEGIN PERFORM set_config('TimeZone', 'UTC', true); END $$",
        "BEGIN; SET LOCAL TimeZone = 'Asia/Tokyo'",
        'CREATE TEMP TABLE same ON COMMIT DROP AS SELECT 9 AS v',
        'RESET ALL',
      ]),
  },
  {
    name: 'by settings',
    weight: 26,
    group: 'settings',
    sql: ({ random }) =>
      random.pick([
        "SELECT extract(epoch FROM '2020-01-01 00:00'::timestamptz)::bigint",
        "SELECT '01/02/2026'::date - '2026-01-01'::date",
        "SELECT extract(epoch FROM '2020-01-01 00:00'::timestamptz)::bigint, '01/02/2026'::date - '2026-01-01'::date",
        'SELECT v FROM same',
        "SELECT v, extract(epoch FROM '2020-01-01 00:00'::timestamptz)::bigint FROM same",
        "SELECT nullif(current_setting('app.mode', true), '')",
        'SHOW TimeZone',
        'SHOW search_path',
      ]),
  },
  {
    name: 'advisory transaction lock',
    weight: 1,
    group: 'transaction',
    sql: ({ client }) => `SELECT pg_advisory_xact_lock(${client})`,
  },
  {
    name: 'cursor',
    weight: 3,
    group: 'transaction',
    sql: ({ random, tag }) =>
      random.pick([
        `DECLARE own CURSOR FOR SELECT n, '${tag}' FROM generate_series(1, 5) n`,
        `DECLARE own SCROLL CURSOR FOR SELECT n, '${tag}' FROM generate_series(1, 5) n`,
        'MOVE own',
        'CLOSE own',
      ]),
  },
  {
    name: 'fetch',
    weight: 2,
    group: 'transaction',
    unnamed: true,
    sql: ({ random }) => random.pick(['FETCH 2 FROM own', 'FETCH 3 FROM own']),
  },
  // COPY.
  {
    name: 'copy out',
    weight: 4,
    sql: (context) =>
      context.random.pick([
        `COPY (SELECT * FROM ${table(context)} ORDER BY id) TO STDOUT`,
        `COPY (SELECT n, '${context.tag}' FROM generate_series(1, 200) n) TO STDOUT WITH (FORMAT csv, HEADER)`,
        `COPY (SELECT 10 / (n - 3), '${context.tag}' FROM generate_series(1, 9) n) TO STDOUT`,
        `COPY (SELECT '${context.tag}') TO STDOUT (FORMAT binary)`,
      ]),
  },
  {
    name: 'copy in',
    weight: 6,
    sql: (context) =>
      `COPY ${table(context)} (id, tag, n) FROM STDIN${context.random.pick(['', '', ' (FORMAT csv)', ' (HEADER)'])}`,
    copy: copyStream,
  },
  // State that lives in a session. Whatever is added here is undone by nobody but the client itself.
  {
    name: 'setting',
    weight: 10,
    group: 'state',
    sql: ({ random, tag }) =>
      random.pick([
        `SET application_name = '${tag}'`,
        `SET search_path = fuzz, "${tag}"`,
        'SET DateStyle = German',
        "SET TimeZone = 'Asia/Tokyo'",
        `SET app.tag = '${tag}'`,
        'SET statement_timeout = 60000',
        `SELECT set_config('app.tag', '${tag}', false)`,
        'RESET application_name',
        'RESET search_path',
        'RESET app.tag',
        'RESET ALL',
        'SET work_mem TO DEFAULT',
      ]),
  },
  {
    name: 'settings seen',
    weight: 6,
    group: 'state',
    sql: fixed(
      "SELECT current_setting('application_name'), current_setting('search_path'), nullif(current_setting('app.tag', true), ''), current_setting('statement_timeout'), '2026-03-01'::date, current_setting('TimeZone')",
    ),
  },
  {
    name: 'temporary table',
    weight: 4,
    group: 'state',
    sql: ({ random, tag }) =>
      random.pick([
        `CREATE TEMP TABLE own AS SELECT '${tag}' AS tag`,
        'SELECT * FROM own',
        'DROP TABLE own',
        `INSERT INTO own VALUES ('${tag}')`,
        'CREATE TEMP TABLE passing (x int) ON COMMIT DROP',
      ]),
  },
  {
    name: 'advisory lock',
    weight: 3,
    group: 'state',
    sql: ({ random, client }) =>
      random.pick([
        `SELECT pg_advisory_lock(${client})`,
        `SELECT pg_try_advisory_lock_shared(${client})`,
        `SELECT pg_advisory_unlock(${client})`,
        'SELECT pg_advisory_unlock_all()',
      ]),
  },
  {
    name: 'prepare',
    weight: 3,
    group: 'state',
    sql: ({ random, tag }) =>
      random.pick([`PREPARE own AS SELECT '${tag}', $1::int`, 'DEALLOCATE own', 'DEALLOCATE ALL']),
  },
  { name: 'execute', weight: 1, group: 'state', unnamed: true, sql: fixed('EXECUTE own (5)') },
  {
    name: 'deallocate',
    weight: 2,
    group: 'state',
    sql: ({ random }) => random.pick(['DEALLOCATE a', 'DEALLOCATE PREPARE b', 'DEALLOCATE "€"']),
  },
  {
    name: 'holding cursor',
    weight: 3,
    group: 'state',
    sql: ({ random, tag }) =>
      random.pick([
        `DECLARE held CURSOR WITH HOLD FOR SELECT n, '${tag}' FROM generate_series(1, 9) n`,
        'FETCH 2 FROM held',
        'CLOSE held',
        'CLOSE ALL',
      ]),
  },
  {
    name: 'listen',
    weight: 3,
    group: 'state',
    sql: ({ random, client, tag }) =>
      random.pick([
        `LISTEN fuzz_c${client}`,
        `UNLISTEN fuzz_c${client}`,
        'UNLISTEN *',
        `NOTIFY fuzz_c${client}, '${tag}'`,
      ]),
  },
  {
    name: 'discard',
    weight: 1,
    group: 'state',
    alone: true,
    sql: ({ random }) => random.pick(['DISCARD ALL', 'DISCARD PLANS', 'DISCARD TEMP']),
  },
]

/** Rows for COPY FROM, most of them good, cut into messages anywhere. */
function copyStream({ random, tag }: Context): CopyStream {
  let text = ''
  for (let rows = random.below(6); rows > 0; rows--) {
    const row = [String(random.below(40)), tag, String(random.below(9))]
    if (random.percent(8)) row[0] = 'x'
    if (random.percent(5)) row.pop()
    if (random.percent(4)) row[2] = '-1'
    if (random.percent(4)) row[1] = `${tag}«y*${random.below(100_000)}»`
    text += `${row.join(random.percent(85) ? '\t' : ',')}\n`
  }
  if (random.percent(5)) text += '\\.\n'
  const parts: CopyStream['parts'] = []
  while (text.length > 0) {
    // Not within «y*5»: it is written out message by message.
    let length = random.percent(40) ? text.indexOf('\n') + 1 : random.between(1, 60)
    const open = text.lastIndexOf('«', length - 1)
    if (open >= 0 && text.indexOf('»', open) >= length) length = text.indexOf('»', open) + 1
    parts.push({ data: text.slice(0, length) })
    text = text.slice(length)
    if (random.percent(6)) parts.push({ message: random.percent(50) ? 'sync' : 'flush' })
  }
  return { parts, end: random.percent(88) ? 'done' : 'fail' }
}
