/**
 * The log: one line per call, as text for people or as JSON for machines.
 *
 * In: a level, a message that says what happened, and fields that say to whom and where. Out: one line without its line
 * end, handed to `write` (the standard error stream unless told otherwise). The fields are the same in both forms: a number
 * is a number, with its unit in its key (`wait_ms`). JSON lines are those of pino: level (a number), time (ms), pid,
 * hostname, msg; what reads pino's lines reads these.
 *
 * What must hold:
 * - One call is one line. Fields come from the network (user, database, application_name), so line breaks, terminal
 *   escapes and bidirectional controls are escaped, and long values are cut.
 * - Nothing secret is printed: fields whose name says password, secret, token or key are masked.
 * - A storm does not fill the disk: of the same level and message, the first 10 within a second are written, the rest
 *   are counted and summed up in one line, at the next call after that second or at `flush()`. Messages that differ in a
 *   quoted name or a number are the same: a stranger who tries a thousand users writes no thousand lines. There is no
 *   timer.
 * - The standard error stream gets the lines of one turn of the event loop in one write: under a storm of logins a
 *   system call per line costs more than the login. Warnings and errors, and `flush()`, take along all that waits, and
 *   so does the end of the process.
 * - It never throws and a disabled level costs one comparison; hot paths ask `enabled()` before building fields.
 */

import { hostname } from 'node:os'
import { afterTurn } from './clock.ts'

/** From the most to the least talkative. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** What varies from line to line. Undefined fields are left out. An error is shown with its stack. */
export type LogFields = Record<string, string | number | boolean | Error | undefined>

/** What was thrown, as an error with a stack. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}

/** What everything that logs is given. */
export interface Logger {
  /** Whether a line of this level would be written at all. */
  enabled(level: LogLevel): boolean
  debug(msg: string, fields?: LogFields): void
  info(msg: string, fields?: LogFields): void
  warn(msg: string, fields?: LogFields): void
  error(msg: string, fields?: LogFields): void
}

/** What the owner of the log can do beyond writing to it. */
export interface LogControl extends Logger {
  /** Change the level at run time. */
  setLevel(level: LogLevel): void
  /** Write what the rate limit holds back, and what waits for the end of the turn. Call before the process ends. */
  flush(): void
}

export interface LoggerOptions {
  /** Lines below this level are dropped. Default info. */
  level?: LogLevel
  /** Default text. */
  format?: 'text' | 'json'
  /** Colour the level of text lines. Default false: only the command line knows whether a person is looking. */
  color?: boolean
  /** Receives each line, without a line end. Default: the standard error stream. What it throws is ignored. */
  write?: (line: string) => void
  /** Wall clock in milliseconds. */
  now?: () => number
}

/** Lines of the same level and message that are written within one window. */
const BURST = 10
const WINDOW_MS = 1000
/** Distinct messages tracked per window; all further ones count as one. */
const MAX_TRACKED = 100
/** What tells two messages of one kind apart, beside quoted names: numbers, but for those of lines (`users.txt:7`). */
const NUMBERS = /(?<![:\d])\d+/g
/** Characters of a message that tell its kind. */
const KIND_LENGTH = 500
/** UTF-16 units of one value that are kept: an application_name may be a megabyte. */
const MAX_VALUE = 2000

const SECRET_NAME = /(^|[_-])(password|passwd|secret|token|key)$|[a-z](Password|Secret|Token|Key)$/
/** C0 and C1 controls, line and paragraph separator, bidirectional controls, zero-width characters. */
const UNPRINTABLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is the purpose
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g
/** The levels of pino. */
const LEVEL_NUMBERS: Record<LogLevel, number> = { debug: 20, info: 30, warn: 40, error: 50 }
/** In a message, what would be taken for a field. */
const LIKE_A_FIELD = /[\s"][\w-]+=/
const NEEDS_QUOTES = /[\s"'=\\]|^$/
const COLORS: Record<LogLevel, string> = { debug: '\x1b[90m', info: '\x1b[32m', warn: '\x1b[33m', error: '\x1b[31m' }

/** A log that writes to `write`. See LoggerOptions for the defaults. */
export function createLogger({
  level = 'info',
  format = 'text',
  color = false,
  write = writeToStderr,
  now = Date.now,
}: LoggerOptions = {}): LogControl {
  let threshold = LOG_LEVELS.indexOf(level)
  let windowStart = 0
  const counts = new Map<string, { level: LogLevel; msg: string; reason: LogFields[string]; seen: number }>()
  const json = jsonRenderer()

  function emit(time: number, at: LogLevel, msg: string, fields: LogFields | undefined): void {
    try {
      write(format === 'json' ? json(time, at, msg, fields) : renderText(timestamp(time), at, msg, fields, color))
      if (at === 'warn' || at === 'error') writeOut()
    } catch {
      // A log that cannot be written must not take the program down with it.
    }
  }

  function sumUp(time: number): void {
    for (const { level: at, msg, reason, seen } of counts.values()) {
      if (seen > BURST)
        emit(time, at, msg, { reason, repeated: seen - BURST, note: 'similar lines left out within a second' })
    }
    counts.clear()
  }

  function log(at: LogLevel, msg: string, fields: LogFields | undefined): void {
    if (LOG_LEVELS.indexOf(at) < threshold) return
    const time = now()
    // A clock set back must not hold the limit in place for the difference.
    if (time - windowStart >= WINDOW_MS || time < windowStart) {
      if (counts.size > 0) sumUp(time)
      windowStart = time
    }
    // Logins and their ends are news each; the same trouble again and again is not.
    if (at === 'info' || at === 'debug') {
      emit(time, at, msg, fields)
      return
    }
    let key = `${at} ${kindOf(msg)} ${typeof fields?.reason === 'string' ? kindOf(fields.reason) : ''}`
    if (counts.size >= MAX_TRACKED && !counts.has(key)) key = at
    const count = counts.get(key)
    if (count) {
      if (++count.seen > BURST) return
    } else counts.set(key, { level: at, msg, reason: fields?.reason, seen: 1 })
    emit(time, at, msg, fields)
  }

  return {
    enabled: (at) => LOG_LEVELS.indexOf(at) >= threshold,
    debug: (msg, fields) => log('debug', msg, fields),
    info: (msg, fields) => log('info', msg, fields),
    warn: (msg, fields) => log('warn', msg, fields),
    error: (msg, fields) => log('error', msg, fields),
    setLevel(next) {
      threshold = LOG_LEVELS.indexOf(next)
    },
    flush() {
      sumUp(now())
      writeOut()
    },
  }
}

/** What messages of one kind have in common. A name may have quotes in it: all from the first to the last is quoted. */
function kindOf(text: string): string {
  const first = text.indexOf('"')
  const plain = first === -1 ? text : `${text.slice(0, first)}${text.slice(text.lastIndexOf('"'))}`
  return plain.slice(0, KIND_LENGTH).replace(NUMBERS, '*')
}

function renderText(time: string, level: LogLevel, msg: string, fields: LogFields | undefined, color: boolean): string {
  const name = level.toUpperCase().padEnd(5)
  let line = `${time} ${color ? `${COLORS[level]}${name}\x1b[0m` : name} ${messageText(msg)}`
  for (const key in fields) {
    const value = fields[key]
    if (value !== undefined) line += ` ${escapeUnprintable(key)}=${isSecret(key) ? '***' : textValue(value)}`
  }
  return line
}

/** A name in a message must not pass itself off as a field of the line. */
function messageText(msg: string): string {
  const text = cut(msg)
  return escapeUnprintable(LIKE_A_FIELD.test(text) ? JSON.stringify(text) : text)
}

/** Makes the JSON lines, with the names and values of pino's. */
function jsonRenderer(): (time: number, level: LogLevel, msg: string, fields: LogFields | undefined) => string {
  const { pid } = process
  const host = hostname()
  return (time, level, msg, fields) => {
    const record: Record<string, unknown> = { level: LEVEL_NUMBERS[level], time, pid, hostname: host, msg: cut(msg) }
    for (const key in fields) {
      const given = fields[key]
      if (given === undefined) continue
      // A field must not pass itself off as the time, level or message of the line.
      record[key in record ? `${key}_` : key] = isSecret(key) ? '***' : jsonValue(given)
    }
    return escapeUnprintable(JSON.stringify(record))
  }
}

function jsonValue(value: string | number | boolean | Error): unknown {
  if (value instanceof Error) return { type: value.name, message: cut(value.message), stack: cut(stackOf(value)) }
  return typeof value === 'string' ? cut(value) : value
}

function stackOf(error: Error): string {
  return error.stack ?? `${error.name}: ${error.message}`
}

/** Names of fields are few: those of the source code. */
const secretNames = new Map<string, boolean>()

function isSecret(name: string): boolean {
  let secret = secretNames.get(name)
  if (secret === undefined) {
    secret = SECRET_NAME.test(name)
    if (secretNames.size < MAX_TRACKED) secretNames.set(name, secret)
  }
  return secret
}

function textValue(value: string | number | boolean | Error): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  const text = cut(value instanceof Error ? stackOf(value) : value)
  return escapeUnprintable(NEEDS_QUOTES.test(text) ? JSON.stringify(text) : text)
}

function cut(text: string): string {
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}... (${text.length} characters)` : text
}

/** Escapes what would break the line or fool the eye, in a form that is also valid inside a JSON string. */
export function escapeUnprintable(text: string): string {
  return text.replace(UNPRINTABLE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Lines of this turn for the standard error stream, or for what takes its place. */
let waiting = ''
let stderrGuarded = false
let writeLines: ((lines: string) => void) | undefined

/** Write what would go to the standard error stream to `write` from now on, which must not throw; undefined ends that. */
export function logTo(write: ((lines: string) => void) | undefined): void {
  writeOut()
  writeLines = write
}

/** A closed pipe or a full disk at the other end of standard error reaches us as an 'error' event: ignored. */
function writeToStderr(line: string): void {
  if (!stderrGuarded) {
    stderrGuarded = true
    process.stderr.on('error', () => {})
    process.on('exit', writeOut)
  }
  if (waiting === '') afterTurn(writeOut)
  waiting += `${line}\n`
}

function writeOut(): void {
  if (waiting === '') return
  const lines = waiting
  waiting = ''
  if (writeLines) writeLines(lines)
  else process.stderr.write(lines)
}

let lastTime = Number.NaN
let lastTimestamp = ''

/** Lines of a storm share their millisecond. */
function timestamp(time: number): string {
  if (time !== lastTime) {
    lastTimestamp = new Date(time).toISOString()
    lastTime = time
  }
  return lastTimestamp
}
