/** What the console shows: a snapshot, and what is no part of one because it is large or seldom asked for. Plain data (R13). */

import type { Cell, Column, ColumnType } from '../client/lifecycle/console-backend.ts'
import type { Averages } from '../observe/averages.ts'
import type { ProcessSnapshot } from '../observe/processes.ts'
import type { Snapshot } from '../observe/snapshot.ts'
import type { QuerySnapshot } from '../pool/query-record.ts'

/** One option and its value in force, as it may be written; secrets are masked. */
export interface OptionView {
  readonly name: string
  readonly value: string
  readonly default: string
  /** Where its value comes from, as a person would search for it: a path with its line, a flag; `default`. */
  readonly source: string
  /** It can be changed while pgbun runs. */
  readonly changeable: boolean
}

/** One text that clients have prepared. */
export interface PreparedView {
  readonly database: string
  readonly text: string
  /** Names of clients that stand for it. */
  readonly users: number
  /** Memory that it takes. */
  readonly bytes: number
}

/** One certificate that pgbun uses. */
export interface CertificateView {
  /** `client` or `server`: the side that it is shown to. */
  readonly side: string
  readonly file: string
  readonly subject: string
  readonly issuer: string
  /** Milliseconds since 1970. */
  readonly notBefore: number
  readonly notAfter: number
  readonly fingerprint: string
}

/** What a SHOW is a function of. */
export interface View {
  readonly snapshot: Snapshot
  readonly averages: Averages
  readonly state: { readonly paused: boolean; readonly suspended: boolean }
  /** Port that is listened on. */
  readonly port: number
  /** What the console itself has answered. */
  readonly console: { readonly queries: number; readonly logins: number }
  options(): readonly OptionView[]
  prepared(): readonly PreparedView[]
  /** Statistics of statements, and whether whoever looks sees their texts (`stats_show_queries`). */
  queries(): readonly QuerySnapshot[]
  readonly showsQueries: boolean
  certificates(): readonly CertificateView[]
  /** This process, and those that it has succeeded. */
  processes(): readonly ProcessSnapshot[]
  /** Bytes by what they are used for. */
  memory(): readonly { readonly name: string; readonly bytes: number }[]
}

/** Something to SHOW. */
export interface Topic {
  readonly name: string
  /** One line for SHOW HELP. */
  readonly help: string
  /** All columns: those of PgBouncer in its order, and pgbun's own behind them. */
  readonly columns: readonly Column[]
  /** So many columns are PgBouncer's: programs that read them count on there being no others. */
  readonly plain: number
  /** Only admins may see it. */
  readonly adminOnly?: boolean
  rows(view: View): Cell[][]
  /** Shown beside the rows. */
  readonly notice?: { readonly message: string; readonly detail: string }
}

const LETTERS: Record<string, ColumnType> = { s: 'text', i: 'int4', q: 'int8', N: 'numeric', b: 'bytea' }

/** Columns as PgBouncer's source has them: `database:s total_xact_count:N`. */
export function columns(text: string): Column[] {
  return text
    .trim()
    .split(/\s+/)
    .map((part) => {
      const [name = '', letter = 's'] = part.split(':')
      return { name, type: LETTERS[letter]! }
    })
}

/** A point in time as PgBouncer writes it, in UTC: `2026-01-31 12:00:00 UTC`. */
export function timeText(at: number): string {
  const iso = new Date(at).toISOString()
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`
}

/** Whole seconds of `ms`. */
export function seconds(ms: number): number {
  return Math.floor(ms / 1000)
}

/** The microseconds behind them. */
export function microsBehind(ms: number): number {
  return Math.floor((ms % 1000) * 1000)
}

export function yesNo(value: boolean): string {
  return value ? 'yes' : 'no'
}
