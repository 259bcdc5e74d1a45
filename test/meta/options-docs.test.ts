/**
 * CONFIG.md, CLI.md and the man page say what the option table says, and their examples are accepted.
 *
 * The tables between `<!-- … -->` and `<!-- end -->` are made from the option table. After a change of it, write them
 * anew with `npm run docs` (PGBUN_TEST_WRITE_DOCS=1).
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { COMMANDS, FLAGS, type Flag, flagName } from '../../lib/cli/flags.ts'
import { parseArgs } from '../../lib/cli/parse-args.ts'
import { convertValue, formatValue } from '../../lib/config/convert.ts'
import type { DATABASE_ROWS } from '../../lib/config/database-options.ts'
import { environmentName, readEnvironment } from '../../lib/config/env.ts'
import { expandVariables } from '../../lib/config/expand-variables.ts'
import {
  type DatabaseName,
  isGeneral,
  OPTION_NAMES,
  type OPTIONS,
  type OptionName,
  optionRow,
  type ScopedGroup,
  type ScopedName,
  scopedNames,
  settingRow,
} from '../../lib/config/options.ts'
import type { PoolerOptions } from '../../lib/config/pooler-options.ts'
import { readToml } from '../../lib/config/toml.ts'
import {
  type Camel,
  camelCase,
  type OptionRow,
  type Row,
  SECTIONS,
  type Section,
  type ValueOf,
} from '../../lib/config/types.ts'
import { atOnce } from '../../lib/util/steps.ts'
import { manPage } from './man-page.ts'
import { optionsInterface } from './options-interface.ts'
import { optionsSchema } from './options-schema.ts'

const ROOT = new URL('../../', import.meta.url)
const KINDS = {
  string: 'text',
  file: 'file',
  list: 'list',
  int: 'number',
  duration: 'duration',
  bytes: 'size',
  bool: 'switch',
  enum: 'one of',
} as const

const GENERATED: Record<string, Record<string, string>> = {
  'CONFIG.md': {
    ...Object.fromEntries(SECTIONS.map((section) => [`options ${section}`, optionsTable(section)])),
    'options databases': databaseTable(),
    'general options of databases': generalOptionsOf('databases'),
    'general options of users': generalOptionsOf('users'),
  },
  'CLI.md': {
    commands: table(
      ['command', 'meaning'],
      Object.entries(COMMANDS).map(([name, doc]) => [code(name), doc]),
    ),
    flags: table(
      ['flag', 'meaning'],
      Object.entries<Flag>(FLAGS).map(([name, flag]) => [flagText(name, flag), flag.doc]),
    ),
    options: table(['option', 'value', 'default', 'meaning'], OPTION_NAMES.map(flagRow)),
  },
}

for (const [file, parts] of Object.entries(GENERATED)) {
  t.test(`${file} has the tables of the option table`, async (t) => {
    const text = readFileSync(new URL(file, ROOT), 'utf8')
    let next = text
    for (const [name, body] of Object.entries(parts)) {
      const block = new RegExp(`<!-- ${name} -->\\n[\\s\\S]*?<!-- end -->`)
      t.match(text, block, `${file} has a place for ${name}`)
      next = next.replace(block, () => `<!-- ${name} -->\n${body}\n<!-- end -->`)
    }
    if (process.env.PGBUN_TEST_WRITE_DOCS) writeFileSync(new URL(file, ROOT), next)
    else t.equal(text, next, `run "npm run docs" to write the tables of ${file} anew`)
  })
}

t.test('the options of the library have the text, unit and default of the option table', async (t) => {
  const file = new URL('lib/config/pooler-options.ts', ROOT)
  if (process.env.PGBUN_TEST_WRITE_DOCS) writeFileSync(file, optionsInterface())
  else
    t.equal(
      readFileSync(file, 'utf8'),
      optionsInterface(),
      'run "npm run docs" to write lib/config/pooler-options.ts anew',
    )
  for (const name of OPTION_NAMES)
    t.match(optionsInterface(), new RegExp(`Default: .*\\*/\\n  ${camelCase(name)}\\?: `), name)
  t.ok(sameTypes, 'the compiler has compared the types')
})

t.test('the JSON Schema of the file is that of the option table', async (t) => {
  const file = new URL('lib/config/pgbun.schema.json', ROOT)
  if (process.env.PGBUN_TEST_WRITE_DOCS) writeFileSync(file, optionsSchema())
  else t.equal(readFileSync(file, 'utf8'), optionsSchema(), 'run "npm run docs" to write the schema anew')
})

t.test('the man page is that of the tables', async (t) => {
  const file = new URL('bin/pgbun.1', ROOT)
  if (process.env.PGBUN_TEST_WRITE_DOCS) writeFileSync(file, manPage())
  else t.equal(readFileSync(file, 'utf8'), manPage(), 'run "npm run docs" to write bin/pgbun.1 anew')
  for (const name of [...OPTION_NAMES.map(flagName), ...Object.keys(FLAGS)])
    t.ok(manPage().includes(`--${name}`.replaceAll('-', '\\-')), name)
})

for (const [program, ...args] of [
  ['man', '--warnings', '-l', '-Tutf8'],
  ['groff', '-ww', '-man', '-Tutf8', '-z'],
  ['mandoc', '-Tlint', '-Wwarning'],
] as [string, ...string[]][]) {
  const there = spawnSync(program, ['--version']).error === undefined
  t.test(`${program} finds nothing wrong with the man page`, { skip: !there && `no ${program} here` }, async (t) => {
    const { status, stderr, stdout } = spawnSync(program, [...args, fileURLToPath(new URL('bin/pgbun.1', ROOT))], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C.UTF-8', MANWIDTH: '80', MANROFFSEQ: '' },
    })
    t.equal(stderr, '')
    if (program !== 'mandoc') return t.equal(status, 0)
    // A date would make the page another one each day that it is made.
    const found = stdout.split('\n').filter((line) => line !== '' && !line.includes('missing date'))
    t.strictSame(found, [])
  })
}

/** What the library accepts for a row: the value itself, or a form a person would write. */
type InputOf<R> = R extends { kind: 'duration' | 'bytes' }
  ? number | string
  : R extends { kind: 'list' }
    ? string | readonly string[]
    : ValueOf<R>
type Scoped<G extends ScopedGroup> = { [K in ScopedName<G> as Camel<K>]?: InputOf<(typeof OPTIONS)[K]> }
type OfDatabase = { [K in Exclude<DatabaseName, 'password'> as Camel<K>]?: InputOf<(typeof DATABASE_ROWS)[K]> } & {
  password?: string | (() => string | Promise<string>)
}
type FromTable = { [K in OptionName as Camel<K>]?: InputOf<(typeof OPTIONS)[K]> } & {
  databases?: Record<string, OfDatabase & Scoped<'databases'>>
  users?: Record<string, Scoped<'users'>>
}
type Same<A, B> = [A, B] extends [B, A] ? true : false
const sameTypes: Same<Required<FromTable>, Required<PoolerOptions>> & Same<keyof FromTable, keyof PoolerOptions> = true

t.test('every option is documented in its section', async (t) => {
  const text = readFileSync(new URL('CONFIG.md', ROOT), 'utf8')
  for (const name of OPTION_NAMES) t.match(text, `**${name}**`)
})

for (const file of ['README.md', 'CONFIG.md', 'CLI.md', 'TLS.md', 'METRICS.md']) {
  t.test(`the examples of ${file} are accepted`, async (t) => {
    const text = readIfThere(new URL(file, ROOT))
    if (text === undefined) return t.pass(`no ${file} yet`)
    for (const example of blocks(text, 'toml')) {
      const env = new Proxy({}, { get: () => 'x'.repeat(16) })
      const { values, scopes = [], problems } = atOnce(expandVariables(atOnce(readToml(example, file)), env))
      t.strictSame(problems, [], example)
      for (const { name, value } of [...values, ...scopes.flatMap((scope) => scope.values)])
        t.match(convertValue(name, value, 'file'), { value: /^/ }, `${name} in ${file}`)
    }
    for (const line of blocks(text, 'bash').flatMap((block) => block.split('\n'))) {
      const [, program, rest = ''] = /^(?:\w+=\S+ )*((?:npx |bunx --bun |\.\/)?pgbun)\b(.*)$/.exec(line) ?? []
      if (program) t.doesNotThrow(() => parseArgs(shellWords(rest)), line)
      const variable = /^(?:export )?(PGBUN_\w+)=(\S*)$/.exec(line)
      if (!variable) continue
      const { values, warnings } = readEnvironment({ [variable[1]!]: variable[2]! })
      t.strictSame(warnings, [], line)
      for (const { name, value } of values) t.match(convertValue(name, value, 'environment'), { value: /^/ }, line)
    }
  })
}

t.test('options named in the documents exist', async (t) => {
  const known = new Set<string>(OPTION_NAMES.flatMap((name) => [name, ...(optionRow(name).aliases ?? [])]))
  const prefixes = /^(client|server)_tls_|^(client|server|query|pool|auth|log|listen|unix_socket)_[a-z_]+$/
  for (const file of ['README.md', 'CLI.md', 'CONFIG.md', 'TLS.md', 'SECURITY.md']) {
    // The tables name PgBouncer's options too, and are checked above.
    const whole = readIfThere(new URL(file, ROOT)) ?? ''
    const text = file === 'SECURITY.md' ? whole : whole.replace(/^\|.*$/gm, '')
    for (const [, name] of text.matchAll(/`([a-z]+(?:_[a-z]+)+)`/g)) {
      if (prefixes.test(name!)) t.ok(known.has(name!), `${name} in ${file}`)
    }
  }
})

function optionsTable(section: Section): string {
  const names = OPTION_NAMES.filter((name) => optionRow(name).section === section)
  return table(
    ['option, variable, flag', 'type', 'default', 'reload', 'PgBouncer', 'meaning'],
    names.map((name) => {
      const row = optionRow(name)
      const spellings = [`**${name}**`, code(environmentName(name)), flagText(flagName(name), row)]
      return [
        spellings.join('<br>'),
        typeText(row),
        defaultText(row),
        row.reload ? 'yes' : 'restart',
        row.pgbouncer === undefined ? '' : row.pgbouncer === '=' ? '=' : code(row.pgbouncer),
        row.doc + (row.aliases ? ` Also called ${row.aliases.map(code).join(', ')}.` : ''),
      ]
    }),
  )
}

/** What only a database has. */
function databaseTable(): string {
  return table(
    ['option', 'type', 'PgBouncer', 'meaning'],
    scopedNames('databases')
      .filter((name) => !isGeneral(name))
      .map((name) => {
        const row = settingRow(name)
        return [`**${name}**`, typeText(row), row.pgbouncer ?? '', row.doc]
      }),
  )
}

/** The general options that can be set for one of `group`, as a list in a sentence. */
function generalOptionsOf(group: ScopedGroup): string {
  const names = scopedNames(group).filter(isGeneral)
  return wrapped(names.map((name, i) => `${code(name)}${i < names.length - 1 ? ',' : '.'}`).join(' '))
}

function wrapped(text: string): string {
  return text.replace(/(.{1,118})(?: |$)/g, '$1\n').trimEnd()
}

function flagRow(name: OptionName): string[] {
  const row = optionRow(name)
  return [flagText(flagName(name), row), row.kind === 'bool' ? '' : typeText(row), defaultText(row), row.doc]
}

function flagText(name: string, { short, value }: { short?: string; value?: string }): string {
  return code(`${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` <${value}>`}`)
}

function typeText(row: Row): string {
  if (row.kind === 'enum') return row.values.map(code).join(', ')
  if (row.kind === 'int') return `${row.min} to ${row.max}`
  return row.kind === 'duration' && row.min > 0 ? `duration, at least ${row.min} ms` : KINDS[row.kind]
}

function defaultText(row: OptionRow): string {
  const text = formatValue(row, row.default).replaceAll('"', '')
  return text === '' ? 'empty' : code(text)
}

function table(head: string[], rows: string[][]): string {
  const lines = [head, head.map(() => '---'), ...rows.map((cells) => cells.map(escapeCell))]
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/** Outside of code, a `<` or `*` would be read as markup. */
function escapeCell(cell: string): string {
  return cell
    .split(/(`[^`]*`|<br>|\*\*\w+\*\*)/)
    .map((part, index) => (index % 2 === 1 ? part : part.replace(/[<*]/g, '\\$&')))
    .join('')
    .replaceAll('|', '\\|')
}

function code(text: string): string {
  return `\`${text}\``
}

function blocks(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map((match) => match[1]!)
}

/** The words of a simple command: quotes are undone, redirections and what follows & or # are dropped. */
function shellWords(text: string): string[] {
  const words = text.match(/'[^']*'|"[^"]*"|[^\s'"]+/g) ?? []
  const end = words.findIndex((word) => /^(#|&|\||\d?[<>])/.test(word))
  return (end === -1 ? words : words.slice(0, end)).map((word) => word.replace(/^(['"])(.*)\1$/, '$2'))
}

function readIfThere(url: URL): string | undefined {
  try {
    return readFileSync(url, 'utf8')
  } catch {
    return undefined
  }
}
