/**
 * Functions of the database's own that may leave state in the session of whoever calls them: neither the text of such a
 * statement nor its command tag tells. PostgreSQL is asked which there are: functions whose source sets a parameter,
 * takes a session lock and the like, and all that leads to them, as a list of words. A statement whose text has one of
 * the words is suspected. Pure: the question, and the reading of its answer.
 *
 * May suspect too much, which costs a question after the statement; must not miss what a source says. Sources in C are
 * not to be had.
 */

import { KEEPING_FUNCTIONS } from './known-functions.ts'
import {
  DROPPED_TABLE,
  has,
  KEEPS,
  LEAVES,
  LEAVES_ELSEWHERE,
  LOCAL_CALL,
  LOCAL_CALL_OF_CREATOR,
  MAKES,
  regex,
  SETTERS,
} from './source-patterns.ts'
import { STATE_KINDS } from './state-kinds.ts'
import { EVERYTHING, type SuspectWord, type Suspicion, suspicionOf } from './suspect-words.ts'

/** What is known of a database's functions. */
export interface FunctionSources {
  /** A statement with one of these words may change the session; undefined where there is none. */
  readonly leaving: Suspicion | undefined
  /** A statement with one of these may leave what nobody can ask for (sql/known-functions). */
  readonly keeping: Suspicion | undefined
  /** A statement with one of these may create functions. */
  readonly defining: Suspicion | undefined
  /** Parameters of applications (`app.tenant`) that they set, in lower case: PostgreSQL does not list them. */
  readonly settings: readonly string[]
  /** A function, a view or a default reads what a sequence gave its session: currval(), lastval(). */
  readonly readsSequences: boolean
  /** What ALTER ROLE … SET and ALTER DATABASE … SET say, as one text: it changes with them. */
  readonly defaults: string
  /** The same as text, to compare two answers; that of ALL_HIDDEN where there is none. */
  readonly key: string
}

/** Nothing is hidden: the usual case. */
export const NOTHING_HIDDEN: FunctionSources = {
  leaving: undefined,
  keeping: undefined,
  defining: undefined,
  settings: [],
  readsSequences: false,
  defaults: '',
  key: '',
}
/** Nothing is known: any statement may do anything. */
export const ALL_HIDDEN: FunctionSources = {
  ...NOTHING_HIDDEN,
  leaving: EVERYTHING,
  readsSequences: true,
  key: 'unknown',
}

/**
 * No answer is to be had: any statement may do anything. What no look at the session finds is still looked for where
 * `before`, the last that was known, says so: what nobody can ask for, and names of parameters.
 */
export function unanswered({ keeping, defining, settings }: FunctionSources): FunctionSources {
  return { ...ALL_HIDDEN, keeping, defining, settings }
}

/** True where `sources` are what PostgreSQL has said. */
export function isAnswer(sources: FunctionSources): boolean {
  return sources.key !== ALL_HIDDEN.key
}

/** A text that says which code objects it makes: DO and CALL, whose tags do not. */
export const DEFINES = /\b(?:create|alter|execute)\b/i

/** What fires triggers, defaults and constraints, and what event triggers. */
const WRITES = ['insert', 'update', 'delete', 'merge', 'copy', 'truncate', 'alter', 'refresh']
const DDL = 'create alter drop into grant revoke comment security import reassign reindex refresh'.split(' ')
const NAMED_SETTING = '[a-z_][a-z0-9_$]*(?:\\.[a-z_][a-z0-9_$]*)+'
/** Functions in C whose call from a view or a default leaves something behind. */
const BUILT_IN = [...SETTERS, ...(STATE_KINDS.advisoryLock.calls ?? []), ...STATE_KINDS.replicationSlot.words]

/** Settings of a function, a role or a database under which what is created may be temporary. */
const TEMPORARY_PATH = "'search_path=.*pg_temp'"

const READS_SEQUENCES = STATE_KINDS.sequence.calls ?? []

/** More functions, or more characters of their sources and of views, are not looked into. */
const FUNCTION_LIMIT = 20_000
const SOURCE_LIMIT = 24_000_000
/** More words than this are not looked for: everything is suspected. */
const WORD_LIMIT = 500
/** Waiting for a lock is not worth it: who holds one on PostgreSQL's catalogs may keep it. */
const LOCK_LIMIT_MS = 100

/** ASCII characters that are in no name without quotes. */
const NO_NAME = Array.from({ length: 127 }, (_, at) => String.fromCharCode(at + 1))
  .filter((char) => !/[\w$]/.test(char))
  .join('')
/** Schemas of other sessions: their functions are nobody else's. */
const TEMPORARY = "n.nspname ~ '^pg_(?:toast_)?temp_'"
const FOREIGN_SCHEMA = `n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT ${TEMPORARY}`
/** What stands for all functions in temporary schemas that objects outside of them use. */
const TEMPORARY_FUNCTION = '(temporary)'

/**
 * The end of a question with a limit of time. If that passes while PostgreSQL is about to be done, it says so when it looks
 * for the next time: here, and not ahead of the answer to what is asked next.
 */
export const LIMIT_NOTICED = 'SET LOCAL statement_timeout = 0'

/**
 * The question, for PostgreSQL 13 and later: rows of (kind, word, use). Runs in a transaction of its own, under settings
 * of its own: the session may have those of a client, search_path and statement_timeout among them. Bounded: `limitMs`
 * at most, and of more functions than FUNCTION_LIMIT only their number is told.
 *
 * `reached` begins with the functions whose source says it, and grows along `edge` by what leads to one: a function that
 * names it, a view, an aggregate. Where one is run by a kind of statement (a trigger: INSERT) or without any word (an
 * operator), the words of that statement, or '' for any, stand for it, and what has those in it is reached in turn.
 * Of PostgreSQL's own functions it does not note who depends on them: those are looked for in each `expression`.
 * Names are compared, not functions: there may be many of one name. It ends with WORD_LIMIT names: each is looked for in
 * all sources.
 */
export function functionSourcesQuery(limitMs: number): string {
  return [
    'SET LOCAL search_path = pg_catalog, pg_temp',
    `SET LOCAL statement_timeout = ${limitMs}`,
    `SET LOCAL lock_timeout = ${Math.min(LOCK_LIMIT_MS, limitMs)}`,
    'SET LOCAL jit = off',
    // The table of what is reached is as large as this from the beginning.
    "SET LOCAL work_mem = '4MB'",
    QUESTION,
    LIMIT_NOTICED,
  ].join('; ')
}

const QUESTION = `WITH RECURSIVE extent AS MATERIALIZED (
  SELECT functions, views, source_bytes + view_bytes AS bytes,
    functions + views <= ${FUNCTION_LIMIT} AND source_bytes + view_bytes <= ${SOURCE_LIMIT} AS fits
  FROM (
    SELECT count(*) AS functions, coalesce(sum(octet_length(p.prosrc)), 0) AS source_bytes
    FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE ${FOREIGN_SCHEMA} AND l.lanname NOT IN ('internal', 'c') AND p.prokind <> 'a'
  ) AS code, (
    SELECT count(*) AS views, coalesce(sum(pg_column_size(w.ev_action)), 0) AS view_bytes
    FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE ${FOREIGN_SCHEMA}
  ) AS rules
), routine AS MATERIALIZED (
  SELECT oid, name, plain, raw, source, config, regexp_replace(CASE WHEN ${has('set_config')}
    THEN regexp_replace(source, CASE WHEN ${has('create')} OR ${has('into')} THEN ${regex(LOCAL_CALL_OF_CREATOR)}
      ELSE ${regex(LOCAL_CALL)} END, '', 'g') ELSE source END,
    CASE WHEN ${has('drop')} AND ${has('temp')} THEN ${regex(DROPPED_TABLE)} ELSE '^$' END, '', 'g') AS lasting
  FROM (
    SELECT oid, name, plain, raw, config, replace(raw, '"', '') AS source
    FROM (
      SELECT p.oid, lower(p.proname) AS name, l.lanname IN ('sql', 'plpgsql') AS plain,
        lower(CASE WHEN p.prosrc <> '' THEN p.prosrc
          ELSE regexp_replace(pg_get_functiondef(p.oid), ${regex('^.*?\\n(BEGIN ATOMIC|RETURN )')}, ${regex('\\1')})
        END) AS raw, p.proconfig::text AS config
      FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE ${FOREIGN_SCHEMA} AND l.lanname NOT IN ('internal', 'c') AND p.prokind <> 'a' AND (SELECT fits FROM extent)
    ) AS written
  ) AS unquoted
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
), expression (tree, names, named) AS MATERIALIZED (
  SELECT adbin::text, ARRAY[${words(WRITES)}], false FROM pg_attrdef
  UNION ALL SELECT conbin::text, CASE WHEN contypid = 0 THEN ARRAY[${words(WRITES)}] ELSE ARRAY[''] END, false
    FROM pg_constraint WHERE conbin IS NOT NULL
  UNION ALL SELECT typdefaultbin::text, ARRAY[''], false FROM pg_type WHERE typdefaultbin IS NOT NULL
  UNION ALL SELECT concat(polqual::text, polwithcheck::text), ARRAY[lower(relname)], true
    FROM pg_policy JOIN pg_class c ON c.oid = polrelid
  UNION ALL SELECT concat(':funcid ', oprcode::oid, ' '), ARRAY[''], false FROM pg_operator
  UNION ALL SELECT concat(':funcid ', castfunc, ' '), ARRAY[''], false FROM pg_cast
  UNION ALL SELECT concat(':funcid ', aggtransfn::oid, ' :funcid ', aggfinalfn::oid, ' '), ARRAY[lower(proname)], true
    FROM pg_aggregate JOIN pg_proc p ON p.oid = aggfnoid
  UNION ALL SELECT tgqual::text, ARRAY[${words(WRITES)}], false FROM pg_trigger WHERE tgqual IS NOT NULL
  UNION ALL SELECT proargdefaults::text,
      ARRAY[CASE WHEN ${TEMPORARY} THEN '${TEMPORARY_FUNCTION}' ELSE lower(p.proname) END], true
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.proargdefaults IS NOT NULL AND n.nspname NOT IN ('pg_catalog', 'information_schema')
), direct AS MATERIALIZED (
  SELECT c.relname, concat(w.ev_qual::text, w.ev_action::text) AS tree, w.ev_type = '1' AS named,
    CASE WHEN w.ev_type = '1' THEN ARRAY[lower(c.relname)] ELSE ARRAY[${words(WRITES)}] END AS names
  FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${FOREIGN_SCHEMA} AND (SELECT fits FROM extent)
), keyword AS MATERIALIZED (
  SELECT word, catcode FROM pg_get_keywords() WHERE catcode <> 'U'
), callable AS MATERIALIZED (
  SELECT lower(p.proname) AS name, bool_or(coalesce(t.typtype IN ('c', 'd', 'p'), false)) AS bare
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace LEFT JOIN pg_type t ON t.oid = p.proargtypes[0]
  WHERE ${FOREIGN_SCHEMA} AND (SELECT fits FROM extent)
  GROUP BY 1
), edge (source, target, named) AS MATERIALIZED (
  SELECT CASE WHEN ${TEMPORARY} THEN '${TEMPORARY_FUNCTION}' ELSE lower(p.proname) END, next.name, next.named
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    JOIN pg_depend d ON d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid
    LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
    LEFT JOIN pg_trigger g ON d.classid = 'pg_trigger'::regclass AND g.oid = d.objid
    LEFT JOIN pg_attrdef a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
    LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
    LEFT JOIN pg_policy y ON d.classid = 'pg_policy'::regclass AND y.oid = d.objid
    LEFT JOIN pg_proc f ON d.classid = 'pg_proc'::regclass AND f.oid = d.objid
    LEFT JOIN pg_class c ON c.oid = coalesce(w.ev_class, g.tgrelid, a.adrelid, nullif(k.conrelid, 0), y.polrelid,
      CASE WHEN d.classid = 'pg_class'::regclass THEN d.objid END)
    LEFT JOIN pg_namespace o ON o.oid = coalesce(c.relnamespace, f.pronamespace)
    CROSS JOIN LATERAL (
      SELECT lower(f.proname) AS name, true AS named WHERE f.oid IS NOT NULL
      UNION ALL SELECT lower(c.relname), true WHERE y.oid IS NOT NULL OR w.ev_type = '1'
      UNION ALL SELECT unnest(CASE
          WHEN g.oid IS NOT NULL OR a.oid IS NOT NULL OR w.oid IS NOT NULL OR k.contypid = 0 THEN ARRAY[${words(WRITES)}]
          WHEN d.classid = 'pg_event_trigger'::regclass THEN ARRAY[${words(DDL)}]
          ELSE ARRAY[''] END), false
        WHERE f.oid IS NULL AND y.oid IS NULL AND w.ev_type IS DISTINCT FROM '1'
    ) AS next
  WHERE d.refobjid >= 16384 AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND (o.nspname IS NULL OR o.nspname !~ '^pg_(?:toast_)?temp_') AND (SELECT fits FROM extent)
  UNION
  SELECT lower(v.relname), lower(c.relname), true
  FROM pg_class v JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = v.oid
    JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid AND w.ev_type = '1'
    JOIN pg_class c ON c.oid = w.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE d.refobjid <> c.oid AND ${FOREIGN_SCHEMA} AND (SELECT fits FROM extent)
), reached (tag, name, named) AS (
  SELECT 'leaving', name, true FROM seed
  UNION
  SELECT CASE WHEN b.proname IN (${words(KEEPING_FUNCTIONS)}) THEN 'keeping' ELSE 'leaving' END, lower(p.proname), true
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_proc b ON b.prolang = p.prolang AND b.prosrc = p.prosrc
  WHERE l.lanname = 'internal' AND b.pronamespace = 'pg_catalog'::regnamespace
    AND b.proname IN (${words([...BUILT_IN, ...KEEPING_FUNCTIONS])}) AND p.pronamespace <> b.pronamespace
  UNION
  SELECT 'keeping', name, true FROM routine WHERE ${KEEPS}
  UNION
  SELECT 'keeping', unnest(names), named FROM direct, keeper WHERE tree ~ pattern
  UNION
  SELECT 'keeping', unnest(names), named FROM expression, keeper WHERE tree ~ pattern
  UNION
  SELECT 'leaving', '${TEMPORARY_FUNCTION}', true WHERE EXISTS (
    SELECT 1 FROM pg_namespace n JOIN pg_proc p ON p.pronamespace = n.oid
      JOIN pg_depend d ON d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid
    WHERE ${TEMPORARY})
  UNION
  SELECT 'defining', name, true FROM routine
  WHERE CASE WHEN ${has('create')} OR ${has('alter')} THEN source ~ ${regex(MAKES)} ELSE false END
  UNION
  SELECT 'leaving', unnest(names), named FROM direct, built_in WHERE tree ~ pattern
  UNION
  SELECT 'leaving', lower(c.relname), true
  FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid JOIN pg_class c ON c.oid = w.ev_class
    JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.refobjid = 'pg_settings'::regclass AND ${FOREIGN_SCHEMA}
  UNION
  SELECT 'leaving', unnest(names), named FROM expression, built_in WHERE tree ~ pattern
  UNION
  SELECT r.tag, next.name, next.named FROM (
    SELECT tag, name, name <> translate(name, ${regex(NO_NAME)}, '') AS odd, strpos(name, '$') > 0 AS dollar,
      '"' || replace(name, '"', '""') || '"' AS quoted, ${regex('\\m')} || name || ${regex('\\M')} AS whole,
      CASE WHEN named AND k.word IS NOT NULL THEN ${regex('\\.\\s*(?:--|/\\*|')} || name || ${regex('\\M)')} END AS qualified
    FROM reached LEFT JOIN keyword k ON k.word = name AND k.catcode IN ('R', 'C') WHERE name <> '' OFFSET 0
  ) AS r CROSS JOIN LATERAL (
    SELECT f.name, true AS named FROM routine f WHERE CASE
      WHEN odd THEN strpos(f.raw, quoted) > 0
      WHEN strpos(f.raw, r.name) = 0 THEN false
      WHEN dollar THEN true
      WHEN qualified IS NOT NULL THEN strpos(f.raw, quoted) > 0 OR f.raw ~ qualified
      ELSE f.raw ~ whole END
    UNION ALL
    SELECT e.target, e.named FROM edge e WHERE e.source = r.name
  ) AS next
), found AS MATERIALIZED (
  SELECT tag, name, named FROM reached LIMIT ${WORD_LIMIT + 1}
)
SELECT f.tag, f.name, CASE WHEN f.named THEN concat_ws(' ',
  CASE WHEN c.name IS NOT NULL AND NOT c.bare AND NOT EXISTS (SELECT 1 FROM direct WHERE lower(relname) = f.name) THEN 'call' END,
  CASE WHEN k.catcode = 'R' OR k.catcode = CASE WHEN c.name IS NULL THEN 'T' ELSE 'C' END THEN 'keyword' END) END
FROM found f LEFT JOIN callable c ON c.name = f.name LEFT JOIN keyword k ON k.word = f.name
WHERE f.name <> '${TEMPORARY_FUNCTION}'
UNION ALL
SELECT 'excess', concat_ws(' ', functions, 'functions,', views, 'views,', bytes, 'bytes'), '' FROM extent WHERE NOT fits
UNION ALL
SELECT 'sequence', '', '' WHERE EXISTS (SELECT 1 FROM routine WHERE ${READS_SEQUENCES.map((word) => `strpos(source, '${word}') > 0`).join(' OR ')})
  OR EXISTS (SELECT 1 FROM direct, reader WHERE tree ~ pattern)
  OR EXISTS (SELECT 1 FROM expression, reader WHERE tree ~ pattern)
UNION ALL
SELECT 'defaults', md5(string_agg(concat_ws(' ', setdatabase, setrole, setconfig::text), chr(10) ORDER BY setdatabase, setrole)), ''
FROM pg_db_role_setting WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
UNION ALL
SELECT DISTINCT 'setting', found[1], '' FROM seed CROSS JOIN LATERAL (
  SELECT regexp_matches(lasting, ${regex(`\\mset_config\\s*\\(\\s*'+(${NAMED_SETTING})'`)}, 'g') AS found
  UNION ALL
  SELECT regexp_matches(lasting, ${regex(`\\mset\\s+(?:session\\s+)?(${NAMED_SETTING})\\s*(?:=|to\\M)`)}, 'g')
) AS settings`

/** The answer to functionSourcesQuery. @throws Error where that says that there is too much to look into */
export function readFunctionSources(rows: readonly (readonly (string | null)[])[]): FunctionSources {
  const found: Record<string, SuspectWord[]> = { leaving: [], keeping: [], defining: [] }
  const settings: string[] = []
  let readsSequences = false
  let defaults = ''
  let count = 0
  for (const [kind, word, use] of rows) {
    const text = word ?? ''
    if (kind === 'excess') throw new Error(`too much to look into: ${text}`)
    if (kind === 'setting') settings.push(text)
    else if (kind === 'sequence') readsSequences = true
    else if (kind === 'defaults') defaults = text
    else if (Object.hasOwn(found, kind ?? '') && ++count <= WORD_LIMIT) {
      found[kind!]!.push({ word: text, call: /call/.test(use ?? ''), keyword: /keyword/.test(use ?? '') })
    }
  }
  if (count > WORD_LIMIT) throw new Error(`more than ${WORD_LIMIT} functions and views to look for`)
  settings.sort()
  return {
    leaving: suspicionOf(found.leaving!),
    keeping: suspicionOf(found.keeping!),
    defining: suspicionOf(found.defining!),
    settings: settings.slice(0, SETTING_LIMIT),
    readsSequences,
    defaults,
    key: keyOf(rows),
  }
}

/** Names of parameters that are looked for. */
const SETTING_LIMIT = 1000

/** The rows as one text, whatever their order. */
function keyOf(rows: readonly (readonly (string | null)[])[]): string {
  const said = rows.filter(([kind]) => kind !== 'defaults').map((row) => row.join('\0'))
  return said.sort().join('\n')
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

const ANYWHERE = new RegExp(`(?<![a-z0-9_$.])${NAMED_SETTING}`, 'gi')

/** The same of the arguments of a call, which have no quotes. */
export function settingsInBytes(bytes: string): string[] {
  return bytes.includes('.') ? Array.from(bytes.matchAll(ANYWHERE), ([name]) => name.toLowerCase()) : []
}

function words(list: readonly string[]): string {
  return list.map((word) => `'${word}'`).join(', ')
}
