/** What is wrong with the sections `[databases.NAME]` and `[users.NAME]`: combinations that cannot work. */

import type { Steps } from '../util/steps.ts'
import { checkFile, checkSecretIn } from './check-files.ts'
import { checkHosts, checkReads, checkWeights } from './check-hosts.ts'
import { checkServerTls } from './check-tls.ts'
import { isConsoleName } from './console-names.ts'
import { type CheckResult, Findings } from './findings.ts'
import type { Config, DatabaseValues } from './options.ts'
import { hostsOf, scopedNames, settingRow } from './options.ts'
import type { ScopedSource } from './raw-value.ts'
import { camelCase } from './types.ts'

type Places = ReadonlyMap<string, ScopedSource>

/** What says where the password of `user` comes from. */
const PASSWORDS = ['password', 'password_file', 'password_command'] as const

/** Check each database of `config`. */
export function* checkDatabases(config: Config, places: Places): Steps<CheckResult> {
  const all: CheckResult = { problems: [], warnings: [] }
  for (const [name, values] of config.databases) {
    yield
    const findings = findingsOf(name, places)
    // The section itself is at fault, whatever is in it.
    if (isConsoleName(name)) findings.problem('dbname', `The name "${name}" is reserved: choose another`)
    const effective: Config = { ...config, ...(values as Partial<Config>) }
    const itself = values.host === undefined && values.port !== undefined ? 'port' : 'host'
    const hosts = hostsOf(config, values)
    checkHosts(config, hosts, { hosts: 'host', itself }, findings)
    checkReads(effective, hosts, findings)
    checkWeights(effective, hosts, findings)
    checkPassword(config, values, findings)
    const written = places.get(name)?.values.get('password')
    if (written?.kind === 'file' && !written.expanded) {
      checkSecretIn('password', written.where.replace(/:\d+$/, ''), findings)
    }
    for (const setting of scopedNames('databases')) {
      if (settingRow(setting).kind !== 'file') continue
      const path = values[camelCase(setting) as 'passwordFile']
      if (path !== undefined) checkFile(setting, path, findings)
    }
    if (Object.keys(values).some((key) => key.startsWith('serverTls'))) checkServerTls(effective, findings)
    checkSizes(effective, values, findings)
    all.problems.push(...findings.problems)
    all.warnings.push(...findings.warnings)
  }
  return all
}

/** Check each user of `config`. */
export function* checkUsers(config: Config, places: Places): Steps<CheckResult> {
  const all: CheckResult = { problems: [], warnings: [] }
  for (const [name, values] of config.users) {
    yield
    const findings = findingsOf(name, places)
    const { poolSize } = values
    if (poolSize !== undefined && poolSize < config.minPoolSize) {
      findings.problem('pool_size', `pool_size ${poolSize} is smaller than min_pool_size ${config.minPoolSize}`)
    }
    all.problems.push(...findings.problems)
  }
  return all
}

function findingsOf(name: string, places: Places): Findings {
  const place = places.get(name)
  return new Findings((setting) => (place?.values.get(setting) ?? place?.section)?.where ?? '')
}

function checkPassword(config: Config, values: DatabaseValues, { problem }: Findings): void {
  const given = PASSWORDS.filter((name) => values[camelCase(name) as 'password'] !== undefined)
  const [first, second] = given
  if (first !== undefined && second !== undefined)
    problem(second, `${first} and ${second} are both set. Keep one of them`)
  if (values.user === undefined || values.user === '') {
    if (first !== undefined) problem(first, `${first} needs user: it is the password of the user that pgbun logs in as`)
    return
  }
  if (config.authType !== 'passthrough') return
  problem(
    'user',
    'user needs another auth_type than passthrough, which lets in whom PostgreSQL lets in: it is not asked about clients ' +
      'where pgbun logs in as one user for all. Set auth_type and auth_file',
  )
}

function checkSizes(effective: Config, values: DatabaseValues, { problem }: Findings): void {
  const { minPoolSize, poolSize } = effective
  if (minPoolSize <= poolSize || (values.minPoolSize === undefined && values.poolSize === undefined)) return
  const name = values.minPoolSize === undefined ? 'pool_size' : 'min_pool_size'
  problem(name, `min_pool_size ${minPoolSize} is larger than pool_size ${poolSize}`)
}
