/**
 * Every way a client's session can end (R10), and for each, decided in one place: what the client is told, what is
 * logged, and what becomes of the server it held.
 */

import { type ErrorArgs, type ErrorFields, type ErrorName, errorFields, errorInLog } from '../errors.ts'
import type { ServerEnd } from '../server/ports.ts'
import type { ClientState } from './state.ts'

/** pgbun ends it with an error of its catalogue. `reason` and `remedy` are for the log alone. */
export interface NamedError {
  kind: 'error'
  name: ErrorName
  args?: ErrorArgs
  reason?: string
  remedy?: string
}

/** Why a session ends. */
export type EndReason =
  /** The client sent Terminate. */
  | { kind: 'terminated' }
  /** The client's connection was closed or failed. */
  | { kind: 'disconnected'; error: Error | undefined }
  /** The connection carried a cancel request. */
  | { kind: 'cancel-request' }
  /** What came first cannot be a startup packet. As PostgreSQL, pgbun closes in silence: it may be any other protocol. */
  | { kind: 'no-startup'; what: string }
  | NamedError
  /** PostgreSQL refused the login, or the client's settings, in its own words. */
  | { kind: 'refused'; fields: ErrorFields; remedy?: string }
  /** The server it depended on is gone. */
  | { kind: 'server-lost'; end: ServerEnd }
  /** A defect of pgbun. */
  | { kind: 'fault'; error: unknown }

/** What follows from a reason. */
export interface Ending {
  /** Sent to the client before its connection is closed. */
  fields: ErrorFields | undefined
  level: 'debug' | 'info' | 'warn' | 'error'
  /** What happened, for the log; '' where there is nothing to add to the end itself. */
  text: string
  /** pgbun raised it (`log_pooler_errors`), rather than the client or the server. */
  poolerError: boolean
  /** PostgreSQL's own words, passed on. */
  fromServer?: boolean
  /** What the client must not be told, and what to do about it; for the log. */
  reason?: string
  remedy?: string
  /** The defect, with its stack. */
  fault?: Error
}

/** What follows from `reason`. */
export function endingOf(reason: EndReason): Ending {
  switch (reason.kind) {
    case 'terminated':
      return { fields: undefined, level: 'info', text: '', poolerError: false }
    case 'disconnected':
      return {
        fields: undefined,
        level: 'info',
        text: reason.error ? `connection lost: ${reason.error.message}` : '',
        poolerError: false,
      }
    case 'cancel-request':
      return { fields: undefined, level: 'debug', text: 'cancel request', poolerError: false }
    case 'no-startup':
      return { fields: undefined, level: 'info', text: reason.what, poolerError: false }
    case 'error': {
      const fields = errorFields(reason.name, reason.args)
      const { happened: text, level, remedy } = errorInLog(fields)
      return { fields, level, text, poolerError: true, reason: reason.reason, remedy: reason.remedy ?? remedy }
    }
    case 'refused': {
      const { happened: text, remedy } = errorInLog(reason.fields)
      return {
        fields: { ...reason.fields, severity: 'FATAL' },
        level: 'warn',
        text,
        poolerError: true,
        fromServer: reason.fields.name === undefined,
        remedy: reason.remedy ?? remedy,
      }
    }
    case 'server-lost':
      return {
        fields: reason.end.relayed || reason.end.midMessage ? undefined : reason.end.fields,
        level: 'warn',
        text: reason.end.relayed ? `PostgreSQL ended its session: ${reason.end.reason}` : reason.end.fields.message,
        poolerError: !reason.end.relayed,
      }
    case 'fault':
      return {
        fields: errorFields('internal_error'),
        level: 'error',
        text: 'internal error of pgbun',
        poolerError: true,
        fault: reason.error instanceof Error ? reason.error : new Error(String(reason.error)),
      }
    default:
      return unreachable(reason)
  }
}

/** The reason where a client in `state` sent bytes that are no message. */
export function violation(state: ClientState, what: string): EndReason {
  return state === 'startup'
    ? { kind: 'no-startup', what }
    : { kind: 'error', name: 'protocol_violation', args: { args: { what } } }
}

function unreachable(reason: never): never {
  throw new Error(`unknown end reason ${JSON.stringify(reason)}`)
}
