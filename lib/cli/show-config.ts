/**
 * What `pgbun config`, `pgbun --env` and `pgbun --dry-run` print: the effective configuration in four forms. The TOML
 * and the environment form can be read back. Pure; secret values are masked in all of them.
 */

import { formatValue } from '../config/convert.ts'
import { environmentName } from '../config/env.ts'
import { hostPort } from '../config/hosts.ts'
import type { ResolvedConfig } from '../config/load.ts'
import {
  isGeneral,
  OPTION_NAMES,
  type OptionName,
  type OptionValues,
  optionRow,
  SCOPED_GROUPS,
  type ScopedGroup,
  type SettingName,
  scopedNames,
  settingRow,
} from '../config/options.ts'
import { type Source, sourceText } from '../config/raw-value.ts'
import { camelCase, type OptionValue, type Row, SECTIONS } from '../config/types.ts'
import { describeAuthentication, describeServer } from './ready-line.ts'

/** The server_host of `--embedded` while there is no server yet: a socket that does not exist. */
export const EMBEDDED_SERVER = '@embedded'

/**
 * The configuration as a TOML file, each value with a comment that says where it comes from. Editors look for `schema`,
 * the URL of its JSON Schema, in the first line.
 */
export function configToml(resolved: ResolvedConfig, schema?: string): string {
  const { config } = resolved
  const lines: string[] = schema === undefined ? [] : [`#:schema ${schema}`, '']
  for (const section of SECTIONS) {
    lines.push(`[${section}]`)
    const names = OPTION_NAMES.filter((name) => optionRow(name).section === section)
    const settings = names.map((name) => `${name} = ${formatValue(optionRow(name), settingOf(config, name))}`)
    const width = Math.max(...settings.map((setting) => setting.length))
    for (const [index, setting] of settings.entries()) {
      lines.push(`${setting.padEnd(width)}  # ${sourceText(sourceOf(resolved, names[index]!))}`)
    }
    lines.push('')
  }
  for (const { section, own, inherited } of scopedSections(resolved)) {
    lines.push(`[${section}]`)
    const texts = [
      ...own.map(({ name, value }) => `${name} = ${shown(name, value)}`),
      ...inherited.map(({ name, value }) => `# ${name} = ${shown(name, value)}`),
    ]
    const width = Math.max(...texts.map((text) => text.length))
    for (const [index, { source }] of [...own, ...inherited].entries()) {
      lines.push(`${texts[index]!.padEnd(width)}  # ${sourceText(source)}`)
    }
    lines.push('')
  }
  return lines.join('\n')
}

interface Setting {
  name: SettingName
  value: OptionValue
  source: Source
}

interface ScopedSection {
  group: ScopedGroup
  target: string
  section: string
  /** Set there. */
  own: Setting[]
  /** Of the general options that could be. */
  inherited: Setting[]
}

/** What single databases and users end up with. */
function* scopedSections(resolved: ResolvedConfig): Generator<ScopedSection> {
  const { config, scopedSources } = resolved
  for (const group of SCOPED_GROUPS) {
    for (const [target, values] of config[group]) {
      const own: Setting[] = []
      const inherited: Setting[] = []
      for (const name of scopedNames(group)) {
        const value = values[camelCase(name) as keyof typeof values] as OptionValue | undefined
        const source = scopedSources[group].get(target)!.values.get(name)
        if (value !== undefined) own.push({ name, value, source: source! })
        else if (isGeneral(name)) {
          inherited.push({ name, value: settingOf(config, name), source: sourceOf(resolved, name) })
        }
      }
      yield { group, target, section: `${group}.${JSON.stringify(target)}`, own, inherited }
    }
  }
}

/** A value as it may be written; a function of a program is none of a file. */
function shown(name: SettingName, value: OptionValue): string {
  return formatValue(settingRow(name), typeof value === 'function' ? 'a function' : value)
}

/** The configuration as JSON: durations in milliseconds, sizes in bytes, the source of each value beside it. */
export function configJson(resolved: ResolvedConfig, version: string): string {
  const { config } = resolved
  const options = Object.fromEntries(
    OPTION_NAMES.map((name) => {
      const setting = { value: settingOf(config, name), source: sourceOf(resolved, name) }
      return [name, inJson(optionRow(name), setting)]
    }),
  )
  const scoped: Record<ScopedGroup, Record<string, unknown>> = { databases: {}, users: {} }
  for (const { group, target, own, inherited } of scopedSections(resolved)) {
    const settings = [...own, ...inherited].map((setting) => [setting.name, inJson(settingRow(setting.name), setting)])
    Object.defineProperty(scoped[group], target, { value: Object.fromEntries(settings), enumerable: true })
  }
  return `${JSON.stringify({ version, options, ...scoped }, null, 2)}\n`
}

function inJson(row: Row, { value, source: { kind, where } }: Omit<Setting, 'name'>): object {
  const shown = row.secret && value !== '' ? '***' : value
  return { value: shown, source: kind, ...(where === '' ? {} : { where }) }
}

/** The environment variables with their effective values, readable by a shell. */
export function environmentText(resolved: ResolvedConfig): string {
  const { config } = resolved
  const lines = ['# The environment variables of pgbun, with the values in force and where these come from.']
  for (const section of SECTIONS) {
    lines.push('', `# [${section}]`)
    for (const name of OPTION_NAMES.filter((option) => optionRow(option).section === section)) {
      const text = formatValue(optionRow(name), settingOf(config, name)).replace(/^"(.*)"$/, '$1')
      const plain = /^[\w.,:/@*-]*$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
      lines.push(
        `# ${optionRow(name).doc} (${sourceText(sourceOf(resolved, name))})`,
        `${environmentName(name)}=${plain}`,
      )
    }
  }
  return `${lines.join('\n')}\n`
}

/** What a start with this configuration would do, for --dry-run. */
export function summaryText({ config }: ResolvedConfig, configFile: string | undefined): string {
  const tcp = config.listenHost.map((host) => hostPort({ host, port: config.listenPort }))
  const socket = config.unixSocketDir === '' ? [] : [`${config.unixSocketDir}/.s.PGSQL.${config.listenPort}`]
  const rows = [
    ['configuration file', configFile ?? 'none'],
    ['listens on', [...tcp, ...socket].join(', ')],
    ['forwards to', config.serverHost === EMBEDDED_SERVER ? 'an embedded PostgreSQL' : describeServer(config)],
    ['pool mode', config.poolMode],
    ['authentication', describeAuthentication(config)],
    ['clients', `at most ${config.maxClientConn}`],
    ['server connections', `at most ${config.poolSize} per database and user`],
    ['TLS', `clients ${config.clientTlsMode}, server ${config.serverTlsMode}`],
  ]
  return ['The configuration is valid.', ...rows.map(([name, text]) => `  ${name!.padEnd(20)}${text}`), ''].join('\n')
}

function settingOf(config: ResolvedConfig['config'], name: OptionName): OptionValue {
  return config[camelCase(name) as keyof OptionValues]
}

/** Where a value comes from; the server of `--embedded` is known when it has started. */
function sourceOf({ config, sources }: ResolvedConfig, name: OptionName): Source {
  const embedded = config.serverHost === EMBEDDED_SERVER && (name === 'server_host' || name === 'server_port')
  return embedded ? { kind: 'command line', where: '--embedded' } : sources[name]
}
