/**
 * Functions of the database's own that may leave state in the session of whoever calls them: neither the text of such a
 * statement nor its command tag tells. PostgreSQL is asked which there are: functions whose source sets a parameter,
 * takes a session lock and the like, and all that leads to them, as a list of words. A statement whose text has one of
 * the words is suspected. Pure: the question, and the reading of its answer.
 *
 * May suspect too much, which costs a question after the statement; must not miss what a source says. Sources in C are
 * not to be had.
 */

import {
  CLOSES,
  EVALUATING_FUNCTIONS,
  KEEPING_BEFORE_18,
  KEEPING_FUNCTIONS,
  SETTING_FUNCTIONS,
} from './known-functions.ts'

/** What is known of a database's functions. */
export interface HiddenFunctions {
  /** A statement with one of these words may change the session; undefined where there is none. */
  readonly leaving: RegExp | undefined
  /** A statement with one of these may leave what nobody can ask for (session/known-functions). */
  readonly keeping: RegExp | undefined
  /** A statement with one of these may create functions. */
  readonly defining: RegExp | undefined
  /** Parameters of applications (`app.tenant`) that they set, in lower case: PostgreSQL does not list them. */
  readonly settings: readonly string[]
  /** A function, a view or a default reads what a sequence gave its session: currval(), lastval(). */
  readonly readsSequences: boolean
  /** What ALTER ROLE … SET and ALTER DATABASE … SET say, as one text: it changes with them. */
  readonly defaults: string
  /** The same as text, to compare two answers. */
  readonly key: string
}

/** Nothing is hidden: the usual case. */
export const NOTHING_HIDDEN: HiddenFunctions = {
  leaving: undefined,
  keeping: undefined,
  defining: undefined,
  settings: [],
  readsSequences: false,
  defaults: '',
  key: '',
}
/** Nothing is known: any statement may do anything. */
export const ALL_HIDDEN: HiddenFunctions = {
  ...NOTHING_HIDDEN,
  leaving: /(?:)/,
  readsSequences: true,
  key: 'unknown',
}

/** A text that says which code objects it makes: DO and CALL, whose tags do not. */
export const DEFINES = /\b(?:create|alter|execute)\b/i

/** White space and comments. */
const GAP = '(?:\\s|--[^\\n]*\\n|/\\*(?:[^*]|\\*+[^*/])*\\*+/)'
/** Where a statement may begin: in a body, or in the string of a dynamic one. */
const BEGINNING = "(?:^|;|'|\\$|begin|then|else|loop)"
/** Between parentheses, three deep; a string with a parenthesis in it is not understood, and so suspected. */
const INNER = nested(nested(nested("(?:[^()']|'[^'()]*')*")))
/** Calls of set_config() for the transaction alone. */
const LOCAL_CALL = `\\mset_config${GAP}*\\(${INNER},${GAP}*(?:is_local${GAP}*[:=]>?${GAP}*)?true${GAP}*\\)`
/** Temporary tables that go with the transaction. */
const DROPPED_TABLE = `\\mcreate${GAP}+(?:temp|temporary)${GAP}+table${GAP}[^;]*\\mon${GAP}+commit${GAP}+drop\\M`
const LITERAL = `(?:(?:pg_catalog\\.)?format${GAP}*\\(${GAP}*)?(?:'|\\$[a-z_]*\\$)${GAP}*`
const PLACE = '%(?:[0-9]+\\$)?[is]'

const SETTERS = ['set_config', ...Object.keys(SETTING_FUNCTIONS)]
const COMMANDS = 'set|reset|listen|unlisten|prepare|load|discard|deallocate'
/**
 * What in a source changes the session: what is quickly found out of most sources, and what is then looked at closely.
 * Constraints (\\m, lookahead) are slow in PostgreSQL.
 */
const LEAVES: readonly (readonly [string, string])[] = [
  [
    `source ~ ${regex(`${BEGINNING}${GAP}*(?:${COMMANDS})[\\s/-]`)}`,
    `${BEGINNING}${GAP}*(?:(?!set)(?:${COMMANDS})|set(?!${GAP}+(?:local|constraints|transaction)\\M))${GAP}`,
  ],
  [SETTERS.map(has).join(' OR '), `\\m(?:${SETTERS.join('|')})\\M`],
  [has('temp'), `\\m(?:create|replace|local|global|into)${GAP}+(?:temp|temporary)\\M|\\mpg_temp\\M`],
  [has('hold'), `\\mwith${GAP}+hold\\M`],
  [has('advisory_lock'), '\\mpg_(?:try_)?advisory_lock(?:_shared)?\\M'],
  [EVALUATING_FUNCTIONS.map(has).join(' OR '), `\\m(?:${EVALUATING_FUNCTIONS.join('|')})\\M`],
  [has('pg_settings'), `\\mupdate${GAP}+(?:only${GAP}+)?(?:pg_catalog\\.)?pg_settings\\M`],
  // Dynamic SQL that is computed from its first word on, or of which the name of a function is.
  [
    has('execute'),
    `\\mexecute\\M(?!${GAP}*(?:\\(${GAP}*)?(?:${LITERAL}[a-z]|on\\M|function\\M|procedure\\M))|` +
      `\\mexecute${GAP}*(?:\\(${GAP}*)?${LITERAL}(?:select|call|with|values|do)\\M` +
      `[^;]*(?:${PLACE}${GAP}*\\(|\\|\\|${GAP}*'${GAP}*\\()`,
  ],
]
/** The same in any other language: its ways to run SQL, and the words as such. */
const LEAVES_ELSEWHERE =
  'spi_|advisory|pg_temp|set_config|' +
  '\\m(?:execute|prepare|cursor|query|set|reset|listen|unlisten|load|discard|deallocate|temp|temporary|hold)\\M'
/** What in a source makes code. */
const MAKES =
  `\\m(?:create|alter)${GAP}+(?:or${GAP}+replace${GAP}+)?(?:constraint${GAP}+|event${GAP}+|materialized${GAP}+)?` +
  '(?:function|procedure|routine|aggregate|trigger|extension|view|rule|policy|operator|cast|domain|schema)\\M'
/** What fires triggers, defaults and constraints, and what event triggers. */
const WRITES = ['insert', 'update', 'delete', 'merge', 'copy', 'truncate', 'alter', 'refresh']
const DDL = 'create alter drop into grant revoke comment security import reassign reindex refresh'.split(' ')
const NAMED_SETTING = '[a-z_][a-z0-9_$]*(?:\\.[a-z_][a-z0-9_$]*)+'
/** What keeps a client on its server for good, in a source of any language. */
const KEEPS = `CASE WHEN ${KEEPING_FUNCTIONS.map(has).join(' OR ')}
    THEN NOT ${has(CLOSES)} AND source ~ ${regex(`\\m(?:${KEEPING_FUNCTIONS.join('|')})\\M`)}
    ELSE ${has(KEEPING_BEFORE_18)} AND current_setting('server_version_num')::int < 180000 END`
/** Functions in C whose call from a view or a default leaves something behind. */
const BUILT_IN = [
  ...SETTERS,
  ...['pg_', 'pg_try_'].flatMap((at) => [`${at}advisory_lock`, `${at}advisory_lock_shared`]),
]

/** Settings of a function, a role or a database under which what is created may be temporary. */
const TEMPORARY_PATH = "'search_path=.*pg_temp'"

const READS_SEQUENCES = ['currval', 'lastval']

/** A question that takes longer is given up. */
const LIMIT_MS = 5000

/**
 * The question, for PostgreSQL 13 and later: rows of (kind, word). Runs in a transaction of its own, under settings of
 * its own: the session may have those of a client, search_path and statement_timeout among them.
 *
 * `reached` begins with the functions whose source says it, and grows by what leads to one: a function that names it,
 * a view, an aggregate. Where one is run by a kind of statement (a trigger: INSERT) or without any word (an operator),
 * the words of that statement, or '' for any, stand for it; and as any function may have such a statement in it, all
 * functions are suspected then.
 */
export const HIDDEN_FUNCTIONS = [
  'SET LOCAL search_path = pg_catalog, pg_temp',
  `SET LOCAL statement_timeout = ${LIMIT_MS}`,
  'SET LOCAL jit = off',
  `WITH RECURSIVE routine AS MATERIALIZED (
  SELECT oid, name, plain, source, config, regexp_replace(CASE WHEN ${has('set_config')}
    THEN regexp_replace(source, ${regex(LOCAL_CALL)}, '', 'g') ELSE source END,
    CASE WHEN ${has('drop')} AND ${has('temp')} THEN ${regex(DROPPED_TABLE)} ELSE '^$' END, '', 'g') AS lasting
  FROM (
    SELECT p.oid, lower(p.proname) AS name, l.lanname IN ('sql', 'plpgsql') AS plain,
      replace(lower(CASE WHEN p.prosrc <> '' THEN p.prosrc
        ELSE regexp_replace(pg_get_functiondef(p.oid), ${regex('^.*?\\n(BEGIN ATOMIC|RETURN )')}, ${regex('\\1')})
      END), '"', '') AS source, p.proconfig::text AS config
    FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND l.lanname NOT IN ('internal', 'c')
      AND p.prokind <> 'a'
  ) AS raw
), seed AS MATERIALIZED (
  SELECT oid, name, lasting FROM routine, (
    SELECT EXISTS (SELECT 1 FROM pg_db_role_setting WHERE setconfig::text ~ ${TEMPORARY_PATH}) AS temporary
  ) AS defaults
  WHERE CASE WHEN NOT plain THEN source ~ ${regex(LEAVES_ELSEWHERE)} ELSE
    ${LEAVES.map(([quick, exact]) => `CASE WHEN ${quick} THEN lasting ~ ${regex(exact)} ELSE false END`).join(' OR ')}
  END OR CASE WHEN config ~ ${TEMPORARY_PATH} OR temporary THEN lasting ~ ${regex('\\mcreate\\M')} ELSE false END
), built_in AS MATERIALIZED (
  SELECT ':funcid (?:' || string_agg(p.oid::text, '|') || ') ' AS pattern
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
  WHERE l.lanname IN ('internal', 'c') AND p.proname IN (${words(BUILT_IN)})
), keeper AS MATERIALIZED (
  SELECT ':funcid (?:' || string_agg(p.oid::text, '|') || ') ' AS pattern
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
  WHERE l.lanname IN ('internal', 'c') AND p.proname IN (${words(KEEPING_FUNCTIONS)})
), reader AS MATERIALIZED (
  SELECT ':funcid (?:' || string_agg(p.oid::text, '|') || ') ' AS pattern
  FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname IN (${words(READS_SEQUENCES)})
), direct AS MATERIALIZED (
  SELECT c.oid, c.relname, w.ev_action FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
), reached (tag, class, oid, name) AS (
  SELECT 'leaving', 'pg_proc'::regclass::oid, oid, name FROM seed
  UNION
  SELECT CASE WHEN b.proname IN (${words(KEEPING_FUNCTIONS)}) THEN 'keeping' ELSE 'leaving' END,
    'pg_proc'::regclass::oid, p.oid, lower(p.proname)
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_proc b ON b.prolang = p.prolang AND b.prosrc = p.prosrc
  WHERE l.lanname = 'internal' AND b.pronamespace = 'pg_catalog'::regnamespace
    AND b.proname IN (${words([...BUILT_IN, ...KEEPING_FUNCTIONS])}) AND p.pronamespace <> b.pronamespace
  UNION
  SELECT 'keeping', 'pg_proc'::regclass::oid, oid, name FROM routine WHERE ${KEEPS}
  UNION
  SELECT 'keeping', 'pg_class'::regclass::oid, oid, lower(relname) FROM direct, keeper WHERE ev_action::text ~ pattern
  UNION
  SELECT 'keeping', 0::oid, 0::oid, unnest(ARRAY[${words(WRITES)}])
  WHERE EXISTS (SELECT 1 FROM pg_attrdef, keeper WHERE adbin::text ~ pattern)
  UNION
  SELECT 'defining', 'pg_proc'::regclass::oid, oid, name FROM routine
  WHERE CASE WHEN ${has('create')} OR ${has('alter')} THEN source ~ ${regex(MAKES)} ELSE false END
  UNION
  SELECT 'leaving', 'pg_class'::regclass::oid, oid, lower(relname) FROM direct, built_in WHERE ev_action::text ~ pattern
  UNION
  SELECT 'leaving', 'pg_class'::regclass::oid, c.oid, lower(c.relname)
  FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid JOIN pg_class c ON c.oid = w.ev_class
    JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.refobjid = 'pg_settings'::regclass AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  UNION
  SELECT 'leaving', 0::oid, 0::oid, unnest(ARRAY[${words(WRITES)}])
  WHERE EXISTS (SELECT 1 FROM pg_attrdef, built_in WHERE adbin::text ~ pattern)
  UNION
  SELECT r.tag, next.class, next.oid, next.name FROM reached r CROSS JOIN LATERAL (
    SELECT 'pg_proc'::regclass::oid AS class, f.oid, f.name FROM routine f
    WHERE CASE WHEN strpos(f.source, r.name) = 0 THEN false
      WHEN r.name ~ '^[a-z0-9_]+$' THEN f.source ~ (${regex('\\m')} || r.name || ${regex('\\M')}) ELSE true END
    UNION ALL
    SELECT d.classid, p.oid, lower(p.proname) FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
    WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = r.class AND d.refobjid = r.oid
    UNION ALL
    SELECT 'pg_class'::regclass, c.oid, lower(c.relname)
    FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid JOIN pg_class c ON c.oid = w.ev_class
    WHERE d.classid = 'pg_rewrite'::regclass AND w.ev_type = '1' AND d.refclassid = r.class AND d.refobjid = r.oid
    UNION ALL
    SELECT 'pg_class'::regclass, c.oid, lower(c.relname)
    FROM pg_depend d JOIN pg_policy y ON y.oid = d.objid JOIN pg_class c ON c.oid = y.polrelid
    WHERE d.classid = 'pg_policy'::regclass AND r.class = 'pg_proc'::regclass
      AND d.refclassid = r.class AND d.refobjid = r.oid
    UNION ALL
    SELECT 0, 0, unnest(CASE
        WHEN d.classid IN ('pg_trigger'::regclass, 'pg_attrdef'::regclass) OR w.oid IS NOT NULL OR k.contypid = 0
          THEN ARRAY[${words(WRITES)}]
        WHEN d.classid = 'pg_event_trigger'::regclass THEN ARRAY[${words(DDL)}]
        ELSE ARRAY[''] END)
    FROM pg_depend d
      LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
      LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
    WHERE r.class = 'pg_proc'::regclass AND d.refclassid = r.class AND d.refobjid = r.oid
      AND d.classid NOT IN ('pg_proc'::regclass, 'pg_policy'::regclass) AND (w.oid IS NULL OR w.ev_type <> '1')
  ) AS next
  WHERE r.class <> 0
)
SELECT tag, name FROM reached
UNION
SELECT tag, any_name FROM (SELECT DISTINCT tag FROM reached WHERE class = 0) AS tags, (
  SELECT name FROM routine
  UNION ALL
  SELECT lower(c.relname) FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid JOIN pg_class c ON c.oid = w.ev_class
  WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_proc'::regclass
    AND c.relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname IN ('pg_catalog', 'information_schema'))
) AS every (any_name)
UNION
SELECT 'sequence', '' WHERE EXISTS (SELECT 1 FROM routine WHERE ${READS_SEQUENCES.map((word) => `strpos(source, '${word}') > 0`).join(' OR ')})
  OR EXISTS (SELECT 1 FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace, reader
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND ev_action::text ~ pattern)
  OR EXISTS (SELECT 1 FROM pg_attrdef, reader WHERE adbin::text ~ pattern)
UNION
SELECT 'defaults', md5(string_agg(concat_ws(' ', setdatabase, setrole, setconfig::text), chr(10) ORDER BY setdatabase, setrole))
FROM pg_db_role_setting WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
UNION
SELECT 'setting', found[1] FROM seed CROSS JOIN LATERAL (
  SELECT regexp_matches(lasting, ${regex(`\\mset_config\\s*\\(\\s*'+(${NAMED_SETTING})'`)}, 'g') AS found
  UNION ALL
  SELECT regexp_matches(lasting, ${regex(`\\mset\\s+(?:session\\s+)?(${NAMED_SETTING})\\s*(?:=|to\\M)`)}, 'g')
) AS settings`,
].join('; ')

/** The answer to HIDDEN_FUNCTIONS. */
export function readHiddenFunctions(rows: readonly (readonly (string | null)[])[]): HiddenFunctions {
  const found: Record<string, string[]> = {
    leaving: [],
    keeping: [],
    defining: [],
    setting: [],
    sequence: [],
    defaults: [],
  }
  for (const [kind, word] of rows) found[kind ?? '']?.push(word ?? '')
  for (const words of Object.values(found)) words.sort()
  return {
    leaving: anyOf(found.leaving!),
    keeping: anyOf(found.keeping!),
    defining: anyOf(found.defining!),
    settings: found.setting!,
    readsSequences: found.sequence!.length > 0,
    defaults: found.defaults!.join(),
    key: rows.every(([kind]) => kind === 'defaults') ? '' : JSON.stringify({ ...found, defaults: [] }),
  }
}

const CALLED = new RegExp(`\\bset_config\\s*\\(\\s*'+(${NAMED_SETTING})'`, 'gi')
const COMMANDED = new RegExp(`\\bset\\s+(?:session\\s+)?(${NAMED_SETTING})\\s*(?:=|to\\b)`, 'gi')

/** The parameters of applications that `text`, which makes a function, says this sets. */
export function settingsOfSource(text: string): string[] {
  return [CALLED, COMMANDED].flatMap((pattern) => [...text.matchAll(pattern)].map(([, name]) => name!.toLowerCase()))
}

const IN_STRING = new RegExp(`'(${NAMED_SETTING})'`, 'gi')

/** The strings in `text` that may name parameters of applications: what is called with one may set it. */
export function settingsInStrings(text: string): string[] {
  return text.includes("'") ? [...text.matchAll(IN_STRING)].map(([, name]) => name!.toLowerCase()) : []
}

/** Letters outside of ASCII, of which it is not known how the client's encoding spells them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
const FOREIGN = /[^\x00-\x7f]/

/** Matches texts that have one of `words`, quoted or not, or hide their names: U&"d\0061ta". */
function anyOf(words: readonly string[]): RegExp | undefined {
  if (words.length === 0) return undefined
  if (words.includes('')) return /(?:)/
  const plain = words.filter((word) => !FOREIGN.test(word))
  const patterns = plain.map((word) => word.replaceAll('"', '""').replace(/[^\w\s]/g, '\\$&'))
  const foreign = plain.length < words.length ? `|${FOREIGN.source}` : ''
  return new RegExp(`(?<![\\w$])(?:${patterns.join('|')})(?![\\w$])|u&"${foreign}`, 'i')
}

function nested(inner: string): string {
  return `(?:[^()']|'[^'()]*'|\\(${inner}\\))*`
}

/** A literal that reads the same whatever standard_conforming_strings is. */
function regex(pattern: string): string {
  return `E'${pattern.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`
}

function has(word: string): string {
  return `strpos(source, '${word}') > 0`
}

function words(list: readonly string[]): string {
  return list.map((word) => `'${word}'`).join(', ')
}
