/** Logins as the one user of a database, and what a login shows of a host: version, role, limits. */

import { type HostAddress, hostPort } from '../../config/hosts.ts'
import type { Config } from '../../config/options.ts'
import type { ServerPasswords } from '../../daemon/server-passwords.ts'
import { fits } from '../../pool/session-attrs.ts'
import { LoginError } from '../../server/login.ts'
import { describeHost } from '../ready-line.ts'
import { Findings } from './finding.ts'
import { type HostState, type TlsOf, usableHosts } from './hosts.ts'
import { type Facts, logIn } from './login.ts'
import type { Place } from './places.ts'

/** What is known of hosts, by hostPort. */
export type FactsOf = Map<string, Facts>

/** What logins need beside who logs in where. */
export interface LoginParts {
  config: Config
  tlsOf: TlsOf
  passwords: ServerPasswords
  timeoutMs: number
}

/** Log in to each host of `place` as its one user; takes down what the hosts say of themselves. */
export async function checkOneUser(
  place: Place,
  states: readonly HostState[],
  { config, tlsOf, passwords, timeoutMs }: LoginParts,
  facts: FactsOf,
): Promise<Findings> {
  const findings = new Findings('logins')
  const { target, label, databases } = place
  const { user, parameters } = target
  if (user === undefined) return findings
  // Where there is none any more, it has changed since the files were looked at.
  const credentials = await passwords.credentials(user, config.serverConnectTimeout).catch(() => undefined)
  if (credentials === undefined) return findings
  await Promise.all(
    usableHosts(states, place).map(async ({ places: { host } }) => {
      const where = `${label}, ${describeHost(host)}`
      try {
        const way = { host, tls: tlsOf(target), config, timeoutMs }
        const found = await logIn(way, { user: user.name, parameters }, databases, credentials)
        facts.set(hostPort(host), found)
        findings.add('ok', where, `login as user "${user.name}" works`)
      } catch (error) {
        const { message, remedy } = loginFault(error)
        findings.add('problem', where, `login as user "${user.name}" fails: ${message}`, remedy)
      }
    }),
  )
  return findings
}

/** A failed login in words. */
export function loginFault(error: unknown): { message: string; remedy: string } {
  const { message } = error as Error
  const remedy = error instanceof LoginError ? (error.remedy ?? REMEDIES[error.sqlstate]) : undefined
  return { message, remedy: remedy ?? 'see the log of PostgreSQL' }
}

const REMEDIES: Readonly<Record<string, string>> = {
  '28P01': 'correct the password, or set it in PostgreSQL with ALTER ROLE … PASSWORD',
  '28000': 'create the role with LOGIN, or add a line for it to pg_hba.conf',
  '3D000': 'create the database, or correct dbname',
  '42501': 'GRANT CONNECT ON DATABASE … TO the role',
  '53300': 'raise max_connections of PostgreSQL, or end other sessions',
  '57P03': 'wait until PostgreSQL has started',
}

/** Version and role of each host that is known. */
export function describeFacts(states: readonly HostState[], facts: FactsOf): Findings {
  const findings = new Findings('hosts')
  for (const { places } of states) {
    const known = facts.get(hostPort(places.host))
    if (known === undefined) continue
    const role = known.standby ? 'standby' : known.readOnly ? 'primary, read-only by default' : 'primary'
    findings.add('ok', describeHost(places.host), `PostgreSQL ${known.version}, ${role}`)
  }
  return findings
}

/** Whether the databases find a host of the role that they want. */
export function checkRoles(places: readonly Place[], states: readonly HostState[], facts: FactsOf): Findings {
  const findings = new Findings('hosts')
  for (const place of places) {
    const { attrs, hosts } = place.target
    if (attrs === 'any' || attrs === 'prefer-standby') continue
    const known = hosts.flatMap((host) => factsOf(host, facts))
    if (known.length === 0) continue
    const fit = known.filter(({ role }) => fits(attrs, role))
    const wanted = `target_session_attrs ${attrs}`
    const unknown = usableHosts(states, place).length - known.length
    if (fit.length > 0) {
      findings.add('ok', place.label, `${wanted}: ${fit.map(({ host }) => describeHost(host)).join(', ')}`)
    } else if (unknown > 0) {
      const message = `${wanted}: no host whose role is known fits; that of ${unknown} is not known`
      findings.add('warning', place.label, message, 'see to it that one of them fits')
    } else {
      const roles = known.map(({ host, role }) => `${describeHost(host)} is a ${role.standby ? 'standby' : 'primary'}`)
      const message = `${wanted}: no host fits: ${roles.join(', ')}`
      findings.add('problem', place.label, message, 'change target_session_attrs, or the hosts')
    }
  }
  return findings
}

function factsOf(host: HostAddress, facts: FactsOf): { host: HostAddress; role: Facts }[] {
  const role = facts.get(hostPort(host))
  return role === undefined ? [] : [{ host, role }]
}
