/**
 * What the TOML parser could not read, in words that say what to write instead. Pure; called by toml.ts.
 *
 * The parser says what it expected; what somebody meant shows in the character it stopped at: a PgBouncer file, JSON,
 * YAML, TOML 1.1, a text without quotes.
 */
import type { Problem } from './raw-value.ts'

/** What the parser throws. Lines count from 0, columns from 1 in the first line and from 0 in those after it. */
interface SyntaxError {
  line?: number
  col?: number
  message?: string
}

const PGBOUNCER =
  'This looks like a configuration file of PgBouncer, which pgbun does not read. Write its settings into a TOML file: ' +
  'CONFIG.md has the name of each here. Texts need quotes, comments begin with #, and plain durations are ' +
  'milliseconds instead of seconds'
const TABLE_1_1 =
  'pgbun reads TOML 1.0, where an inline table { } has no line breaks and no comma at its end (TOML 1.1 allows both). ' +
  'Write it on one line, or as a section of its own: [name]'
/** A line of PgBouncer's section [databases]. */
const CONNECTION_STRING = /^[^\s#]+[ \t]*=[ \t]*(host|port|dbname|user)[ \t]*=/m
const QUOTES = 'Texts need quotes: name = "text"'

/** Whether `text` is the ini file of PgBouncer rather than one of pgbun. */
export function isPgBouncerFile(text: string): boolean {
  return /^[ \t]*\[pgbouncer\]/m.test(text)
}

/** The problem of a PgBouncer file as a whole. */
export function pgBouncerProblem(path: string): Problem {
  return { where: path, message: PGBOUNCER }
}

/** Why `text` could not be read. */
export function syntaxProblem(error: unknown, text: string, path: string): Problem {
  const { line, col = 1, message = '' } = error as SyntaxError
  const isIni = /\.ini$/i.test(path) && /^[ \t]*(;|\[databases\])/m.test(text)
  if (isPgBouncerFile(text) || isIni || CONNECTION_STRING.test(text)) return pgBouncerProblem(path)
  if (typeof line !== 'number') return { where: path, message: `Not valid TOML: ${firstLine(message)}` }
  const source = (text.split('\n')[line] ?? '').replace(/\r$/, '')
  const column = Math.min(Math.max(line === 0 ? col : col + 1, 1), source.length + 1)
  const reason = text.includes('\uFFFD') ? 'The file is not UTF-8' : explain(firstLine(message), source, column)
  return { where: `${path}:${line + 1}`, message: `Not valid TOML: ${reason} (column ${column})` }
}

function explain(message: string, source: string, column: number): string {
  const at = source[column - 1] ?? ''
  const key = /^\s*([\w-]+)\s*=/.exec(source)?.[1] ?? 'name'
  if (/^Trailing commas in inline/.test(message)) return TABLE_1_1
  if (/^Unterminated inline array/.test(message)) return source.includes('{') ? TABLE_1_1 : 'The array has no closing ]'
  if (/^Unknown escape character/.test(message)) return escapeReason(at, source.slice(column))
  if (/^Unknown character/.test(message)) return characterReason(at)
  if (/expected "="/.test(message)) {
    return at === ':' ? 'Write name = value, with = instead of :' : `Expected = after the name. ${QUOTES}`
  }
  if (/expecting string, number/.test(message)) return valueReason(source.slice(column - 1), key)
  if (/till end of line/.test(message)) {
    return `Nothing may follow the value. A text needs quotes, also a duration or size with a unit: ${key} = "15s"`
  }
  if (/redefine/.test(message)) return `${message}: it is there twice. Keep one of them`
  if (/while parsing year|Incomplete (number|time|datetime)|Invalid number/.test(message)) {
    return `Not a number. A number does not begin with 0, and a text needs quotes: ${key} = "text"`
  }
  if (/boolean/.test(message)) return `Not a value. Switches are true or false, and texts need quotes: ${key} = "text"`
  if (/^Key (ended )?without value/.test(message)) return `${message}. ${QUOTES}`
  return message
}

/** An escape sequence that TOML 1.0 does not have. `rest` is what follows its letter. */
function escapeReason(letter: string, rest: string): string {
  const from11 = 'pgbun reads TOML 1.0, which has no'
  if (letter === 'e') return `${from11} \\e (TOML 1.1 has). Write \\u001B`
  if (letter === 'x') {
    const digits = /^[0-9a-f]{2}/i.exec(rest)?.[0] ?? '41'
    return `${from11} \\x (TOML 1.1 has). Write \\u00${digits}`
  }
  return `Unknown escape \\${shown(letter)}. Write \\\\ for a backslash, or put the text in single quotes`
}

/** A character that begins no line of TOML. */
function characterReason(at: string): string {
  if (at === ';') return "Unexpected character ';'. Comments begin with #"
  if (at === '{') return "Unexpected character '{'. This looks like JSON; pgbun reads TOML: name = value in [sections]"
  return `Unexpected character '${shown(at)}'. A line is [section], name = value or # comment`
}

/** What stands where a value should be. */
function valueReason(value: string, key: string): string {
  if (/^(true|false|on|off|yes|no)\b/i.test(value)) return `Not a value. Switches are true or false: ${key} = true`
  if (/^[\u2018-\u201f\u00ab\u00bb]/.test(value)) return `Not a value. Quotes are straight: ${key} = "text"`
  return `Not a value. Texts need quotes: ${key} = "text"`
}

/** A character for people: its code where it cannot be shown. */
function shown(character: string): string {
  if (character === '') return 'end of line'
  if (/[\x21-\x7e]/.test(character)) return character
  return `U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`
}

/** The parser's own words, without the place. */
function firstLine(message: string): string {
  return message
    .split('\n')[0]!
    .replace(/ at row \d+, col \d+, pos \d+:?$/, '')
    .replace(/[^\x20-\x7e]/g, '?')
    .slice(0, 200)
}
