/**
 * One value as written -> the value of its option, or a message that says what it must be.
 *
 * Strict where leniency would hide a mistake (a TOML number is no text, a text is no number unless it looks like one),
 * lenient in spelling (yes/on/1 for true), because environment and command line only have texts. Pure.
 */
import { type SettingName, settingRow } from './options.ts'
import type { Source } from './raw-value.ts'
import type { FileRow, IntRow, OptionValue, Row, StringRow } from './types.ts'
import { BYTES_FORMS, DURATION_FORMS, formatDuration, MAX_DURATION, parseBytes, parseDuration } from './units.ts'

/** Either the converted value or what is wrong with it. */
export type Converted = { value: OptionValue } | { message: string }

/** Convert `value` for the option `name`, written at a place of `kind`. Never throws. */
export function convertValue(name: SettingName, value: unknown, kind: Source['kind']): Converted {
  const row = settingRow(name)
  const wrong = (must: string): Converted => ({
    message: `Invalid ${label(name, kind)}: ${shown(value, row) || '(empty)'}. ${must}`,
  })
  switch (row.kind) {
    case 'bool': {
      const on = parseBoolean(value)
      return on === undefined ? wrong('Must be true or false') : { value: on }
    }
    case 'enum':
      if (typeof value === 'string' && row.values.includes(value)) return { value }
      return {
        message: `Invalid ${words(name)} '${shown(value, row)}'. Must be one of: ${row.values.join(', ')}`,
      }
    case 'int': {
      const number = parseWhole(value)
      const any = row.zeroMeansAny && number === 0 && (kind === 'library' || kind === 'command line')
      if (number !== undefined && (any || (number >= row.min && number <= row.max))) return { value: number }
      return wrong(rangeOf(row))
    }
    case 'duration': {
      const ms = parseDuration(value)
      const fault = durationFault(ms, row.min)
      return fault === undefined ? { value: ms! } : wrong(fault)
    }
    case 'bytes': {
      const size = parseBytes(value)
      if (size === undefined) return wrong(`Must be ${BYTES_FORMS}`)
      return size >= row.min && size <= row.max ? { value: size } : wrong(rangeOf({ ...row, kind: 'int' }))
    }
    case 'list': {
      const parts = parseList(value)
      return parts ? { value: Object.freeze(parts) } : wrong('Must be texts, separated by commas or in an array')
    }
    case 'file':
    case 'string': {
      const fault = textFault(value, row)
      return fault === undefined ? { value: value as string } : wrong(fault)
    }
  }
}

/** What a duration of `ms`, undefined where it is none, must be instead; undefined where it is fine. */
function durationFault(ms: number | undefined, min: number): string | undefined {
  if (ms === undefined) return `Must be ${DURATION_FORMS}`
  if (ms < 0) return 'Must not be negative'
  if (ms < min) return `Must be at least ${min}ms`
  return ms <= MAX_DURATION ? undefined : `Must be at most ${formatDuration(24 * 86_400_000)}`
}

/** The same of a text. */
function textFault(value: unknown, row: StringRow | FileRow): string | undefined {
  if (typeof value !== 'string') return 'Must be a text in quotes'
  if (value.includes('\0')) return 'Must not contain a null character'
  return row.kind === 'string' && row.pattern && !row.pattern.test(value) ? `Must be ${row.expects}` : undefined
}

/** A value as it may be written in TOML; a secret one is masked. Used for showing the configuration. */
export function formatValue(row: Row, value: OptionValue): string {
  if (row.secret && value !== '') return '"***"'
  if (row.kind === 'duration' && value !== 0) return JSON.stringify(formatDuration(value as number))
  if (typeof value === 'object') return JSON.stringify(value.join(','))
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

/** Ports are called so on the command line; everywhere else an option goes by its name. */
function label(name: SettingName, kind: Source['kind']): string {
  return kind === 'command line' && name.endsWith('_port') ? 'port value' : name
}

/** client_tls_mode -> client TLS mode */
function words(name: string): string {
  return name.replaceAll('_', ' ').replace('tls', 'TLS')
}

function rangeOf(row: Pick<IntRow, 'kind' | 'min' | 'max'>): string {
  return `Must be between ${row.min} and ${row.max}`
}

export function parseBoolean(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value
  if (typeof value !== 'string' && typeof value !== 'number') return undefined
  const word = String(value).trim().toLowerCase()
  if (['true', 'on', 'yes', '1'].includes(word)) return true
  return ['false', 'off', 'no', '0'].includes(word) ? false : undefined
}

function parseWhole(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : undefined
  return typeof value === 'string' && /^\s*-?\d{1,15}\s*$/.test(value) ? Number(value) : undefined
}

function parseList(value: unknown): string[] | undefined {
  if (typeof value === 'string') {
    return value
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '')
  }
  if (!Array.isArray(value) || !value.every((part) => typeof part === 'string')) return undefined
  return value.flatMap((part) => parseList(part) ?? [])
}

function shown(value: unknown, row: Row): string {
  if (row.secret) return '***'
  let text: string
  if (typeof value === 'string') text = value
  else if (value instanceof Date) text = value.toISOString()
  else if (typeof value === 'object' && value !== null) text = Array.isArray(value) ? 'an array' : 'a table'
  else text = String(value)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not reach a terminal
  text = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?')
  // An address with a user and password in it, in whatever option somebody tried it.
  text = text.slice(0, 400).replace(/\S+/g, withoutPassword)
  return text.length > 80 ? `${text.slice(0, 80)}...` : text
}

/** A word without what stands before its last `@`, if that can have a password in it. */
function withoutPassword(word: string): string {
  const at = word.lastIndexOf('@')
  const secret = at !== -1 && at < word.length - 1 && word.lastIndexOf(':', at) !== -1
  return secret ? `***${word.slice(at)}` : word
}
