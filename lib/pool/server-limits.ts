/**
 * How many connections to PostgreSQL there may be to one host, in one database and of one user: `max_server_connections`,
 * `max_db_connections`, `max_user_connections`. Whoever opens one takes a slot before it dials; the slot is free again
 * when PostgreSQL has closed the connection, not when it is asked to. Replication connections take none: PostgreSQL
 * counts them apart (max_wal_senders).
 *
 * Holds: no limit is passed at any moment. Whoever finds none free waits in line, is served in the order in which they
 * came, one connection each, and has idle connections of others closed meanwhile, those unused for longest first. A
 * pool that has no connection at all and has waited for STARVING_MS gets one that comes back elsewhere, also where others
 * wait for that. For passwords that are not proven one connection at a time makes way, and its place goes from one guess
 * to the next: a stranger who tries many costs those who are in no more than that.
 */

import { type HostAddress, hostPort } from '../config/hosts.ts'
import type { Wire } from '../net/wire.ts'
import type { ServerConnection } from '../server/connection.ts'
import { LoginError } from '../server/login.ts'
import { after, now } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { Tally } from '../util/tally.ts'

/** The limits of a database and user; 0 is none. */
export interface Limits {
  host: number
  database: number
  user: number
}

/** Whoever wants connections. */
export interface Claimant {
  readonly database: string
  readonly user: string
  /** Where it would have one, best first. */
  readonly hosts: readonly HostAddress[]
  /** It still wants one. */
  readonly wants: boolean
  /** How many it has. */
  readonly connected: number
  /** It wants it for a password that is not proven. */
  readonly guesses?: boolean
  /** There may be room: take a slot, if it still wants one. */
  grow(): void
}

/** Where idle connections can be found. */
export interface Lender {
  readonly database: string
  readonly user: string
  /** How many it has. */
  readonly connected: number
  /** The idle one that was unused for longest. */
  readonly oldestIdle: ServerConnection | null
  /** All of them. */
  servers(): Iterable<ServerConnection>
}

interface Claim {
  since: number
  /** Connections being closed for it. */
  evictions: number
}

type Kind = keyof Limits

const OPTIONS: Record<Kind, string> = {
  host: 'max_server_connections',
  database: 'max_db_connections',
  user: 'max_user_connections',
}
/** So long a pool without a connection leaves those that come back to clients of their own pool. */
const STARVING_MS = 1000
/** The log says at most this often that a limit is reached. */
const LOG_MS = 10_000

/** The place of one connection. */
export class Slot {
  readonly database: string
  readonly user: string
  /** Where its connection leads, and the key of that. */
  readonly host: HostAddress
  readonly hostKey: string
  /** For whom its connection is being closed. */
  claim: Claim | undefined
  /** For a password that is not proven. */
  guess = false
  #holds = 1
  readonly #free: (slot: Slot) => void

  constructor({ database, user }: Pick<Claimant, 'database' | 'user'>, host: HostAddress, free: (slot: Slot) => void) {
    this.database = database
    this.user = user
    this.host = host
    this.hostKey = hostPort(host)
    this.#free = free
  }

  /** One more reason why it is not free. */
  hold(): void {
    this.#holds++
  }

  /** One reason less. */
  release(): void {
    if (--this.#holds === 0) this.#free(this)
  }
}

/** The slots of all hosts. */
export class ServerLimits {
  readonly #limits: (database: string, user: string) => Limits
  readonly #lenders: () => Iterable<Lender>
  readonly #log: Logger
  readonly #hosts = new Tally()
  readonly #databases = new Tally()
  readonly #users = new Tally()
  readonly #line = new Map<Claimant, Claim>()
  readonly #slots = new WeakMap<Wire, Slot>()
  #handing = false
  /** Slots of passwords that are not proven. */
  #guesses = 0
  /** One of these is free: the next has it. */
  #guessIsOver = false
  #loggedAt = Number.NEGATIVE_INFINITY

  /**
   * @param limits those in force
   * @param lenders all pools
   */
  constructor(limits: (database: string, user: string) => Limits, lenders: () => Iterable<Lender>, log: Logger) {
    this.#limits = limits
    this.#lenders = lenders
    this.#log = log
  }

  /** A slot for `claimant`, or undefined: its `grow` is called when there may be one, and idle connections make way. */
  take(claimant: Claimant): Slot | undefined {
    if (this.#line.size > 0) this.#hand()
    return this.#grant(claimant) ?? this.#queue(claimant)
  }

  /** A slot for `claimant` if there is one to spare: nobody makes way. */
  takeSpare(claimant: Claimant): Slot | undefined {
    return this.#line.size > 0 ? undefined : this.#grant(claimant)
  }

  /**
   * A slot as soon as there is one, for a password, `proven` or not.
   * @throws LoginError where there is none for `timeoutMs`, or `signal` is aborted
   */
  enter(
    seeker: Pick<Claimant, 'database' | 'user' | 'hosts'>,
    proven: boolean,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Slot> {
    return new Promise((resolve, reject) => {
      const { database, user } = seeker
      const claimant = {
        database,
        user,
        get hosts() {
          return seeker.hosts
        },
        wants: true,
        connected: 0,
        guesses: !proven,
        grow: () => attempt(),
      }
      const leave = (): void => {
        claimant.wants = false
        this.#line.delete(claimant)
        cancel()
        signal.removeEventListener('abort', onAbort)
      }
      const fail = (reason: string): void => {
        leave()
        reject(new LoginError(reason, { sqlstate: '53300' }))
      }
      const onAbort = (): void => fail('the login was given up')
      const cancel = after(timeoutMs, () => fail(this.reached(claimant) ?? 'there was no room for one more connection'))
      const attempt = (): void => {
        const slot = this.take(claimant)
        if (slot === undefined) return
        leave()
        resolve(slot)
      }
      signal.addEventListener('abort', onAbort)
      if (signal.aborted) onAbort()
      else attempt()
    })
  }

  /** The password for which `slot` was taken was right. */
  proven(slot: Slot): void {
    if (!slot.guess) return
    slot.guess = false
    this.#guesses--
  }

  /** The connection of `wire` is one of `slot`'s: it is not free before that is closed. */
  bind(slot: Slot, wire: Wire): void {
    slot.hold()
    this.#slots.set(wire, slot)
    wire.onClosed = () => slot.release()
  }

  /** `claimant` does not want any more. */
  leave(claimant: Claimant): void {
    this.#line.delete(claimant)
  }

  /** Connections to a host, those being opened or closed included. */
  connectionsTo(key: string): number {
    return this.#hosts.count(key)
  }

  /** Why `claimant` waits: the limit that is reached. */
  reached(claimant: Claimant): string | undefined {
    const [kind] = this.#full(claimant)
    if (kind === undefined) return undefined
    const what =
      kind === 'host'
        ? ` to ${claimant.hosts.map(hostPort).join(', ')}`
        : kind === 'database'
          ? ` of database "${claimant.database}"`
          : ` of user "${claimant.user}"`
    return `All ${this.#limitsOf(claimant)[kind]} server connections${what} are in use (${OPTIONS[kind]}).`
  }

  /**
   * Why a connection of `pool` that comes back must not be used again: the limits were made smaller, or somebody else
   * needs its slot. `needed`: clients of its own pool wait for it.
   */
  reasonToGive(server: ServerConnection, pool: Lender, needed: boolean): string | undefined {
    if (this.#line.size === 0) return undefined
    const slot = this.#slots.get(server.wire)
    if (slot === undefined) return undefined
    const at = needed ? now() - STARVING_MS : Number.POSITIVE_INFINITY
    for (const [claimant, claim] of this.#line) {
      if ((claimant as unknown) === pool || claim.evictions > 0 || claim.since > at || !claimant.wants) continue
      if (this.#mustWait(claimant)) continue
      if (needed && claimant.connected > 0) continue
      const full = this.#full(claimant)
      const helps = helpFor(claimant)
      if (full.length === 0 || !full.every((kind) => helps(kind, slot))) continue
      claim.evictions++
      slot.claim = claim
      return 'its place is needed by another pool'
    }
    return undefined
  }

  /** Close idle connections above limits that were made smaller, and look after those in line. Called by the janitor. */
  sweep(): void {
    const live = { hosts: new Tally(), databases: new Tally(), users: new Tally() }
    for (const lender of this.#lenders()) {
      live.databases.add(lender.database, lender.connected)
      live.users.add(lender.user, lender.connected)
      for (const { wire } of lender.servers()) {
        const slot = this.#slots.get(wire)
        if (slot) live.hosts.add(slot.hostKey, 1)
      }
    }
    for (const lender of this.#lenders()) {
      const { database, user, oldestIdle } = lender
      const slot = oldestIdle === null ? undefined : this.#slots.get(oldestIdle.wire)
      if (oldestIdle === null || slot === undefined) continue
      const limits = this.#limitsOf(lender)
      const host = slot.hostKey
      const surplus = Math.max(
        above(live.hosts.count(host), limits.host),
        above(live.databases.count(database), limits.database),
        above(live.users.count(user), limits.user),
      )
      if (surplus <= 0) continue
      live.hosts.add(host, -1)
      live.databases.add(database, -1)
      live.users.add(user, -1)
      oldestIdle.close('a limit of connections was made smaller')
    }
    this.#hand()
  }

  #limitsOf({ database, user }: { database: string; user: string }): Limits {
    return this.#limits(database, user)
  }

  /** The limits that keep `claimant` from one more connection. */
  #full(claimant: Claimant): Kind[] {
    const { database, user } = this.#limitsOf(claimant)
    const full: Kind[] = []
    if (user > 0 && this.#users.count(claimant.user) >= user) full.push('user')
    if (database > 0 && this.#databases.count(claimant.database) >= database) full.push('database')
    if (this.#hostWithRoom(claimant) === undefined) full.push('host')
    return full
  }

  #hostWithRoom(claimant: Claimant): HostAddress | undefined {
    const { host: limit } = this.#limitsOf(claimant)
    return claimant.hosts.find((host) => limit === 0 || this.#hosts.count(hostPort(host)) < limit)
  }

  #grant(claimant: Claimant): Slot | undefined {
    if (this.#full(claimant).length > 0) return undefined
    this.#line.delete(claimant)
    const slot = new Slot(claimant, this.#hostWithRoom(claimant)!, (slot) => this.#free(slot))
    this.#count(slot, 1)
    slot.guess = claimant.guesses === true
    if (slot.guess) this.#guesses++
    return slot
  }

  #queue(claimant: Claimant): undefined {
    let claim = this.#line.get(claimant)
    if (claim === undefined) this.#line.set(claimant, (claim = { since: now(), evictions: 0 }))
    this.#makeRoom(claimant, claim)
  }

  #count({ database, user, hostKey }: Slot, by: number): void {
    this.#hosts.add(hostKey, by)
    this.#databases.add(database, by)
    this.#users.add(user, by)
  }

  #free(slot: Slot): void {
    this.#count(slot, -1)
    if (slot.guess) this.#guessIsOver = true
    this.proven(slot)
    if (slot.claim !== undefined) slot.claim.evictions--
    if (this.#line.size > 0) queueMicrotask(() => this.#hand())
  }

  /** Tell those in line whom nothing keeps any more, in their order; have connections make way for the others. */
  #hand(): void {
    if (this.#handing) return
    this.#handing = true
    try {
      if (this.#guessIsOver) this.#handToGuess()
      this.#guessIsOver = false
      for (const [claimant, claim] of [...this.#line]) {
        if (!claimant.wants) this.#line.delete(claimant)
        else if (this.#full(claimant).length === 0) {
          // Whoever wants another one behind it, comes again at the end of the line.
          this.#line.delete(claimant)
          claimant.grow()
        } else this.#makeRoom(claimant, claim)
      }
    } finally {
      this.#handing = false
    }
  }

  /** The place of a guess is for the next one, unless somebody without any connection was there before. */
  #handToGuess(): void {
    for (const claimant of this.#line.keys()) {
      if (!claimant.wants || this.#full(claimant).length > 0) continue
      if (claimant.guesses !== true && claimant.connected > 0) continue
      this.#line.delete(claimant)
      claimant.grow()
      return
    }
  }

  /** Another guess has a place, or is about to have one. */
  #mustWait(claimant: Claimant): boolean {
    if (claimant.guesses !== true) return false
    if (this.#guesses > 0) return true
    for (const [other, { evictions }] of this.#line) if (other.guesses === true && evictions > 0) return true
    return false
  }

  /** Close what is idle and in the way of `claimant`, if that leads to a slot. */
  #makeRoom(claimant: Claimant, claim: Claim): void {
    if (claim.evictions > 0 || !claimant.wants || this.#mustWait(claimant)) return
    const full = this.#full(claimant)
    const victims = new Set<ServerConnection>()
    const helps = helpFor(claimant)
    const all = this.#victim((slot) => full.every((kind) => helps(kind, slot)))
    for (const kind of full) {
      const victim = all ?? this.#victim((slot) => helps(kind, slot))
      if (victim === undefined) {
        this.#say(claimant)
        return
      }
      victims.add(victim)
    }
    for (const victim of victims) {
      claim.evictions++
      this.#slots.get(victim.wire)!.claim = claim
      victim.close('its place is needed by another pool')
    }
  }

  #victim(suits: (slot: Slot) => boolean): ServerConnection | undefined {
    let victim: ServerConnection | undefined
    for (const { oldestIdle } of this.#lenders()) {
      const slot = oldestIdle === null ? undefined : this.#slots.get(oldestIdle.wire)
      if (slot === undefined || !suits(slot)) continue
      if (victim === undefined || oldestIdle!.usedAt < victim.usedAt) victim = oldestIdle!
    }
    return victim
  }

  #say(claimant: Claimant): void {
    const at = now()
    if (at - this.#loggedAt < LOG_MS) return
    this.#loggedAt = at
    const { database, user } = claimant
    this.#log.warn('clients wait: a limit of server connections is reached', {
      database,
      user,
      reason: this.reached(claimant),
    })
  }
}

/** Whether the end of the connection in a slot counts for a limit of `claimant`. Its hosts are looked at once. */
function helpFor(claimant: Claimant): (kind: Kind, slot: Slot) => boolean {
  const keys = claimant.hosts.map(hostPort)
  return (kind, slot) => (kind === 'host' ? keys.includes(slot.hostKey) : claimant[kind] === slot[kind])
}

function above(count: number, limit: number): number {
  return limit > 0 ? count - limit : 0
}
