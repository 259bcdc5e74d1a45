/**
 * The text of a TOML file -> the values in it, each with its line.
 *
 * Unknown sections and keys, keys in the wrong section and keys without one are problems that say what was probably
 * meant. Values are not converted here. Pure: load.ts reads the file.
 */

import type { Steps } from '../util/steps.ts'
import { nearestNames } from './nearest-name.ts'
import { findOption, findScoped, type OptionName, optionRow, SCOPED_GROUPS, type ScopedGroup } from './options.ts'
import { parseToml } from './parse-toml.ts'
import { peerEntry } from './peers.ts'
import type { RawScope, RawValues } from './raw-value.ts'
import { scopedKeyProblem } from './scoped-key-problem.ts'
import { suggestOption } from './suggest-option.ts'
import { isPgBouncerFile, pgBouncerProblem, syntaxProblem } from './toml-syntax.ts'
import { SECTIONS } from './types.ts'

/** The values of a TOML text. `path` is only used to say where they are. Never throws. */
export function* readToml(text: string, path: string): Steps<RawValues> {
  const found: RawValues = { values: [], problems: [], warnings: [] }
  let tables: Record<string, unknown>
  try {
    tables = yield* parseToml(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    found.problems.push(syntaxProblem(error, text, path))
    return found
  }
  if (isPgBouncerFile(text)) {
    found.problems.push(pgBouncerProblem(path))
    return found
  }
  const lines = yield* indexLines(text)
  const at = (section: string, key?: string) => {
    const line = lines.get(key === undefined ? `[${section}]` : `${section}.${key}`)
    return line === undefined ? path : `${path}:${line}`
  }
  const seen = new Map<OptionName, string>()
  if (isTable(tables.peers)) seen.set('peers', 'the section [peers]')
  for (const [section, table] of Object.entries(tables)) {
    if (!isTable(table)) {
      found.problems.push({ where: at('', section), message: strayKey(section) })
      continue
    }
    if ((SCOPED_GROUPS as readonly string[]).includes(section)) {
      yield* readScoped(section as ScopedGroup, table, at, found)
      continue
    }
    if (section === 'peers') {
      readPeers(table, at, found)
      continue
    }
    if (!(SECTIONS as readonly string[]).includes(section)) {
      found.problems.push({ where: at(section), message: unknownSection(section) })
      continue
    }
    for (const [key, value] of Object.entries(table)) {
      const where = at(section, key)
      const name = findOption(key)
      if (name === undefined) {
        found.problems.push({ where, message: `Unknown key ${quote(key)} in [${section}]. ${suggestOption(key)}` })
      } else if (optionRow(name).section !== section) {
        const right = optionRow(name).section
        found.problems.push({ where, message: `${key} belongs in section [${right}], not in [${section}]` })
      } else if (seen.has(name)) {
        found.problems.push({ where, message: `${key} and ${seen.get(name)} are the same option. Keep one of them` })
      } else {
        seen.set(name, key)
        found.values.push({ name, value, source: { kind: 'file', where } })
      }
    }
  }
  return found
}

/** The tables `[databases.NAME]` and `[users.NAME]`. */
function* readScoped(
  group: ScopedGroup,
  tables: Record<string, unknown>,
  at: (section: string, key?: string) => string,
  found: RawValues,
): Steps<void> {
  for (const [target, table] of Object.entries(tables)) {
    yield
    const section = `${group}.${target}`
    if (!isTable(table)) {
      found.problems.push({
        where: at(group, target),
        message: `${quote(target)} must be in a section [${group}.NAME]`,
      })
      continue
    }
    const scope: RawScope = { group, target, source: { kind: 'file', where: at(section) }, values: [] }
    found.scopes ??= []
    found.scopes.push(scope)
    const seen = new Map<string, string>()
    for (const [key, value] of Object.entries(table)) {
      const where = at(section, key)
      const name = findScoped(group, key)
      if (name === undefined) {
        found.problems.push({ where, message: scopedKeyProblem(group, key, `[${printable(section)}]`, (any) => any) })
      } else if (seen.has(name)) {
        found.problems.push({ where, message: `${key} and ${seen.get(name)} are the same option. Keep one of them` })
      } else {
        seen.set(name, key)
        scope.values.push({ name, value, source: { kind: 'file', where } })
      }
    }
  }
}

/** The section `[peers]`, by ids: another way to write the option `peers`. */
function readPeers(
  table: Record<string, unknown>,
  at: (section: string, key?: string) => string,
  found: RawValues,
): void {
  const entries: string[] = []
  for (const [id, value] of Object.entries(table)) {
    const where = at('peers', id)
    try {
      if (!/^\d+$/.test(id)) throw new Error(`${quote(id)} in [peers] must be the peer_id of a peer, a number`)
      entries.push(peerEntry(id, value))
    } catch (error) {
      found.problems.push({ where, message: (error as Error).message })
    }
  }
  found.values.push({ name: 'peers', value: entries, source: { kind: 'file', where: at('peers') } })
}

function strayKey(key: string): string {
  const name = findOption(key)
  return name
    ? `${key} must be in section [${optionRow(name).section}]`
    : `Unknown key ${quote(key)} outside of a section. ${suggestOption(key)}`
}

function unknownSection(section: string): string {
  const [near] = nearestNames(section, [...SECTIONS, ...SCOPED_GROUPS, 'peers'])
  const scoped = SCOPED_GROUPS.map((name) => `${name}.NAME`)
  const known = [...SECTIONS, ...scoped, 'peers'].map((name) => `[${name}]`).join(', ')
  return `Unknown section [${printable(section)}]. ${near ? `Did you mean [${near}]?` : `Must be one of: ${known}`}`
}

/** Lines that are looked at in one step. */
const LINES = 200

/** Line numbers of `section.key` and `[section]` in the usual spelling; others simply go without a line. */
function* indexLines(text: string): Steps<Map<string, number>> {
  const lines = new Map<string, number>()
  let section = ''
  for (const [index, line] of text.split('\n').entries()) {
    if (index % LINES === 0) yield
    const header = /^\s*\[\s*["']?([\w-]+)["']?\s*(?:\.\s*["']?([^"'\]]+?)["']?\s*)?\]/.exec(line)
    if (header) {
      section = header[2] === undefined ? header[1]! : `${header[1]}.${header[2]}`
      lines.set(`[${section}]`, index + 1)
      continue
    }
    const key = /^\s*["']?([\w-]+)["']?\s*=/.exec(line)
    if (key) lines.set(`${section}.${key[1]}`, index + 1)
  }
  return lines
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}

function quote(key: string): string {
  return `'${printable(key)}'`
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 80)
}
