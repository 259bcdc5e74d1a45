/**
 * Every way a client's session can end (R10), and for each, decided in one place: what the client is told, what is logged and
 * counted, and what becomes of its requests and of both connections.
 */

import { type ErrorArgs, type ErrorFields, type ErrorName, errorFields, errorInLog } from '../../errors.ts'
import type { ServerEnd } from '../../server/ports.ts'
import type { ClientState } from './client-state.ts'

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
  /** The client's connection was closed or failed; `answered` where the client had closed its side and got all answers. */
  | { kind: 'disconnected'; error: Error | undefined; answered?: boolean }
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

/** What ends are counted by: the reason, or the error's name. */
export type EndName = Exclude<EndReason['kind'], 'error'> | ErrorName

/** How many sessions have ended, by reason, since the process began. Reasons that did not occur are missing. */
export type EndCounts = Partial<Record<EndName, number>>

/** What follows from a reason. */
export interface Ending {
  /** By what name the end is counted. */
  counter: EndName
  /**
   * What becomes of requests that the server has not answered: those sent in front of a Terminate come to their end, as
   * PostgreSQL itself would read it behind them; all others are canceled.
   */
  outstanding: 'finishing' | 'abandoned'
  /** How the client's connection is closed: at once, behind the client's own end, or behind the error. */
  connection: 'destroyed' | 'closed-behind-peer' | 'closed'
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

/** Nothing is said to the client: its own end, or none of pgbun's business. */
const QUIET = { fields: undefined, outstanding: 'abandoned', connection: 'closed', poolerError: false } as const
/** The client is told why. */
const LOUD = { outstanding: 'abandoned', connection: 'closed', poolerError: true } as const

/** What follows from `reason`. */
export function endingOf(reason: EndReason): Ending {
  switch (reason.kind) {
    case 'terminated':
      return {
        ...QUIET,
        counter: 'terminated',
        outstanding: 'finishing',
        connection: 'closed-behind-peer',
        level: 'info',
        text: '',
      }
    case 'disconnected':
      return {
        ...QUIET,
        counter: 'disconnected',
        connection: reason.answered ? 'closed-behind-peer' : 'destroyed',
        level: 'info',
        text: reason.error ? `connection lost: ${reason.error.message}` : '',
      }
    case 'cancel-request':
      return { ...QUIET, counter: 'cancel-request', level: 'debug', text: 'cancel request' }
    case 'no-startup':
      return { ...QUIET, counter: 'no-startup', level: 'info', text: reason.what }
    case 'error': {
      const fields = errorFields(reason.name, reason.args)
      const { happened: text, level, remedy } = errorInLog(fields)
      return {
        ...LOUD,
        counter: reason.name,
        fields,
        level,
        text,
        reason: reason.reason,
        remedy: reason.remedy ?? remedy,
      }
    }
    case 'refused': {
      const { happened: text, remedy } = errorInLog(reason.fields)
      return {
        ...LOUD,
        counter: 'refused',
        fields: { ...reason.fields, severity: 'FATAL' },
        level: 'warn',
        text,
        fromServer: reason.fields.name === undefined,
        remedy: reason.remedy ?? remedy,
      }
    }
    case 'server-lost':
      return {
        ...LOUD,
        counter: 'server-lost',
        fields: reason.end.relayed || reason.end.midMessage ? undefined : reason.end.fields,
        level: 'warn',
        text: reason.end.relayed ? `PostgreSQL ended its session: ${reason.end.reason}` : reason.end.fields.message,
        poolerError: !reason.end.relayed,
      }
    case 'fault':
      return {
        ...LOUD,
        counter: 'fault',
        fields: errorFields('internal_error'),
        level: 'error',
        text: 'internal error of pgbun',
        fault: reason.error instanceof Error ? reason.error : new Error(String(reason.error)),
      }
    default:
      return unreachable(reason)
  }
}

/** Count an end. */
export function countEnd(counts: EndCounts, { counter }: Ending): void {
  counts[counter] = (counts[counter] ?? 0) + 1
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
