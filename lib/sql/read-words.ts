/**
 * What certain-read needs to know of a database: PostgreSQL is asked for the names of its functions by their volatility,
 * and for what leads to a volatile one without naming it. Pure: the question, and the reading of its answer.
 */

import type { ReadWords } from './certain-read.ts'
import { LIMIT_NOTICED } from './function-sources.ts'

/** How long PostgreSQL may take, in ms. */
const LIMIT_MS = 5000
/** More names than this are not kept: no text is certainly a read then. */
const NAME_LIMIT = 100_000

const NOT_SYSTEM = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(?:toast_)?temp_'"
/** What an expression calls, by function or by operator, or reads, in the text of its tree. */
const CALLS = "':(?:funcid|opfuncid|winfnoid|relid) (\\d+)'"

/**
 * The question, for PostgreSQL 13 and later: rows of (kind, word). `called` are names of functions of which none is
 * volatile, and keywords that are no functions. `avoided` begins with what is volatile or not to be had on a standby:
 * functions of the database's own, sequences, unlogged and foreign tables; and with whose expressions call something
 * volatile, or ask for what is of one server (`own`): views, policies, domains, defaults of arguments, which no other tree
 * repeats. It grows by the views that are made of it, and by the tables of which it is a part. A row of kind `all`: an
 * operator, a cast or an aggregate of the database's own leads to a volatile function, which no word tells.
 */
export const READ_WORDS_QUERY = [
  'SET LOCAL search_path = pg_catalog, pg_temp',
  `SET LOCAL statement_timeout = ${LIMIT_MS}`,
  'SET LOCAL jit = off',
  `WITH RECURSIVE own AS MATERIALIZED (
  SELECT oid FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '^(?:pg|txid)_'
  UNION ALL SELECT oid FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'v'
), argument (oid, call) AS MATERIALIZED (
  SELECT p.oid, call[1]::oid FROM pg_proc p, regexp_matches(p.proargdefaults::text, ${CALLS}, 'g') AS call
  WHERE p.proargdefaults IS NOT NULL AND p.prokind <> 'p'
), volatile (oid) AS (
  SELECT p.oid FROM pg_proc p WHERE p.provolatile = 'v' AND p.prokind <> 'p'
  UNION SELECT oid FROM argument WHERE call IN (SELECT oid FROM own)
  UNION SELECT a.oid FROM volatile v JOIN argument a ON a.call = v.oid
), tree (relation, expression) AS MATERIALIZED (
  SELECT lower(c.relname), concat(w.ev_qual::text, w.ev_action::text) FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${NOT_SYSTEM} AND c.relkind = 'v'
  UNION ALL SELECT lower(c.relname), concat(y.polqual::text, y.polwithcheck::text)
    FROM pg_policy y JOIN pg_class c ON c.oid = y.polrelid
  UNION ALL SELECT lower(t.typname), k.conbin::text
    FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid WHERE k.conbin IS NOT NULL
), leads (name) AS (
  SELECT DISTINCT relation FROM tree, regexp_matches(expression, ${CALLS}, 'g') AS call
  WHERE call[1]::oid IN (SELECT oid FROM volatile UNION ALL SELECT oid FROM own)
  UNION SELECT relation FROM tree WHERE expression ~ ':hasForUpdate true'
  UNION SELECT lower(p.proname) FROM pg_proc p JOIN volatile v ON v.oid = p.oid
    JOIN pg_namespace n ON n.oid = p.pronamespace WHERE ${NOT_SYSTEM}
  UNION SELECT lower(c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE ${NOT_SYSTEM} AND (c.relkind IN ('S', 'f') OR c.relpersistence = 'u' AND c.relkind IN ('r', 'p', 'm'))
), reached (name) AS (
  SELECT name FROM leads
  UNION
  SELECT lower(next.relname) FROM reached r JOIN pg_class c ON lower(c.relname) = r.name CROSS JOIN LATERAL (
    SELECT v.relname FROM pg_depend d
      JOIN pg_rewrite w ON w.oid = d.objid AND w.ev_type = '1' JOIN pg_class v ON v.oid = w.ev_class
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.classid = 'pg_rewrite'::regclass
    UNION ALL SELECT parent.relname FROM pg_inherits i JOIN pg_class parent ON parent.oid = i.inhparent
    WHERE i.inhrelid = c.oid
    UNION ALL SELECT guarded.relname FROM pg_depend d
      JOIN pg_policy y ON y.oid = d.objid JOIN pg_class guarded ON guarded.oid = y.polrelid
    WHERE d.classid = 'pg_policy'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
  ) AS next
)
SELECT 'avoided', name FROM reached
UNION ALL
SELECT 'called', lower(p.proname) FROM pg_proc p WHERE p.prokind <> 'p' GROUP BY 2 HAVING bool_and(p.provolatile <> 'v')
UNION ALL
SELECT 'called', word FROM pg_get_keywords() WHERE catcode IN ('R', 'C')
UNION ALL
SELECT 'all', '' WHERE EXISTS (
  SELECT 1 FROM volatile v WHERE v.oid IN (SELECT oprcode FROM pg_operator) OR v.oid IN (SELECT castfunc FROM pg_cast)
    OR v.oid IN (SELECT unnest(ARRAY[aggtransfn, aggfinalfn, aggcombinefn]) FROM pg_aggregate))`,
  LIMIT_NOTICED,
].join('; ')

/**
 * What the rows of the answer say.
 * @throws Error where no text can be told for a read by them, and says why
 */
export function readWords(rows: readonly (readonly (string | null)[])[]): ReadWords {
  const called = new Set<string>()
  const avoided = new Set<string>()
  if (rows.length > NAME_LIMIT) throw new Error('there are too many functions')
  for (const [kind, word] of rows) {
    if (kind === 'all') throw new Error('an operator, a cast or an aggregate of the database is volatile')
    if ((kind !== 'called' && kind !== 'avoided') || word == null) throw new Error('not the words that were asked for')
    if (kind === 'called') called.add(word)
    else avoided.add(word)
  }
  return { called, avoided }
}
