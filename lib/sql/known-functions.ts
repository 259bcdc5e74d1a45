/**
 * Functions of PostgreSQL and of its contrib modules, written in C, that leave something in the session of whoever calls
 * them. Their sources are not to be had from the database, so they are known by name. All of contrib was looked through;
 * functions that are not here keep nothing, or for the transaction alone, or for the whole server.
 *
 * `set_config()`, session advisory locks, `currval()` and replication slots are words of state-effects, because
 * PostgreSQL can be asked what they left.
 */

/** Functions that set a parameter, which follows the client. The parameter may be one of a module that is not loaded yet. */
export const SETTING_FUNCTIONS: Readonly<Record<string, string>> = {
  // pg_trgm
  set_limit: 'pg_trgm.similarity_threshold',
  // isn
  isn_weak: 'isn.weak',
}

/**
 * Functions whose state nobody can ask for and no reset takes away: the client keeps its server until it leaves, and the
 * server ends with it.
 */
export const KEEPING_FUNCTIONS: readonly string[] = [
  // What random() and random_normal() give.
  'setseed',
  // An online backup, under its two names.
  'pg_backup_start',
  'pg_start_backup',
  'pg_replication_origin_session_setup',
  // dblink: connections by name, and one without.
  'dblink_connect',
  'dblink_connect_u',
  // sepgsql
  'sepgsql_setcon',
]

/** Before PostgreSQL 18 `isn_weak()` set no parameter, but a variable of the process. */
export const KEEPING_BEFORE_18 = 'isn_weak'

/** A function that opens a connection of dblink and closes it as well keeps none. */
export const CLOSES = 'dblink_disconnect'

/** Functions that run a text they are given, or read tables and views that their text does not name. */
export const EVALUATING_FUNCTIONS: readonly string[] = [
  'query_to_xml',
  'query_to_xmlschema',
  'query_to_xml_and_xmlschema',
  'table_to_xml',
  'table_to_xml_and_xmlschema',
  'schema_to_xml',
  'schema_to_xml_and_xmlschema',
  'database_to_xml',
  'database_to_xml_and_xmlschema',
  'ts_stat',
  'ts_rewrite',
  // tablefunc
  'crosstab',
  'connectby',
]

const CALLED = new RegExp(`\\b(?:${Object.keys(SETTING_FUNCTIONS).join('|')})\\b`, 'gi')

/** The parameters that functions named in `text` set. */
export function settingsOfFunctions(text: string): string[] {
  return Array.from(text.matchAll(CALLED), ([name]) => SETTING_FUNCTIONS[name.toLowerCase()]!)
}

const KEEPING = new RegExp(`\\b(?:${[...KEEPING_FUNCTIONS, KEEPING_BEFORE_18].join('|')})\\b`, 'i')

/** The first function in `text` that keeps its client on its server; undefined where its name cannot be seen. */
export function keepingFunction(text: string): string | undefined {
  return KEEPING.exec(text)?.[0].toLowerCase()
}
