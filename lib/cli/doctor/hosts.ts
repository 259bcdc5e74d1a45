/** Whether each host answers, and whether TLS with it is what the databases that lead there want. */

import { X509Certificate } from 'node:crypto'
import { hostPort } from '../../config/hosts.ts'
import type { ServerTls } from '../../net/dial.ts'
import { dial } from '../../net/dial.ts'
import type { DialError } from '../../net/dial-error.ts'
import { probe } from '../../net/probe.ts'
import type { ServerTlsInfo } from '../../net/server-encryption.ts'
import { isUnixDirectory } from '../../net/unix-path.ts'
import type { Target } from '../../pool/target.ts'
import { isLoopback } from '../../server/own-merit.ts'
import { now } from '../../util/clock.ts'
import { CONNECT_REMEDIES } from '../probe-server.ts'
import { describeHost } from '../ready-line.ts'
import { expiryFault } from './expiry.ts'
import { Findings } from './finding.ts'
import type { HostPlaces, Place } from './places.ts'

/** What became of one host. */
export interface HostState {
  readonly places: HostPlaces
  /** It can be connected to as these places want it. */
  readonly usable: ReadonlySet<Place>
  readonly findings: Findings
}

/** How a target is encrypted; undefined for not at all. */
export type TlsOf = (target: Target) => ServerTls | undefined

/** Look at one host. `tlsOf` is undefined where the certificates of the configuration cannot be used. Never rejects. */
export async function checkHost(places: HostPlaces, tlsOf: TlsOf | undefined, timeoutMs: number): Promise<HostState> {
  const findings = new Findings('hosts')
  const usable = new Set<Place>()
  const { host } = places
  const subject = describeHost(host)
  const began = now()
  try {
    await probe(host, { timeoutMs })
  } catch (error) {
    const { code, message } = error as DialError
    findings.add('problem', subject, message, CONNECT_REMEDIES[code] ?? 'check server_host and server_port')
    return { places, usable, findings }
  }
  findings.add('ok', subject, `answers, after ${Math.max(1, Math.round(now() - began))} ms`)
  if (tlsOf === undefined) return { places, usable, findings }
  // Those that share their options share the answer.
  const ways = new Map<string | undefined, Place[]>()
  for (const place of places.places) ways.set(place.target.tls, [...(ways.get(place.target.tls) ?? []), place])
  for (const those of ways.values()) {
    const whose = ways.size === 1 ? '' : `${those.map(({ label }) => label).join(', ')}: `
    const tls = tlsOf(those[0]!.target)
    if (await checkTls(places, tls, whose, timeoutMs, findings)) for (const place of those) usable.add(place)
  }
  return { places, usable, findings }
}

/** Whether a connection can be had as `tls` wants it. */
async function checkTls(
  { host }: HostPlaces,
  tls: ServerTls | undefined,
  whose: string,
  timeoutMs: number,
  findings: Findings,
): Promise<boolean> {
  const subject = describeHost(host)
  if (isUnixDirectory(host.host)) {
    findings.add('ok', subject, `${whose}no TLS: it is a unix socket`)
    return true
  }
  const mode = tls?.context.mode ?? 'disable'
  try {
    const { socket, tls: info, remoteAddress } = await dial(host, { timeoutMs, keepAlive: false, keepIdleMs: 0, tls })
    socket.destroy()
    const { level, message, remedy } = info ? encrypted(info, mode) : inClear(mode, isLoopback(remoteAddress))
    findings.add(level, subject, whose + message, remedy)
    return true
  } catch (error) {
    const { message, code } = error as DialError
    findings.add('problem', subject, whose + message, TLS_REMEDIES[code] ?? 'check server_tls_* and ssl of PostgreSQL')
    return false
  }
}

const TLS_REMEDIES: Readonly<Record<string, string>> = {
  TLS_UNSUPPORTED: 'set ssl = on in postgresql.conf, or server_tls_mode to prefer or disable',
  TLS_VERIFY: 'name the authority that signs the certificate of PostgreSQL in server_tls_ca_file',
  TLS_HOSTNAME: 'use the name of the certificate as server_host, or server_tls_mode verify-ca',
  ETIMEDOUT: 'is the host overloaded, or does a firewall hold up the connection?',
}

type Judged = { level: 'ok' | 'warning' | 'problem'; message: string; remedy?: string }

function encrypted({ protocol, endPointCertificate }: ServerTlsInfo, mode: string): Judged {
  const verified =
    mode === 'verify-full'
      ? 'certificate and host name verified'
      : mode === 'verify-ca'
        ? 'certificate verified, host name not'
        : `certificate not verified (server_tls_mode ${mode})`
  const message = `${protocol}, ${verified}`
  const fault = expiryFault(certificateOf(endPointCertificate)?.validTo)
  if (fault === undefined) return { level: 'ok', message }
  const remedy = 'renew the certificate of PostgreSQL (ssl_cert_file)'
  return { level: 'warning', message: `${message}; the certificate ${fault.what}`, remedy }
}

function certificateOf(der: Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(der)
  } catch {
    return undefined
  }
}

function inClear(mode: string, loopback: boolean): Judged {
  const why = mode === 'prefer' ? 'PostgreSQL offers no TLS' : `server_tls_mode ${mode}`
  const message = `not encrypted: ${why}`
  if (loopback) return { level: 'ok', message }
  return { level: 'warning', message, remedy: 'set ssl = on in postgresql.conf and server_tls_mode verify-full' }
}

/** A host that cannot be used is no more than a warning as long as each of its databases has another. */
export function judgeOutages(states: readonly HostState[]): void {
  const served = new Set<Place>(states.flatMap(({ usable }) => [...usable]))
  for (const { places, findings } of states) {
    if (!places.places.every((place) => served.has(place))) continue
    for (const finding of findings.found) if (finding.level === 'problem') finding.level = 'warning'
  }
}

/** The hosts of `place` that can be used. */
export function usableHosts(states: readonly HostState[], place: Place): HostState[] {
  const keys = new Set(place.target.hosts.map(hostPort))
  return states.filter(({ places, usable }) => keys.has(hostPort(places.host)) && usable.has(place))
}
