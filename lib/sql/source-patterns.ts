/**
 * What the source of a function says when it may leave state in its session, as expressions of PostgreSQL's: a part of the
 * question of function-sources.ts. May suspect too much. Pure.
 */

import {
  CLOSES,
  EVALUATING_FUNCTIONS,
  KEEPING_BEFORE_18,
  KEEPING_FUNCTIONS,
  SETTING_FUNCTIONS,
} from './known-functions.ts'

/** White space and comments. */
const GAP = '(?:\\s|--[^\\n\\r]*[\\n\\r]|/\\*(?:[^*]|\\*+[^*/])*\\*+/)'
/** A comment within a comment, of which no expression knows the end. */
const NESTED_COMMENT = '/\\*(?:[^*/]|\\*+[^*/]|/+[^*/])*\\**/+\\*'
/** Where a statement may begin: in a body, or in the string of a dynamic one. */
const BEGINNING = "(?:^|;|'|\\$|begin|then|else|loop)"
/** No parenthesis, and nothing in which one would be none: comments, and strings but plain ones without any. */
const FLAT = "[^()'$/-]|-[^-()'$/]|/[^*()'$/-]|\\$[0-9]|'[^'()\\\\]*'"
/** Between parentheses, three deep; what is not understood is suspected. */
const INNER = nested(nested(nested(`(?:${FLAT})*`)))
const LOCAL_ARGUMENTS = `${INNER},${GAP}*(?:is_local${GAP}*[:=]>?${GAP}*)?true${GAP}*\\)`
/** The name of set_config() where it sets for the transaction alone. What is called between its parentheses counts. */
export const LOCAL_CALL = `\\mset_config(?=${GAP}*\\(${LOCAL_ARGUMENTS})`
/** The same in a source that creates something: a search_path that is computed may lead to the temporary schema. */
export const LOCAL_CALL_OF_CREATOR =
  `\\mset_config(?=${GAP}*\\(${GAP}*` +
  `(?:'(?!search_path'|')|'search_path'${GAP}*,${GAP}*'[^']*'${GAP}*,))(?=${GAP}*\\(${LOCAL_ARGUMENTS})`
/**
 * Temporary tables that go with the transaction. A string or a comment may end before what looks like ON COMMIT DROP:
 * a table with one of those in its definition is suspected.
 */
export const DROPPED_TABLE =
  `\\mcreate${GAP}+(?:temp|temporary)${GAP}+table${GAP}(?:[^;'$/-]|-[^-;'$/]|/[^*;'$/-])*` +
  `\\mon${GAP}+commit${GAP}+drop\\M`
/** The end of a string, behind which something else may go on. */
const END = "(?:'|\\$)"
const LITERAL = `(?:(?:pg_catalog\\.)?format${GAP}*\\(${GAP}*)?(?:'|\\$[a-z_]*\\$)${GAP}*`
const PLACE = '%(?:[0-9]+\\$)?[is]'
/** What is composed goes on here with words of any kind. */
const WORDS = `(?:${END}|%(?:[0-9]+\\$)?s)`
const EXECUTES = `\\mexecute${GAP}*(?:\\(${GAP}*)?${LITERAL}`

export const SETTERS = ['set_config', ...Object.keys(SETTING_FUNCTIONS)]
const COMMANDS = 'set|reset|listen|unlisten|prepare|load|discard|deallocate'
/**
 * What in a source changes the session: what is quickly found out of most sources, and what is then looked at closely.
 * Constraints (\\m, lookahead) are slow in PostgreSQL.
 */
export const LEAVES: readonly (readonly [string, string])[] = [
  [
    `source ~ ${regex(`${BEGINNING}${GAP}*(?:${COMMANDS})[\\s/-]`)}`,
    `${BEGINNING}${GAP}*(?:(?!set)(?:${COMMANDS})|set(?!${GAP}+(?:local|constraints|transaction)\\M))${GAP}`,
  ],
  ["source ~ '/[*].*/[*]'", `${NESTED_COMMENT}.*\\m(?:${COMMANDS}|temp|temporary|hold|pg_settings|execute)\\M`],
  [SETTERS.map(has).join(' OR '), `\\m(?:${SETTERS.join('|')})\\M`],
  [has('temp'), `\\m(?:create|replace|local|global|into)${GAP}+(?:temp|temporary)\\M|\\mpg_temp\\M`],
  [has('hold'), `\\mwith${GAP}+hold\\M`],
  [has('_replication_slot'), '\\mpg_(?:create|copy)_(?:physical|logical)_replication_slot\\M'],
  [has('advisory_lock'), '\\mpg_(?:try_)?advisory_lock(?:_shared)?\\M'],
  [EVALUATING_FUNCTIONS.map(has).join(' OR '), `\\m(?:${EVALUATING_FUNCTIONS.join('|')})\\M`],
  [has('pg_settings'), `\\mupdate${GAP}+(?:only${GAP}+)?(?:pg_catalog\\.)?pg_settings\\M`],
  // Dynamic SQL that is computed from its first word on, or of which TEMP, HOLD or the name of a function may be.
  [
    has('execute'),
    `\\mexecute\\M(?!${GAP}*(?:\\(${GAP}*)?(?:${LITERAL}[a-z]|on\\M|function\\M|procedure\\M))|` +
      `${EXECUTES}(?:select|call|with|values|do)\\M[^;]*(?:${PLACE}${GAP}*\\(|\\|\\|${GAP}*'${GAP}*\\()|` +
      `${EXECUTES}(?:[a-z]+(?:${END}${GAP}*[|,]|%)|create(?:${GAP}+(?:or|replace|local|global))*${GAP}*${WORDS}|` +
      `select\\M[^;']*\\minto${GAP}*${WORDS}|declare\\M[^;]*(?:\\|\\||%))`,
  ],
]
/** The same in any other language: its ways to run SQL, and the words as such. */
export const LEAVES_ELSEWHERE =
  'spi_|advisory|replication_slot|pg_temp|set_config|' +
  '\\m(?:execute|prepare|cursor|query|set|reset|listen|unlisten|load|discard|deallocate|temp|temporary|hold)\\M'
/** What in a source makes code. */
export const MAKES =
  `\\m(?:create|alter)${GAP}+(?:or${GAP}+replace${GAP}+)?(?:constraint${GAP}+|event${GAP}+|materialized${GAP}+)?` +
  '(?:function|procedure|routine|aggregate|trigger|extension|view|rule|policy|operator|cast|domain|schema)\\M'
/** It sets `seed`, which is no column. */
const SEEDS =
  `${BEGINNING}${GAP}*set${GAP}+(?:(?:session|local)${GAP}+)?seed\\M|` + `\\mset_config${GAP}*\\(${GAP}*'+seed'`
/** What keeps a client on its server for good, in a source of any language. */
export const KEEPS = `CASE WHEN ${has('seed')} AND strpos(source, 'set') > 0 AND source ~ ${regex(SEEDS)} THEN true WHEN ${KEEPING_FUNCTIONS.map(has).join(' OR ')}
    THEN NOT ${has(CLOSES)} AND source ~ ${regex(`\\m(?:${KEEPING_FUNCTIONS.join('|')})\\M`)}
    ELSE ${has(KEEPING_BEFORE_18)} AND current_setting('server_version_num')::int < 180000 END`
function nested(inner: string): string {
  return `(?:${FLAT}|\\(${inner}\\))*`
}

/** A literal that reads the same whatever standard_conforming_strings is. */
export function regex(pattern: string): string {
  return `E'${pattern.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`
}

/** SQL: the source has `word` in it. */
export function has(word: string): string {
  return `strpos(source, '${word}') > 0`
}
