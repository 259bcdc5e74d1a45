/**
 * What runs the statements of the console, as its clients see it: a port, which admin/console.ts implements. Results are
 * plain values; how they are written in the protocol is row-format.ts's.
 */

import { type ErrorArgs, type ErrorFields, type ErrorName, errorFields } from '../../errors.ts'

/** Types of columns and parameters, by their names in PostgreSQL. */
export type ColumnType = 'text' | 'int4' | 'int8' | 'numeric' | 'bytea'

/** A column of a result. */
export interface Column {
  readonly name: string
  readonly type: ColumnType
}

/** A value: numbers are whole ones. */
export type Cell = string | number | Buffer | null

/** What a statement results in. */
export interface ConsoleResult {
  /** Command tag, without the number of rows. */
  tag: string
  rows?: readonly (readonly Cell[])[]
  notices?: readonly ErrorFields[]
  /** Whether its client is in a transaction block from now on; absent where nothing changes. */
  inBlock?: boolean
}

/** What a statement is run with. */
export interface ConsoleCall {
  readonly parameters: readonly (string | null)[]
  /** Aborted when the client leaves or cancels: whoever waits gives up. */
  readonly signal: AbortSignal
}

/** A statement that was read and may be run, once or often. */
export interface ConsoleStatement {
  /** Columns of its result; undefined where it has none. */
  readonly columns: readonly Column[] | undefined
  readonly parameters: readonly ColumnType[]
  /** @throws ConsoleError */
  run(call: ConsoleCall): ConsoleResult | Promise<ConsoleResult>
}

/** Who uses the console. */
export interface ConsoleUser {
  readonly name: string
  /** `admin_users` may do everything, `stats_users` only look. */
  readonly role: 'admin' | 'stats'
}

/** The console. */
export interface ConsoleBackend {
  /** Whether the console has the name `database`. */
  isConsole(database: string): boolean
  /** What `user` may do; undefined for nothing. */
  roleOf(user: string): ConsoleUser['role'] | undefined
  /** Another client was let in. */
  letIn(): void
  /** What the console reports of itself at a login: ParameterStatus messages, by name. */
  readonly greeting: ReadonlyMap<string, string>
  /** The statements of `text`. @throws ConsoleError */
  read(text: string, user: ConsoleUser): ConsoleStatement[]
}

/** A statement fails; the console stays. */
export class ConsoleError extends Error {
  readonly fields: ErrorFields

  constructor(name: ErrorName, args: ErrorArgs = {}) {
    const fields = errorFields(name, args)
    super(fields.message)
    this.fields = fields
  }
}
