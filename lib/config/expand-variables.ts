/**
 * `"${NAME}"` in texts of a configuration file -> the value of that environment variable, so that secrets need not be in the
 * file. `$${` is a `${` that stays. Pure.
 */

import type { Steps } from '../util/steps.ts'
import type { Problem, RawScope, RawValues, Source } from './raw-value.ts'

const VARIABLE = /\$?\$\{([^}$]*)\}/g
const NAME = /^[A-Za-z_]\w*$/

/** `found` with variables of `env` in the place of their names. One that is not set is a problem. */
export function* expandVariables(
  found: RawValues,
  env: Readonly<Record<string, string | undefined>>,
): Steps<RawValues> {
  const problems: Problem[] = [...found.problems]
  const expandAll = <V extends { value: unknown; source: Source }>(values: readonly V[]): V[] => {
    return values.flatMap((raw) => {
      const before = problems.length
      const value = expanded(raw.value, env, (message) => problems.push({ where: raw.source.where, message }))
      // What cannot be expanded is not judged.
      if (problems.length > before) return []
      return [value === raw.value ? raw : { ...raw, value, source: { ...raw.source, expanded: true } }]
    })
  }
  const values = expandAll(found.values)
  const scopes: RawScope[] = []
  for (const scope of found.scopes ?? []) {
    scopes.push({ ...scope, values: expandAll(scope.values) })
    yield
  }
  return { values, scopes, problems, warnings: found.warnings }
}

function expanded(
  value: unknown,
  env: Readonly<Record<string, string | undefined>>,
  fail: (message: string) => void,
): unknown {
  if (Array.isArray(value)) return value.map((part) => expanded(part, env, fail))
  if (typeof value !== 'string') return value
  return value.replace(VARIABLE, (whole, name: string) => {
    if (whole.startsWith('$$')) return whole.slice(1)
    if (!NAME.test(name)) {
      // Not repeated: it may be a password.
      fail('Not the name of an environment variable in ${…}. A text with ${ in it is written with $${')
      return ''
    }
    const found = env[name]
    if (found === undefined) fail(`The environment variable ${name} is not set`)
    return found ?? ''
  })
}
