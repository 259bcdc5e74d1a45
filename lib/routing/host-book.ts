/**
 * What is known of the hosts: which answer, which role they have, and so where the next connection of a database may lead.
 * One entry for each host, whichever databases are there.
 *
 * Comes in: how attempts to connect ended, roles that sessions report, answers to probes. Goes out: candidates, best first.
 * Holds: a host that does not answer is passed over until a probe has found it again, unless no other is left.
 */

import { type HostAddress, hostPort } from '../config/hosts.ts'
import { Backoff } from '../pool/backoff.ts'
import { fits, type HostRole } from '../pool/session-attrs.ts'
import type { Target } from '../pool/target.ts'

/** So long a role that does not fit is believed: then it may have been promoted. In ms. */
const MISFIT_MS = 250
/** A host that is back gets its share little by little, in ms. */
const RAMP_MS = 10_000
/** Longest pause between two probes of a host that does not answer, in ms. */
const PROBE_PAUSE_MS = 5000

/** An address, or the directory of a socket: nothing that a name service knows. */
const ADDRESS = /^(?:[/@]|\d+\.\d+\.\d+\.\d+$|.*:)/

/** One host. */
export class HostState {
  readonly address: HostAddress
  readonly key: string
  /** Whether it answers, as far as is known. */
  up = true
  /** Since when it does; 0 where it always did. */
  upSince = 0
  role: HostRole | undefined
  roleAt = 0
  /** Of the last attempt or probe that failed. */
  lastError = ''
  failedAt = 0
  /** Milliseconds that the last attempt that succeeded took. */
  latencyMs: number | undefined
  /** Requests of clients that connections which are gone have answered. */
  answeredBefore = 0
  /** There are others in its place for some database. */
  shared = false
  /** Probes that have succeeded one after the other; below 0, that have failed. */
  probes = 0
  /** A probe is under way. */
  probing = false
  probedAt = 0
  readonly backoff = new Backoff()
  /** It is known by a name, whose addresses were these when they were asked for last. */
  readonly hasName: boolean
  addresses: readonly string[] = []
  resolvedAt = 0

  constructor(address: HostAddress) {
    this.address = address
    this.key = hostPort(address)
    this.hasName = !ADDRESS.test(address.host)
  }

  /** A session has begun there. */
  answered(at: number, latencyMs: number): void {
    this.backoff.succeeded()
    this.probed(at, latencyMs)
  }

  /** It has given a sign of life. If a login fails all the same, the next pause is longer. */
  probed(at: number, latencyMs: number): void {
    this.latencyMs = latencyMs
    if (this.up) return
    this.up = true
    this.upSince = at
  }

  /** It did not answer, or cannot be used; `limitMs` bounds the pause until it is tried again. */
  failed(at: number, error: string, limitMs: number): void {
    this.lastError = error
    this.failedAt = at
    this.up = false
    this.backoff.failed(at, Math.min(limitMs, PROBE_PAUSE_MS))
  }

  /** Which part of its share it gets. */
  share(at: number): number {
    if (this.upSince === 0) return 1
    return Math.min(1, Math.max(0.1, (at - this.upSince) / RAMP_MS))
  }
}

/** All hosts of a process. */
export class HostBook {
  readonly #hosts = new Map<string, HostState>()
  /**
   * By place: what each host has had of the connections, by its weight, and what the last one that was taken had had
   * before. The one with the least is next.
   */
  readonly #turns = new Map<string, { readonly had: Map<string, number>; now: number }>()
  readonly #connections: (key: string) => number

  /** @param connections how many connections there are to a host, by its key */
  constructor(connections: (key: string) => number) {
    this.#connections = connections
  }

  /** What is known of the host at `address`. */
  of(address: HostAddress): HostState {
    const key = hostPort(address)
    let host = this.#hosts.get(key)
    if (host === undefined) {
      host = new HostState(address)
      this.#hosts.set(key, host)
    }
    return host
  }

  /** All of them. */
  all(): Iterable<HostState> {
    return this.#hosts.values()
  }

  /** Connections to `host`. */
  connections({ key }: HostState): number {
    return this.#connections(key)
  }

  /** Hosts of `target` that answer, and whose role is fit as far as is known, best first. */
  fitting(target: Target, at: number): HostState[] {
    const { hosts, balance, attrs, place } = target
    const all = hosts.map((address) => this.of(address))
    if (all.length > 1) for (const host of all) host.shared = true
    const found = all.filter((host) => host.up && !isMisfit(host, attrs, at))
    if (balance === 'round-robin') {
      const had = this.#turns.get(place)?.had
      found.sort((a, b) => (had?.get(a.key) ?? 0) - (had?.get(b.key) ?? 0))
    } else if (balance === 'least-connections') {
      const load = (host: HostState): number => (this.#connections(host.key) + 1) / weightOf(target, host, at)
      found.sort((a, b) => load(a) - load(b))
    }
    if (target.priorities.some((priority) => priority !== target.priorities[0])) {
      const priority = ({ key }: HostState): number => target.priorities[indexOf(hosts, key)] ?? 0
      found.sort((a, b) => priority(a) - priority(b))
    }
    if (attrs === 'prefer-standby') found.sort((a, b) => Number(isPrimary(a)) - Number(isPrimary(b)))
    return found
  }

  /** Whether a host of `target` that answers may be a standby, as far as is known. */
  mayFindStandby({ hosts }: Target): boolean {
    return hosts.some((address) => {
      const host = this.of(address)
      return host.up && !isPrimary(host)
    })
  }

  /**
   * Where the next connection to `target` may lead, best first. Where no host fits, the one that was tried longest ago: it
   * may have come back, or have been promoted.
   */
  candidates(target: Target, at: number): HostAddress[] {
    const found = this.fitting(target, at)
    if (found.length > 0) return found.map(({ address }) => address)
    const all = target.hosts.map((address) => this.of(address))
    all.sort((a, b) => Math.max(a.failedAt, a.roleAt) - Math.max(b.failedAt, b.roleAt))
    return all.slice(0, 1).map(({ address }) => address)
  }

  /** A session with `host` turned out to have `role`. True where that is news. */
  roleFound(host: HostState, role: HostRole, at: number): boolean {
    const news = host.role === undefined || host.role.standby !== role.standby || host.role.readOnly !== role.readOnly
    host.role = role
    host.roleAt = at
    return news
  }

  /** A connection of `target` leads to `host`: the next has its turn. */
  took(target: Target, host: HostState, at: number): void {
    const { hosts, place, balance } = target
    if (hosts.length === 1 || balance !== 'round-robin') return
    let turns = this.#turns.get(place)
    if (turns === undefined) this.#turns.set(place, (turns = { had: new Map(), now: 0 }))
    // One that was away makes up for nothing.
    turns.now = Math.max(turns.had.get(host.key) ?? 0, turns.now)
    turns.had.set(host.key, turns.now + 1 / weightOf(target, host, at))
  }

  /** Forget hosts that no target of `targets` has. */
  keep(targets: Iterable<Target>): void {
    const keys = new Set<string>()
    const places = new Set<string>()
    for (const { hosts, place } of targets) {
      places.add(place)
      for (const address of hosts) keys.add(hostPort(address))
    }
    for (const key of this.#hosts.keys()) if (!keys.has(key) && this.#connections(key) === 0) this.#hosts.delete(key)
    for (const place of this.#turns.keys()) if (!places.has(place)) this.#turns.delete(place)
  }
}

/** What is due to `host` among those of the target: by the configuration, and less while it has just come back. */
function weightOf({ hosts, weights }: Target, host: HostState, at: number): number {
  return (weights[indexOf(hosts, host.key)] ?? 1) * host.share(at)
}

function indexOf(hosts: readonly HostAddress[], key: string): number {
  return hosts.findIndex((address) => hostPort(address) === key)
}

function isMisfit({ role, roleAt }: HostState, attrs: Target['attrs'], at: number): boolean {
  return role !== undefined && !fits(attrs, role) && at - roleAt < MISFIT_MS
}

function isPrimary({ role }: HostState): boolean {
  return role !== undefined && !role.standby
}
