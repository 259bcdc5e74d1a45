/** The text of lib/config/pooler-options.ts, made from the option table: what an editor shows of each option. */
import { OPTION_NAMES, SCOPED_GROUPS, type SettingName, scopedNames, settingRow } from '../../lib/config/options.ts'
import { camelCase, type Row } from '../../lib/config/types.ts'
import { formatDuration } from '../../lib/config/units.ts'

const ABOUT = {
  databases: 'with any, the others are unknown, unless there is one named *',
  users: "a user's value counts before a database's",
} as const

/** The whole file. */
export function optionsInterface(): string {
  const members = OPTION_NAMES.map((name) => member(name, '  '))
  const groups = SCOPED_GROUPS.map((group) => {
    const inner = scopedNames(group)
      .map((name) => member(name, '      '))
      .join('\n')
    return [
      `  /** What is set for single ${group}, by name; ${ABOUT[group]}. */`,
      `  ${group}?: Record<`,
      '    string,',
      '    {',
      inner,
      '    }',
      '  >',
    ].join('\n')
  })
  return `/**
 * Made from the option table (options.ts) by \`npm run docs\`, so that an editor shows the text, the unit and the default of
 * each option. Do not edit.
 */

/** What the library accepts: any part of the configuration; durations and sizes also as text ('15s', '64kB'). */
export interface PoolerOptions {
${[...members, ...groups].join('\n')}
}
`
}

function member(name: SettingName, indent: string): string {
  const row = settingRow(name)
  const known = new RegExp(`\\b(${OPTION_NAMES.filter((any) => any.includes('_')).join('|')})\\b`, 'g')
  const doc = row.doc.replace(known, camelCase).replaceAll('*/', '*\\/')
  const fixed = row.reload ? '' : ' Cannot change while the pooler runs.'
  return `${indent}/** ${doc}${unit(row)} Default: ${shown(row)}.${fixed} */\n${indent}${camelCase(name)}?: ${type(name, row)}`
}

function unit(row: Row): string {
  if (row.kind === 'duration') {
    const least = row.min > 0 ? `, at least ${row.min}` : ''
    return ` Milliseconds${least}, or a text with a unit: '15s', '10min'.`
  }
  if (row.kind === 'bytes') return ` Bytes, or a text with a unit: '64kB', '1MB'.`
  if (row.kind === 'int')
    return ` A number from ${row.min} to ${row.max}${row.zeroMeansAny ? ', or 0 for any free one' : ''}.`
  if (row.kind === 'file') return ' The path of a file.'
  return row.kind === 'list' ? ' An array of texts, or one text with commas.' : ''
}

function shown({ kind, default: value }: Row): string {
  if (kind === 'duration' && value !== 0) return `${value} (${formatDuration(value as number)})`
  if (typeof value === 'string') return `'${value}'`
  return typeof value === 'object' ? `[${value.map((part) => `'${part}'`).join(', ')}]` : String(value)
}

function type(name: SettingName, row: Row): string {
  if (name === 'password') return 'string | (() => string | Promise<string>)'
  if (row.kind === 'enum') return row.values.map((value) => `'${value}'`).join(' | ')
  if (row.kind === 'list') return 'string | readonly string[]'
  if (row.kind === 'bool') return 'boolean'
  if (row.kind === 'int') return 'number'
  return row.kind === 'duration' || row.kind === 'bytes' ? 'number | string' : 'string'
}
