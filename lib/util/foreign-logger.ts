/**
 * The logger of a program that uses the library, as one of pgbun's own. Two conventions are known: the message first
 * (console, winston, consola, log4js) and the fields first (pino, bunyan).
 *
 * What must hold: no field is lost on the way. Nothing that the logger throws reaches a client. What clients have put into a
 * message (a user's name) cannot forge lines or fool a terminal.
 */
import { asError, escapeUnprintable, LOG_LEVELS, type LogControl, type LogFields, type LogLevel } from './logger.ts'

/** The arguments of a logger's methods, in their order. */
export type LoggerArguments = 'message-first' | 'fields-first'

/** What a logger may tell of its level; where it tells nothing, `logLevel` decides. */
interface LevelAware {
  isLevelEnabled?(level: LogLevel): boolean
  /** The same under another name. */
  enabled?(level: LogLevel): boolean
}

/** A logger that takes the message first, then an object of fields: console, winston. */
export interface MessageFirstLogger extends LevelAware {
  debug(message: string, fields?: Record<string, string | number | boolean>): unknown
  info(message: string, fields?: Record<string, string | number | boolean>): unknown
  warn(message: string, fields?: Record<string, string | number | boolean>): unknown
  error(message: string, fields?: Record<string, string | number | boolean>): unknown
}

/** A logger that takes an object of fields first, then the message: pino, bunyan. `err` is an Error where there is one. */
export interface FieldsFirstLogger extends LevelAware {
  debug(fields: Record<string, unknown>, message: string): unknown
  info(fields: Record<string, unknown>, message: string): unknown
  warn(fields: Record<string, unknown>, message: string): unknown
  error(fields: Record<string, unknown>, message: string): unknown
}

/** Of which convention a logger is, by what it has: pino and its children have `bindings`, bunyan's `addStream`. */
export function conventionOf(logger: MessageFirstLogger | FieldsFirstLogger): LoggerArguments {
  const { child, bindings, addStream } = logger as unknown as Record<string, unknown>
  const known = typeof child === 'function' && (typeof bindings === 'function' || typeof addStream === 'function')
  return known ? 'fields-first' : 'message-first'
}

/** The method of `LOG_LEVELS` that `logger` lacks, if any. */
export function missingMethod(logger: MessageFirstLogger | FieldsFirstLogger): LogLevel | undefined {
  return LOG_LEVELS.find((level) => typeof logger?.[level] !== 'function')
}

/** `logger` as one of pgbun's. `level` counts where the logger has none of its own. */
export function adaptLogger(
  logger: MessageFirstLogger | FieldsFirstLogger,
  order: LoggerArguments,
  level: LogLevel,
): LogControl {
  const own = (logger.isLevelEnabled ?? logger.enabled)?.bind(logger)
  let threshold = LOG_LEVELS.indexOf(level)
  const enabled = (at: LogLevel): boolean => own?.(at) ?? LOG_LEVELS.indexOf(at) >= threshold
  const log = (at: LogLevel, msg: string, fields: LogFields | undefined): void => {
    try {
      if (!enabled(at)) return
      const message = escapeUnprintable(msg)
      const result =
        order === 'fields-first'
          ? (logger as FieldsFirstLogger)[at](present(fields), message)
          : fields === undefined
            ? (logger as MessageFirstLogger)[at](message)
            : (logger as MessageFirstLogger)[at](message, plain(fields))
      if (result instanceof Promise) result.catch(() => {})
    } catch {
      // A log that cannot be written must not take a client down with it.
    }
  }
  return {
    enabled,
    debug: (msg, fields) => log('debug', msg, fields),
    info: (msg, fields) => log('info', msg, fields),
    warn: (msg, fields) => log('warn', msg, fields),
    error: (msg, fields) => log('error', msg, fields),
    setLevel(next) {
      threshold = LOG_LEVELS.indexOf(next)
    },
    flush() {},
  }
}

function present(fields: LogFields = {}): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

/** An error is its stack: as an object it is `{}` to whoever writes JSON. */
function plain(fields: LogFields): Record<string, string | number | boolean> {
  const shown: Record<string, string | number | boolean> = {}
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue
    shown[key] = value instanceof Error ? (value.stack ?? asError(value).message) : value
  }
  return shown
}
