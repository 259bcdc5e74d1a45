/**
 * The vocabulary of the option table: what a row can be, and the types that follow from a table of them.
 *
 * A row says everything about an option but its name. `Config` and `PoolerOptions` (options.ts) are derived from the
 * rows, so a new option needs one row and nothing else.
 */

/** TOML sections, in the order they are shown. */
export const SECTIONS = ['server', 'pool', 'logging', 'timeouts', 'auth', 'tls', 'http', 'process'] as const
export type Section = (typeof SECTIONS)[number]

/** What a value governs: the listening sockets, client connections, server connections, a pool, or the process. */
export type Scope = 'listener' | 'client' | 'server' | 'pool' | 'process'

interface RowBase {
  scope: Scope
  /** Whether SIGHUP applies a change to the running program. */
  reload: boolean
  /** One line for people: what it does. */
  doc: string
  /** The same setting of PgBouncer: '=' where it has the same name, absent where there is none. */
  pgbouncer?: string
  /** Other names that are accepted in files, environment and command line. */
  aliases?: readonly string[]
  /** One-letter flag. */
  short?: string
  /** Never shown. */
  secret?: boolean
}

export interface StringRow extends RowBase {
  kind: 'string'
  default: string
  /** What the whole value must look like, and how to say so. */
  pattern?: RegExp
  expects?: string
}

/** A file that must be readable when it is named. */
export interface FileRow extends RowBase {
  kind: 'file'
  default: string
}

/** Texts separated by commas, or an array. */
export interface ListRow extends RowBase {
  kind: 'list'
  default: readonly string[]
}

export interface IntRow extends RowBase {
  kind: 'int'
  default: number
  min: number
  max: number
  /** 0 means "any free port", which only makes sense where the answer is read at once: flag and library. */
  zeroMeansAny?: boolean
}

/** Milliseconds. 0 is allowed where it is below `min` only if `min` is 0. */
export interface DurationRow extends RowBase {
  kind: 'duration'
  default: number
  min: number
}

/** Bytes. */
export interface BytesRow extends RowBase {
  kind: 'bytes'
  default: number
  min: number
  max: number
}

export interface BoolRow extends RowBase {
  kind: 'bool'
  default: boolean
}

export interface EnumRow<V extends string = string> extends RowBase {
  kind: 'enum'
  default: V
  values: readonly V[]
}

export type Row = StringRow | FileRow | ListRow | IntRow | DurationRow | BytesRow | BoolRow | EnumRow

/** A row once it knows its section. */
export type OptionRow = Row & { section: Section }

/** Any value an option can have after conversion. */
export type OptionValue = string | number | boolean | readonly string[]

/** The converted value of a row. */
export type ValueOf<R> = R extends { kind: 'enum'; values: readonly (infer V)[] }
  ? V
  : R extends { kind: 'list' }
    ? readonly string[]
    : R extends { kind: 'bool' }
      ? boolean
      : R extends { kind: 'int' | 'duration' | 'bytes' }
        ? number
        : string

/** pool_mode -> poolMode */
export type Camel<S extends string> = S extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : S

/** pool_mode -> poolMode */
export function camelCase(name: string): string {
  return name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
}

type More<R> = Partial<Omit<R, 'kind' | 'default' | 'doc' | 'values'>>

/** What most rows share; a row overrides it. */
const COMMON = { scope: 'process', reload: true } as const

/** A text; '' where unset. */
export function text(value: string, doc: string, more: More<StringRow> = {}): StringRow {
  return { ...COMMON, kind: 'string', default: value, doc, ...more }
}

/** A path of a file that must be readable; '' where unset. */
export function file(doc: string, more: More<FileRow> = {}): FileRow {
  return { ...COMMON, kind: 'file', default: '', doc, ...more }
}

/** A list of texts. */
export function list(value: readonly string[], doc: string, more: More<ListRow> = {}): ListRow {
  return { ...COMMON, kind: 'list', default: Object.freeze(value), doc, ...more }
}

/** A whole number, from 0 to 1 000 000 unless said otherwise. */
export function int(value: number, doc: string, more: More<IntRow> = {}): IntRow {
  return { ...COMMON, kind: 'int', default: value, min: 0, max: 1_000_000, doc, ...more }
}

/** Milliseconds, from 0 on. */
export function duration(value: number, doc: string, more: More<DurationRow> = {}): DurationRow {
  return { ...COMMON, kind: 'duration', default: value, min: 0, doc, ...more }
}

/** Bytes. */
export function bytes(value: number, doc: string, more: More<BytesRow> = {}): BytesRow {
  return { ...COMMON, kind: 'bytes', default: value, min: 0, max: 2 ** 31 - 1, doc, ...more }
}

/** On or off. */
export function bool(value: boolean, doc: string, more: More<BoolRow> = {}): BoolRow {
  return { ...COMMON, kind: 'bool', default: value, doc, ...more }
}

/** One of `values`. */
export function choice<const V extends string>(
  values: readonly V[],
  value: NoInfer<V>,
  doc: string,
  more: More<EnumRow> = {},
): EnumRow<V> {
  return { ...COMMON, kind: 'enum', default: value, values, doc, ...more }
}
