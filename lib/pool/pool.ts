/**
 * The server connections of one (database, user) and the queue of clients that want one.
 *
 * Comes in: waiters. Goes out: leases, in the order in which they were asked for. Holds: a server is lent to one waiter
 * at a time and comes back only through its lease; before another client gets it, it is settled, in no transaction, no
 * cancel request is under way towards it, and it carries no session state of the one before. Connections are opened one
 * at a time: a burst of clients that one server can serve does not open twenty.
 */

import type { Credentials } from '../auth/credentials.ts'
import { type HostAddress, hostPort } from '../config/hosts.ts'
import type { ErrorFields } from '../errors.ts'
import type { ServerConnection } from '../server/connection.ts'
import type { LoginError } from '../server/login.ts'
import type { RoleChange, ServerOwner, ServerState } from '../server/ports.ts'
import type { Defaults } from '../settings/server-defaults.ts'
import { createPinCounts } from '../sql/state-kinds.ts'
import { BoundedMap } from '../util/bounded-map.ts'
import { now } from '../util/clock.ts'
import { List } from '../util/list.ts'
import { admitServer } from './admit-server.ts'
import { chooseServer } from './choose-server.ts'
import { type Cleanup, cleanup } from './cleanup.ts'
import { type Counters, createCounters } from './counters.ts'
import { DedicatedServers } from './dedicated.ts'
import type { Durations } from './durations.ts'
import type { FunctionCatalog } from './function-catalog.ts'
import { Lease, type LeaseOutcome } from './lease.ts'
import { OpenFailures } from './open-failures.ts'
import { Opening } from './opening.ts'
import { Pipelines } from './pipelines.ts'
import { PoolGate } from './pool-gate.ts'
import type { PoolPorts } from './ports.ts'
import { type OpenState, ServerLists } from './server-lists.ts'
import { reportedRole } from './session-attrs.ts'
import { connectionLimit, type PoolMode, type PoolSettings, whyWaiting } from './settings.ts'
import { LEADS_ELSEWHERE, type Target } from './target.ts'
import { type KeptPool, Upkeep } from './upkeep.ts'
import { notifyWaiting, refuseOverdue, type Waiter } from './waiter.ts'
import { Welcome } from './welcome.ts'

const PAUSED = 'its database is paused'

/** Connections of one database and user. */
export class Pool implements ServerOwner<ServerConnection>, KeptPool {
  readonly database: string
  /** Where its connections lead; another one after `retarget`. */
  target: Target
  /** Of its clients; of no account where `target` has one for all. */
  readonly clientUser: string
  readonly counters: Counters = createCounters()
  readonly durations: Durations
  readonly waiters = new List<Waiter>('waiting')
  /** Of the place its connections lead to. */
  functions: FunctionCatalog
  settings: PoolSettings
  /** Clients of it, those logging in included. */
  clients = 0
  /** How many of them keep a server because of session state, and how often each kind of it began to. */
  readonly pins = { now: 0, counts: createPinCounts() }
  /** What its connections log in to PostgreSQL with: of the client that logged in last. */
  credentials: Credentials = { kind: 'none' }
  /** Startup parameters (`name=value`) PostgreSQL has accepted here, and how it spells their values. */
  readonly accepted = new BoundedMap<string>(1000)
  readonly #ports: PoolPorts
  readonly gate: PoolGate
  /** Replication connections: of one client each, and no part of the pool. */
  readonly dedicated = new DedicatedServers((server) => void this.#ports.cancel(server))
  readonly #lists = new ServerLists()
  readonly #opening: Opening
  readonly #upkeep: Upkeep
  #sweptAt = 0
  readonly #failures = new OpenFailures()
  /**
   * Somebody is being handed a server. A client may be done with it at once (all it asked for was answered without), and
   * so may the thousand behind it: the outermost call serves them one after the other, not each from within the last.
   */
  #serving = false
  readonly welcome = new Welcome()
  /** Servers that several clients use at once. */
  readonly pipelines: Pipelines

  constructor(
    { database, user, target, durations }: { database: string; user: string; target: Target; durations: Durations },
    settings: PoolSettings,
    functions: FunctionCatalog,
    ports: PoolPorts,
  ) {
    this.database = database
    this.clientUser = user
    this.target = target
    this.settings = settings
    this.functions = functions
    this.durations = durations
    this.#ports = ports
    this.#upkeep = new Upkeep(this, ports)
    this.gate = new PoolGate(() => ports.isPaused(database))
    this.pipelines = new Pipelines({
      counters: this.counters,
      maxWaitMs: () => this.settings.pipeliningMaxWaitMs,
      over: (server, mode, outcome, reason) => this.#takeBack(server, mode, outcome, reason),
      moved: () => this.#serve(),
      cancel: (server) => void ports.cancel(server),
    })
    this.#opening = new Opening({
      open: (slot) => ports.open(this, slot),
      durations,
      opened: (server) => this.#opened(server),
      failed: (error) => this.#openFailed(error),
      refuseAll: (error) => this.#refuseAll(error),
      connected: () => this.connected,
      retryMs: () => this.settings.loginRetryMs,
      graceMs: () => this.settings.outageGraceMs,
      hasHost: () => ports.hasHost(this.target),
      retry: () => this.grow(),
    })
  }

  /** The user its connections are logged in as. */
  get user(): string {
    return this.target.user?.name ?? this.clientUser
  }

  /** Where the next connection may lead, best first. */
  get hosts(): readonly HostAddress[] {
    return this.#ports.hosts(this.target)
  }

  /** Connections that exist or are being opened. */
  get size(): number {
    return this.connected + this.opening
  }

  /** Connections being opened. */
  get opening(): number {
    return this.#opening.running ? 1 : 0
  }

  get connected(): number {
    return this.#lists.size
  }

  get empty(): boolean {
    if (this.target.user !== undefined && this.settings.minSize > 0 && !this.gate.closing) return false
    if (this.clients + this.dedicated.clients > 0) return false
    return this.size === 0 && this.waiters.size === 0 && this.welcome.waiting === 0
  }

  readonly count = (state: OpenState): number => this.#lists[state].size

  /** All connections, by state. */
  servers(): Iterable<ServerConnection> {
    return this.#lists.all()
  }

  /** The parameters a client is greeted with; opens a connection where there is none, and then they come later. */
  getWelcome(): Defaults | Promise<Defaults> {
    const { parameters } = this.welcome
    if (parameters !== undefined && (this.connected > 0 || this.gate.paused)) return parameters
    const refused = this.gate.refusal(this.#opening)
    if (refused) return Promise.reject(refused)
    const waiting = this.welcome.wait()
    this.grow()
    return waiting
  }

  /** Whoever got `promise` by `getWelcome` has left. */
  leaveWelcome(promise: Promise<Defaults>): void {
    this.welcome.leave(promise)
  }

  /** A server for `waiter`: at once, as a lease, or later, by its onLease; undefined means that it waits. */
  acquire(waiter: Waiter): Lease | undefined {
    if (this.waiters.size === 0 && !this.gate.paused) {
      const joined = this.#join(waiter)
      if (joined) return joined
      const server = this.#pick(waiter)
      if (server) return this.#lend(server, waiter)
    }
    waiter.waitingSince = now()
    this.waiters.push(waiter)
    const refused = this.gate.refusal(this.#opening)
    if (refused) this.#refuse(waiter, refused)
    else {
      this.#serve()
      this.grow()
    }
    return undefined
  }

  /** `waiter` does not want a server any more. */
  leave(waiter: Waiter): void {
    if (waiter.list === this.waiters) this.waiters.remove(waiter)
  }

  /** A lease is over. Only Lease calls this. */
  takeBack({ server, since, mode }: Lease, outcome: LeaseOutcome, reason: string): void {
    this.counters.leaseTime += now() - since
    this.#takeBack(server, mode, outcome, reason)
  }

  #takeBack(server: ServerConnection, mode: PoolMode, outcome: LeaseOutcome, reason: string): void {
    server.consumer = null
    if (outcome === 'broken') {
      server.cut(reason || 'broken')
      return
    }
    this.#upkeep.cameBack(server, mode, outcome)
  }

  /** Add a connection opened outside of the queue (a login that was proven with it). */
  adopt(server: ServerConnection): void {
    this.#opened(server)
  }

  /** True while one more connection may be opened. */
  get hasRoom(): boolean {
    return this.size < this.settings.size
  }

  /** Compare deadlines; called by the janitor. */
  sweep(at: number): void {
    const why = (): string => this.#ports.limits.reached(this) ?? whyWaiting(this)
    refuseOverdue(this.waiters, at, this.settings.queryWaitTimeoutMs, why)
    notifyWaiting(this.waiters, this.#sweptAt, at, this.settings.queryWaitNotifyMs)
    this.#sweptAt = at
    this.#lists.closeOverdue(at, this.settings.connectTimeoutMs)
    this.functions.hurry(this, this.waiters.size > 0, at, (server) => void this.#ports.cancel(server))
    for (const server of this.#lists.idle) {
      this.#upkeep.attend(server, cleanup('idle', server, this, at))
    }
    this.#warm()
    this.grow()
    this.#serve()
  }

  /** Close what is idle and let the rest go as it comes back; nobody is served any more. */
  close(reason: string): void {
    this.gate.close(reason)
    this.#ports.limits.leave(this)
    this.clear(reason)
  }

  /** Close what is idle, let the rest go as it comes back, and open nothing for a while. */
  clear(reason: string, pauseMs = 0): void {
    this.gate.rest(pauseMs)
    this.#lists.retire(reason)
  }

  /** Those who wait are served again. What failed meanwhile does not count. */
  resume(): void {
    this.#opening.succeeded()
    this.grow()
  }

  /** Lead elsewhere from now on, or log in there in another way: what was opened before is not used again. */
  retarget(target: Target): void {
    const same = target.signature === this.target.signature
    this.target = target
    if (same) return
    this.welcome.forget()
    this.accepted.clear()
    this.clear(LEADS_ELSEWHERE)
    this.#opening.succeeded()
  }

  /** Close every connection now. */
  destroy(reason: string): void {
    this.gate.close(reason)
    for (const server of [...this.servers()]) server.close(reason)
  }

  listOf(state: ServerState): List<ServerConnection> {
    return this.#lists.of(state)
  }

  onServerParameter(server: ServerConnection, name: string, value: string): void {
    // A change nobody's session made: the server's configuration, or its role after a failover.
    server.settings.defaultBecame(name, value)
    if (name === 'in_hot_standby') this.#ports.roleFound(server, reportedRole(server.settings.reported)!)
    this.welcome.set(server.settings.baseline)
  }

  onServerGone(server: ServerConnection): void {
    this.functions.note(server.content)
    this.counters.serverParses += server.statements.parsed
    this.#ports.gone(server)
    this.grow()
    this.#serve()
  }

  readonly onError = (sqlstate: string): void => this.#ports.errorCame(this.database, sqlstate)
  readonly onRoles = (change: RoleChange): void => this.#ports.rolesChanged(this.user, change)
  readonly onServerFree = (server: ServerConnection): void => this.offer(server)

  /** Lend idle servers to those who wait, or make as many of them ready as there are clients waiting. */
  #serve(): void {
    const { idle } = this.#lists
    while (!this.#serving && this.gate.serves && this.waiters.size > 0) {
      const waiter = this.waiters.first!
      const mayHaveOne = idle.size > 0 && this.#upkeep.preparing + this.opening < this.waiters.size
      const joined = this.#join(waiter)
      if (joined) this.#serveWaiter(joined, waiter)
      else if (mayHaveOne) {
        const server = this.#pick(waiter)
        // Where another one was closed for that, somebody else may have been served meanwhile.
        if (server && waiter.list === this.waiters) this.#serveWaiter(this.#lend(server, waiter), waiter)
      } else return
    }
  }

  /** A place behind others, for what has shown to be short. */
  #join(waiter: Waiter): Lease | undefined {
    if (!waiter.short?.admitted) return undefined
    const suits = (server: ServerConnection): boolean => this.#neededFor(server, waiter).kind === 'nothing'
    const lease = this.pipelines.join(waiter, this.settings.pipeliningBudgetMs, now(), suits)
    return lease && this.#begun(lease, waiter)
  }

  /** A server `waiter` can have now, or undefined; closes what is too old, starts what makes another ready. */
  #pick(waiter: Waiter): ServerConnection | undefined {
    const { idle } = this.#lists
    const { roundRobin } = this.settings
    let choice = chooseServer(idle, waiter, roundRobin)
    while (choice && !this.#ready(choice, waiter)) {
      choice = choice.state === 'closed' ? chooseServer(idle, waiter, roundRobin) : undefined
    }
    return choice
  }

  /** True where `server` can be lent to `waiter` as it is; otherwise it is made ready and offered afterwards. */
  #ready(server: ServerConnection, waiter: Waiter): boolean {
    if (this.functions.enabled) server.content.functionsKnown(this.functions.stamp)
    return this.#upkeep.attend(server, this.#neededFor(server, waiter))
  }

  #neededFor(server: ServerConnection, { mode, id }: Waiter): Cleanup {
    return cleanup('wanted', server, this, now(), mode, id)
  }

  #lend(server: ServerConnection, waiter: Waiter): Lease {
    if (waiter.short !== undefined) return this.#begun(this.pipelines.begin(server, waiter, now()), waiter)
    const lease = new Lease(this, server, waiter.mode, now())
    server.beginLease(waiter, lease)
    return this.#begun(lease, waiter)
  }

  #begun(lease: Lease, { id }: Waiter): Lease {
    lease.server.content.usedBy(id)
    this.counters.leases++
    return lease
  }

  /** Give the server to the first who waits, or put it among the idle ones. */
  offer(server: ServerConnection): void {
    server.consumer = null
    if (server.cancels > 0) {
      server.setState('beingCanceled')
      return
    }
    const waiter = this.waiters.first
    const needed = cleanup('free', server, this, now())
    const reason =
      needed.kind === 'close' ? needed.reason : this.#ports.limits.reasonToGive(server, this, waiter !== null)
    if (reason !== undefined) {
      server.close(reason)
      return
    }
    if (this.gate.paused) {
      server.close(PAUSED)
      return
    }
    if (waiter === null || this.#serving) {
      server.setState('idle')
      return
    }
    if (!this.#ready(server, waiter)) return
    this.#serveWaiter(this.#lend(server, waiter), waiter)
    // What came back meanwhile.
    this.#serve()
  }

  #serveWaiter(lease: Lease, waiter: Waiter): void {
    this.waiters.remove(waiter)
    const at = now()
    this.counters.waitTime += this.durations.wait.record(at - waiter.waitingSince)
    this.#serving = true
    try {
      waiter.onLease(lease)
    } finally {
      this.#serving = false
    }
  }

  /** Nobody is served any more. */
  get closing(): boolean {
    return this.gate.closing
  }

  /** Somebody waits for a connection that is not made ready yet, and the pool may have one more. */
  get wants(): boolean {
    if (!this.gate.mayOpen || !this.#opening.possible) return false
    const waiting = this.waiters.size + this.welcome.waiting
    if (waiting === 0 || (this.waiters.size > 0 && this.#upkeep.preparing - this.functions.slowIn(this) >= waiting))
      return false
    return this.connected < connectionLimit(this.settings, this.waiters.first, now())
  }

  /** The next to make way for another pool. */
  get oldestIdle(): ServerConnection | null {
    return this.#lists.idle.first
  }

  /** Open a connection where somebody waits for one and the limits allow it. */
  grow(): void {
    if (this.wants) this.#opening.begin(this.#ports.limits.take(this))
  }

  /** Keep `min_pool_size` connections while the pool has clients. */
  #warm(): void {
    if (!this.gate.mayOpen || !this.#opening.possible) return
    // Whoever logs in first brings what to log in with, unless there is one user for all.
    const own = this.target.user !== undefined
    if (!own && (this.clients === 0 || (this.connected === 0 && this.credentials.kind === 'none'))) return
    if (this.connected >= Math.min(this.settings.minSize, this.settings.size)) return
    this.#opening.begin(this.#ports.limits.takeSpare(this))
  }

  #opened(server: ServerConnection): void {
    this.counters.opened++
    // Nobody is to be greeted with what it says.
    if (server.closeReason !== undefined) {
      server.close(server.closeReason)
      return
    }
    const { target, settings } = this
    const { log, roleFound } = this.#ports
    const mayFindStandby = (): boolean => this.#ports.mayFindStandby(target)
    const admission = { attrs: target.attrs, connectQuery: settings.connectQuery, roleFound, mayFindStandby, log }
    this.#upkeep.preparing++
    admitServer(server, admission, (fault) => {
      this.#upkeep.preparing--
      if (fault === undefined) this.#admitted(server)
      else this.#opening.failed(fault)
    })
  }

  #admitted(server: ServerConnection): void {
    this.#opening.succeeded()
    if (this.gate.rests) server.retire('opened while a database was to be left alone')
    server.content.openedAfter(this.functions.defaultsStamp)
    // Another version may spell values in another way, or refuse them.
    if (this.welcome.begin(server.settings.baseline, server.identity.notices)) this.accepted.clear()
    this.offer(server)
    this.grow()
  }

  /**
   * Use connections to the host with `key` no more.
   * @param except addresses of the host that are still good
   */
  leaveHost(key: string, reason: string, except: readonly string[] = []): void {
    this.#lists.retire(reason, ({ identity: { target } }) => {
      return hostPort(target) === key && !(target.address !== undefined && except.includes(target.address))
    })
  }

  #openFailed(error: LoginError): void {
    this.counters.openFailures++
    if (this.gate.closing) return
    this.#failures.log(this.#ports.log, this, error)
  }

  #refuseAll(error: LoginError): void {
    if (this.gate.paused) return
    this.welcome.refuse(error)
    for (const waiter of this.waiters) this.#refuse(waiter, error)
  }

  #refuse(waiter: Waiter, error: LoginError): void {
    this.leave(waiter)
    waiter.onLeaseRefused(this.failureFields(error))
  }

  /** A failed login at PostgreSQL in the words a client gets. */
  readonly failureFields = (error: LoginError): ErrorFields => this.#opening.fields(error)
}
