/**
 * The text of lib/config/pgbun.schema.json, made from the option table: a JSON Schema (draft-07) of the TOML file, for
 * editors.
 *
 * It accepts what toml.ts, expand-variables.ts and convert.ts accept. What cannot be said of a text in JSON Schema is
 * let pass: the range of a number in quotes or with a unit, what a variable stands for, whether a file exists. The
 * patterns use nothing but what JavaScript and Rust both read, because editors are written in either.
 */
import {
  findOption,
  isGeneral,
  OPTION_NAMES,
  type OptionName,
  optionRow,
  SCOPED_GROUPS,
  type ScopedGroup,
  type SettingName,
  scopedNames,
  settingRow,
} from '../../lib/config/options.ts'
import { type Row, SECTIONS, type Section } from '../../lib/config/types.ts'
import { formatDuration, MAX_DURATION } from '../../lib/config/units.ts'

type Schema = Record<string, unknown>

const TITLES: Record<Section, string> = {
  server: 'Listening, and the server',
  pool: 'Pools and limits',
  logging: 'The log',
  timeouts: 'Times',
  auth: 'Authentication of clients',
  tls: 'TLS',
  http: 'Metrics and health over HTTP',
  process: 'The process',
}

const GROUPS: Record<ScopedGroup, { title: string; description: string }> = {
  databases: {
    title: 'Databases',
    description:
      'What is set for single databases, by name; with any, the others are unknown, unless there is one named *.',
  },
  users: {
    title: 'Users',
    description: "What is set for single users, by name; a user's value counts before a database's.",
  },
}

/** `${NAME}` that is replaced; `$${` is a `${` that stays. */
const VARIABLE = String.raw`(^|[^$])\$\{[A-Za-z_][A-Za-z0-9_]*\}`
/** What looks like a variable and has no name of one. */
const NO_VARIABLE = String.raw`(^|[^$])\$\{([^A-Za-z_}][^}]*|[A-Za-z_][A-Za-z0-9_]*[^A-Za-z0-9_}][^}]*)?\}`

const DIGITS = '[0-9]{1,15}'
const WHOLE = String.raw`(\.0{1,9})?`
const FRACTION = String.raw`(\.[0-9]{1,9})?`
const padded = (pattern: string): string => String.raw`^\s*(${pattern})\s*$`

/** What texts can be, by the name of the definition. */
const TEXTS = {
  text: { type: 'string', not: { pattern: String.raw`\x00|${NO_VARIABLE}` } },
  /** Of a list: not looked at any further. */
  item: { type: 'string', not: { pattern: NO_VARIABLE } },
  variable: { type: 'string', description: 'The value of environment variables.', pattern: VARIABLE },
  number: { type: 'string', description: 'A number in quotes.', pattern: padded(`-?${DIGITS}`) },
  switch: {
    type: 'string',
    description: 'true or false in words.',
    pattern: padded(['true', 'on', 'yes', '1', 'false', 'off', 'no', '0'].map(anyCase).join('|')),
  },
  duration: {
    type: 'string',
    description: 'A number with a unit: ms, s, min, h, d.',
    pattern: padded(
      [
        String.raw`${DIGITS}${WHOLE}\s*(ms)?`,
        String.raw`${DIGITS}(\.[0-9]{1,3}0{0,6})?\s*s`,
        String.raw`${DIGITS}${FRACTION}\s*(min|h|d)`,
      ].join('|'),
    ),
  },
  size: {
    type: 'string',
    description: 'A number with a unit: B, kB, MB, GB.',
    pattern: padded(
      [String.raw`${DIGITS}${WHOLE}\s*[Bb]?`, String.raw`${DIGITS}${FRACTION}\s*[KkMmGg][Ii]?[Bb]`].join('|'),
    ),
  },
} as const satisfies Record<string, Schema>

/** The whole file. */
export function optionsSchema(): string {
  const sections = SECTIONS.map((section) => [section, sectionSchema(section)])
  const groups = SCOPED_GROUPS.map((group) => [group, groupSchema(group)])
  const schema: Schema = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    $comment: 'Made from the option table (options.ts) by npm run docs. Do not edit.',
    title: 'Configuration of pgbun',
    description: 'The TOML file of pgbun, a connection pooler for PostgreSQL.',
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries([...sections, ...groups, ['peers', peersSchema()]]),
    definitions: TEXTS,
  }
  return `${JSON.stringify(schema, null, 2)}\n`
}

function sectionSchema(section: Section): Schema {
  const names = OPTION_NAMES.filter((name) => optionRow(name).section === section)
  return { title: TITLES[section], ...tableOf(names, (name) => optionSchema(name, defaultOf(name))) }
}

function groupSchema(group: ScopedGroup): Schema {
  const values = tableOf(scopedNames(group), (name) =>
    optionSchema(name, isGeneral(name) ? { description: 'Default: the general value.' } : ofDatabase(name)),
  )
  return { ...GROUPS[group], type: 'object', additionalProperties: values }
}

/** Another way to write the option `peers` (peers.ts). */
function peersSchema(): Schema {
  const text = { $ref: '#/definitions/text' }
  const number = (least: number, most: number): Schema => ({
    anyOf: [{ type: 'integer', minimum: least, maximum: most }, { $ref: '#/definitions/number' }, text],
  })
  const address = {
    type: 'object',
    additionalProperties: false,
    required: ['host'],
    properties: {
      host: { ...text, description: 'A name, an address or a socket directory.' },
      port: { ...number(1, 65_535), description: "Default: PgBouncer's port, 6432." },
      pool_size: { ...number(1, 999_999), description: 'Cancel requests at a time. Default: the general pool_size.' },
    },
  }
  return {
    title: 'Peers',
    description: `Other pgbuns behind the same address, by their peer_id; ${optionRow('peers').section}.peers without the section.`,
    type: 'object',
    additionalProperties: false,
    patternProperties: { '^[0-9]{1,6}$': { anyOf: [address, text] } },
  }
}

/** A table with these settings and no others; each of them by one of its names. */
function tableOf(names: readonly SettingName[], schemaOf: (name: SettingName) => Schema): Schema {
  const properties: [string, Schema][] = []
  const twice: Schema[] = []
  for (const name of names) {
    const schema = schemaOf(name)
    const aliases = (settingRow(name).aliases ?? []).filter((alias) => findOption(alias) === name)
    properties.push([name, schema])
    for (const alias of aliases) {
      const { default: _, ...rest } = schema
      properties.push([alias, { ...rest, description: `Same as ${name}.` }])
      twice.push({ not: { required: [name, alias] } })
    }
  }
  return {
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(properties),
    ...(twice.length > 0 ? { allOf: twice } : {}),
  }
}

/** What is said of the default. */
interface Default {
  description: string
  default?: unknown
}

function optionSchema(name: SettingName, { description, ...rest }: Default): Schema {
  const row = settingRow(name)
  const texts = [row.doc, unit(row), description, row.reload ? '' : 'A change needs a restart.']
  return { description: texts.filter((text) => text !== '').join(' '), ...rest, ...valueSchema(row) }
}

function defaultOf(name: SettingName): Default {
  const row = optionRow(name as OptionName)
  return { description: `Default: ${shown(row)}.`, default: row.default }
}

/** The defaults of most are those of other options, as their descriptions say. */
function ofDatabase(name: SettingName): Default {
  const row = settingRow(name)
  return row.kind === 'duration'
    ? { description: `Default: ${shown(row)}.`, default: row.default }
    : { description: '' }
}

/** What may be written for a row. */
function valueSchema(row: Row): Schema {
  switch (row.kind) {
    case 'bool':
      // 1 and 0 as well.
      return oneOf({ type: 'boolean' }, { type: 'integer', minimum: 0, maximum: 1 }, text('switch'), text('variable'))
    case 'enum':
      return oneOf({ type: 'string', enum: row.values }, text('variable'))
    case 'int':
      return oneOf({ type: 'integer', minimum: row.min, maximum: row.max }, text('number'), text('variable'))
    case 'duration':
      return oneOf({ type: 'integer', minimum: row.min, maximum: MAX_DURATION }, text('duration'), text('variable'))
    case 'bytes':
      return oneOf({ type: 'integer', minimum: row.min, maximum: row.max }, text('size'), text('variable'))
    case 'list':
      return oneOf({ type: 'array', items: text('item') }, text('item'))
    case 'string':
      return row.pattern
        ? oneOf({ type: 'string', pattern: sourceOf(row.pattern) }, text('variable'))
        : oneOf(text('text'))
    case 'file':
      return oneOf(text('text'))
  }
}

function text(name: keyof typeof TEXTS): Schema {
  return { $ref: `#/definitions/${name}` }
}

function oneOf(...schemas: Schema[]): Schema {
  return schemas.length === 1 ? { allOf: schemas } : { anyOf: schemas }
}

/** A pattern without flags. Only the classes of hexadecimal digits have letters that may be large or small. */
function sourceOf(pattern: RegExp): string {
  return pattern.ignoreCase ? pattern.source.replaceAll('a-f', 'A-Fa-f') : pattern.source
}

/** yes -> [Yy][Ee][Ss] */
function anyCase(word: string): string {
  return word.replace(/[a-z]/g, (letter) => `[${letter.toUpperCase()}${letter}]`)
}

function unit(row: Row): string {
  switch (row.kind) {
    case 'duration':
      return `Milliseconds${row.min > 0 ? `, at least ${row.min}` : ''}, or a text with a unit: "15s", "10min".`
    case 'bytes':
      return 'Bytes, or a text with a unit: "64kB", "1MB".'
    case 'int':
      return `A number from ${row.min} to ${row.max}.`
    case 'file':
      return 'The path of a file.'
    case 'list':
      return 'An array of texts, or one text with commas.'
    default:
      return ''
  }
}

function shown({ kind, default: value }: Row): string {
  if (value === '') return 'empty'
  if (kind === 'duration' && value !== 0) return `${value} (${formatDuration(value as number)})`
  return typeof value === 'object' ? value.join(', ') : String(value)
}
