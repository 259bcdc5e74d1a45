/**
 * Whether a text may be interrupted and run a second time without anybody's noticing: one statement that only reads, and calls
 * nothing but what is known here. Such requests alone are sent behind those of other clients (pool/pipeline.ts), where a cancel
 * request may hit the wrong one: of a statement that writes, a cancel leaves more than nothing (a commit that does not wait for
 * a standby, what a function did by dblink, a handler of query_canceled). Pure.
 */

import { isCertainRead, type ReadWords } from './certain-read.ts'

/** PostgreSQL's keywords that may stand in front of a parenthesis. */
const KEYWORDS = `all and any array as asymmetric between bigint bit boolean both by case cast char character coalesce cube dec
  decimal distinct else except exists extract false filter float from greatest group grouping having ilike in int integer
  intersect interval is isnull join lateral leading least like limit materialized national nchar normalize not notnull null
  nullif numeric offset on only or order over overlaps overlay partition position precision real rollup row select sets
  similar smallint some substring symmetric table then time timestamp trailing trim true union using values varchar when
  where with within`

/** Functions of PostgreSQL that leave nothing, of which applications are fond. Those that are shadowed by others are rare. */
const FUNCTIONS = `abs age array_agg array_append array_cat array_length array_lower array_position array_prepend array_remove
  array_replace array_to_json array_to_string array_upper ascii avg bit_and bit_length bit_or bool_and bool_or btrim cardinality
  cbrt ceil ceiling char_length chr clock_timestamp concat concat_ws corr count cume_dist current_database date_bin date_part
  date_trunc decode degrees dense_rank div encode every exp first_value floor format gen_random_uuid generate_series
  generate_subscripts host initcap isfinite json_agg json_array_elements json_array_elements_text json_array_length
  json_build_array json_build_object json_each json_each_text json_extract_path json_extract_path_text json_object_agg
  json_object_keys json_strip_nulls json_typeof jsonb_agg jsonb_array_elements jsonb_array_elements_text jsonb_array_length
  jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_object_agg
  jsonb_object_keys jsonb_path_exists jsonb_path_query jsonb_path_query_array jsonb_path_query_first jsonb_pretty jsonb_set
  jsonb_strip_nulls jsonb_typeof justify_days justify_hours justify_interval lag last_value lead left length ln log lower lpad
  ltrim make_date make_interval make_time make_timestamp make_timestamptz max md5 min mod mode now nth_value ntile octet_length
  percent_rank percentile_cont percentile_disc pi plainto_tsquery power quote_ident quote_literal quote_nullable radians random
  rank regexp_count regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table repeat
  replace reverse right round row_number row_to_json rpad rtrim sha256 sign split_part sqrt starts_with statement_timestamp
  stddev stddev_pop stddev_samp string_agg string_to_array strpos substr sum to_char to_date to_hex to_json to_jsonb to_number
  to_timestamp to_tsquery to_tsvector transaction_timestamp translate trunc ts_rank unnest upper var_pop var_samp variance
  version websearch_to_tsquery width_bucket`

const WORDS: ReadWords = { called: new Set(`${KEYWORDS} ${FUNCTIONS}`.split(/\s+/)), avoided: new Set() }

/** True where `text` (latin1) is certainly such a read. */
export function isPlainRead(text: string): boolean {
  return isCertainRead(text, WORDS)
}

/**
 * True where `text` (latin1) means the same whatever standard_conforming_strings and client_encoding are: what a backslash
 * means depends on the one, and in some encodings a byte of a letter looks like a character that ends a dollar quote.
 */
export function isClear(text: string): boolean {
  return !text.includes('\\') && !(/[\x80-\xff]/.test(text) && /\$\D/.test(text))
}
