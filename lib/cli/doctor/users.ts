/**
 * How the users of auth_file get in: what pgbun asks the client for, what it then has for PostgreSQL, and whether that is
 * what PostgreSQL asks for. Where pgbun has enough, it logs in; where it would get that from the client, nothing is sent.
 */

import { chooseMethod } from '../../auth/client-methods.ts'
import { credentialsOfSecret } from '../../auth/credentials.ts'
import { unknownUserOf } from '../../auth/unknown-user.ts'
import { hostPort } from '../../config/hosts.ts'
import type { Secret } from '../../config/userlist.ts'
import { LoginError } from '../../server/login.ts'
import { describeHost } from '../ready-line.ts'
import { eachAtOnce, Findings, type Level, type UserRow } from './finding.ts'
import { type HostState, usableHosts } from './hosts.ts'
import { type Asked, firstRequest, logIn, type Way } from './login.ts'
import { type FactsOf, type LoginParts, loginFault } from './logins.ts'
import type { Place } from './places.ts'

/** So many users are looked at. */
const MOST_USERS = 20
/** So many logins at once: PostgreSQL has other things to do. */
const AT_ONCE = 4

/** What the check goes by. */
export interface UserParts extends Omit<LoginParts, 'passwords'> {
  secrets: ReadonlyMap<string, Secret>
  places: readonly Place[]
  states: readonly HostState[]
  facts: FactsOf
}

interface Verdict {
  level: Level
  verdict: string
  remedy?: string
}

/** Where a user is tried: on the first host that can be used. */
interface Spot {
  place: Place
  state: HostState | undefined
  label: string
  /** A login there was not answered: the others would wait as long for nothing. */
  silent: boolean
}

/** The table of users, and a finding for each that has some fault. */
export async function checkUsers(parts: UserParts): Promise<{ rows: UserRow[]; more: number; findings: Findings }> {
  const users = [...parts.secrets].slice(0, MOST_USERS)
  const spots = spotsOf(parts)
  const pairs = users.flatMap(([user, secret]) => spots.map((spot) => ({ user, secret, spot })))
  const rows = await eachAtOnce(pairs, AT_ONCE, ({ user, secret, spot }) => rowOf(user, secret, spot, parts))
  const findings = new Findings('users')
  for (const { level, user, place, verdict, remedy } of rows) {
    if (level !== 'ok') findings.add(level, `user "${user}", ${place}`, verdict, remedy)
  }
  return { rows, more: parts.secrets.size - users.length, findings }
}

/** Of databases on the same hosts one is enough. Those with one user are only looked at where there are no others. */
function spotsOf({ places, states }: UserParts): Spot[] {
  const own = places.filter(({ target }) => target.user === undefined)
  if (own.length === 0) return [{ place: places[0]!, state: undefined, label: 'all databases', silent: false }]
  const seen = new Set<string>()
  return own.flatMap((place) => {
    const key = JSON.stringify([place.target.hosts.map(hostPort), place.target.tls])
    if (seen.has(key)) return []
    seen.add(key)
    const [state] = usableHosts(states, place)
    const where = describeHost(state?.places.host ?? place.target.hosts[0]!)
    return [{ place, state, label: place.any ? where : `${place.name} at ${where}`, silent: false }]
  })
}

const CLIENT: Readonly<Record<string, string>> = {
  none: 'nothing',
  cleartext: 'password',
  md5: 'md5',
  sasl: 'SCRAM',
}
const SERVER: Readonly<Record<Asked['kind'], string>> = {
  nothing: 'nothing',
  password: 'password',
  md5: 'md5',
  scram: 'SCRAM',
  other: 'something else',
}

async function rowOf(user: string, secret: Secret, spot: Spot, parts: UserParts): Promise<UserRow> {
  const { config, secrets } = parts
  const authType = config.authType as Exclude<typeof config.authType, 'passthrough'>
  const unknownAs = unknownUserOf(secrets, config.scramIterations).kind
  const { method, problem } = chooseMethod(authType, secret, unknownAs)
  const row = { user, place: spot.label, client: CLIENT[method]!, secret: secretText(secret) }
  const refused: Verdict | undefined = problem && {
    level: 'problem',
    verdict: `pgbun lets nobody in: ${problem.reason}`,
    ...(problem.remedy === undefined ? {} : { remedy: problem.remedy }),
  }
  if (spot.place.target.user !== undefined) {
    const name = spot.place.target.user.name
    const server = spot.label === 'all databases' && parts.places.length > 1 ? 'one user each' : `user "${name}"`
    return { ...row, server, ...(refused ?? { level: 'ok', verdict: 'works' }) }
  }
  if (spot.state === undefined) {
    return { ...row, server: '-', ...(refused ?? { level: 'ok', verdict: 'not tried: no host can be used' }) }
  }
  if (spot.silent) {
    return {
      ...row,
      server: '-',
      ...(refused ?? { level: 'ok', verdict: 'not tried: another login was not answered' }),
    }
  }
  const way: Way = {
    host: spot.state.places.host,
    tls: parts.tlsOf(spot.place.target),
    config,
    timeoutMs: parts.timeoutMs,
  }
  try {
    const database = spot.place.databases[0]!
    const asked = await firstRequest(way, { user, database, parameters: spot.place.target.parameters })
    const verdict = refused ?? softened(await judge(user, secret, asked, way, spot, parts), parts)
    return { ...row, server: SERVER[asked.kind], ...verdict }
  } catch (error) {
    return { ...row, server: '-', ...(refused ?? softened(failed(error, spot), parts)) }
  }
}

/** Where some databases have one user for all, a user of auth_file may be meant for these, and need no role. */
function softened(verdict: Verdict, { places }: UserParts): Verdict {
  if (verdict.level !== 'problem' || places.every(({ target }) => target.user === undefined)) return verdict
  return {
    ...verdict,
    level: 'warning',
    verdict: `only databases with a user of their own can be used: ${verdict.verdict}`,
  }
}

function secretText(secret: Secret): string {
  if (secret.kind === 'plain') return secret.password === '' ? 'empty' : 'password'
  return secret.kind === 'md5' ? 'md5 hash' : 'SCRAM verifier'
}

function failed(error: unknown, spot: Spot): Verdict {
  const { message, remedy } = loginFault(error)
  if (error instanceof LoginError && error.sqlstate.startsWith('08')) spot.silent = true
  const said = error instanceof LoginError && error.fromServer
  return { level: 'problem', verdict: said ? `PostgreSQL says: ${message}` : message, remedy }
}

const WORKS: Verdict = { level: 'ok', verdict: 'works' }

/** Whether what pgbun has after the client's login is what PostgreSQL asks for. */
async function judge(
  user: string,
  secret: Secret,
  asked: Asked,
  way: Way,
  spot: Spot,
  { config, facts }: UserParts,
): Promise<Verdict> {
  const tryIt = async (): Promise<Verdict> => {
    const { target, databases } = spot.place
    const found = await logIn(way, { user, parameters: target.parameters }, databases, credentialsOfSecret(secret))
    facts.set(hostPort(way.host), found)
    return WORKS
  }
  try {
    if (asked.kind === 'nothing' || asked.kind === 'other' || config.authType === 'trust') return await tryIt()
    // The client's password in clear is as good as that of auth_file.
    if (config.authType === 'plain' && secret.kind !== 'plain') return await judgeTold(secret, asked, tryIt)
    if (secret.kind !== 'scram') return await tryIt()
    return judgeKeys(secret, asked)
  } catch (error) {
    return failed(error, spot)
  }
}

/** The client tells pgbun its password, of which auth_file has a hash. */
async function judgeTold(secret: Secret, asked: Asked, tryIt: () => Promise<Verdict>): Promise<Verdict> {
  if (secret.kind === 'md5' && asked.kind === 'md5') return tryIt()
  if (asked.kind === 'password' && !asked.cleartextAllowed) {
    return {
      level: 'problem',
      verdict: 'PostgreSQL asks for a password in clear on a connection that is not protected',
      remedy: 'use TLS to the server (server_tls_mode), or scram-sha-256 in pg_hba.conf',
    }
  }
  if (secret.kind === 'scram' && asked.scram && sameVerifier(secret, asked.scram)) return WORKS
  return { level: 'ok', verdict: 'works if PostgreSQL has the same password (not tried)' }
}

/** What pgbun has is what the client has proven by its verifier. */
function judgeKeys(secret: Extract<Secret, { kind: 'scram' }>, asked: Asked): Verdict {
  if (asked.kind !== 'scram') {
    const wanted = asked.kind === 'md5' ? 'an md5 password' : 'a password'
    return {
      level: 'problem',
      verdict: `PostgreSQL asks for ${wanted}, and pgbun has only a SCRAM verifier`,
      remedy: 'write the password into auth_file, or use scram-sha-256 in pg_hba.conf',
    }
  }
  if (asked.scram && sameVerifier(secret, asked.scram)) return WORKS
  return {
    level: 'problem',
    verdict: 'PostgreSQL has another SCRAM verifier than auth_file',
    remedy: 'copy the verifier from pg_authid.rolpassword to auth_file, or write the password there',
  }
}

function sameVerifier(
  { salt, iterations }: { salt: Buffer; iterations: number },
  other: { salt: Buffer; iterations: number },
): boolean {
  return iterations === other.iterations && salt.equals(other.salt)
}
