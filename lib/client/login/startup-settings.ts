/**
 * Has PostgreSQL judge a client's startup parameters while it logs in, as a direct connection would: a bad value is
 * refused with the server's own words, a good one comes back in the server's spelling. Values that were accepted before
 * cost nothing.
 *
 * What must hold: a value is judged with the rights it has on a direct connection. PostgreSQL takes parameters one after
 * the other, so that what stands before `role` is judged without that role; and it judges `session_authorization`, but
 * does not apply it.
 */

import type { ErrorFields } from '../../errors.ts'
import type { Lease } from '../../pool/lease.ts'
import type { Pool } from '../../pool/pool.ts'
import type { Waiter } from '../../pool/waiter.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { InternalQueryResult } from '../../server/internal-query.ts'
import { CLIENT_MIN_MESSAGES, shownNotices } from '../../server/login-notices.ts'
import type { ServerEnd } from '../../server/ports.ts'
import { ClientSettings, isMemorable } from '../../settings/client-settings.ts'
import { completeDateStyle } from '../../settings/date-style.ts'
import { SettingValues } from '../../settings/setting-values.ts'
import { spellingOf } from '../../sql/parameter-names.ts'
import type { BoundedMap } from '../../util/bounded-map.ts'
import type { EndReason } from '../lifecycle/ending.ts'
import { applySettings } from '../link/apply-settings.ts'

/** PostgreSQL does not take the client's parameters, or cannot be asked. */
export class ParameterRefused extends Error {
  readonly reason: EndReason

  constructor(fields: ErrorFields) {
    super(fields.message)
    this.reason = { kind: 'refused', fields }
  }
}

const ROLE = 'role'
const USER = 'session_authorization'

/** One check; a place in the pool's queue while it waits. */
export class StartupSettingsCheck implements Waiter {
  list: { readonly name: string } | null = null
  prev: Waiter | null = null
  next: Waiter | null = null
  waitingSince = 0
  readonly lastServer = 0
  readonly id: number
  readonly mode = 'transaction'
  readonly #settings: ClientSettings
  readonly #pool: Pool
  #lease: Lease | undefined
  /** What is still to be judged, one after the other. */
  readonly #steps: ClientSettings[]
  #resolve: (notices: readonly Buffer[]) => void = () => {}
  #reject: (error: Error) => void = () => {}

  /** @param id number of the client */
  constructor(id: number, settings: ClientSettings, pool: Pool) {
    this.id = id
    this.#settings = settings
    this.#pool = pool
    this.#steps = stepsOf(settings)
  }

  /** Resolves when the parameters are known to be good, with what PostgreSQL said to them. @throws ParameterRefused */
  run(): Promise<readonly Buffer[]> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      const lease = this.#pool.acquire(this)
      if (lease) this.onLease(lease)
    })
  }

  suits(server: ServerConnection): boolean {
    return this.#settings.matches(server.settings)
  }

  /** The client left. */
  abandon(): void {
    this.#pool.leave(this)
    const lease = this.#lease
    this.#lease = undefined
    lease?.release(lease.server.settled ? 'done' : 'abandoned')
  }

  onLease(lease: Lease): void {
    this.#lease = lease
    // What is set there another client may have set with other rights: nothing would be asked of it.
    const { settings } = lease.server
    for (const name of this.#settings.names()) {
      if (settings.applied(name) === undefined) continue
      this.#steps.unshift(new ClientSettings())
      break
    }
    this.#next(NOTHING_SAID)
  }

  /** Judge what comes next. `notices` is what was said to what came before. */
  #next(notices: readonly Buffer[]): void {
    if (this.#lease === undefined) return
    const { server } = this.#lease
    for (let step = this.#steps.shift(); step !== undefined; step = this.#steps.shift()) {
      if (!applySettings(server, step, (result) => this.#applied(result))) return
    }
    this.#accept(notices)
  }

  onLeaseRefused(fields: ErrorFields): void {
    this.#reject(new ParameterRefused(fields))
  }

  /** A login is told of nothing before it is over. */
  onLongWait(): void {}

  onServerBytes(): void {}

  onServerReady(): void {}

  onServerFull(): void {}

  onServerDrain(): void {}

  onServerClosed(end: ServerEnd): void {
    this.#lease?.forfeit()
    this.#lease = undefined
    this.#reject(new ParameterRefused(end.fields))
  }

  #applied(result: InternalQueryResult): void {
    if (this.#lease === undefined) return
    if (result.kind === 'done') this.#next(result.answer.notices())
    else if (result.kind === 'closed') this.onServerClosed(result.end)
    else {
      const { sqlstate, message, detail } = result.error
      this.#release()
      this.#reject(new ParameterRefused({ severity: 'FATAL', sqlstate, message, detail }))
    }
  }

  #accept(notices: readonly Buffer[]): void {
    const parameters = this.#settings
    const spelled = new Map<string, string>()
    const shown = shownNotices(notices, parameters.get(CLIENT_MIN_MESSAGES))
    for (const [name, value] of parameters.startup) {
      const spelling = parameters.get(name) ?? value
      spelled.set(name, spelling)
      // What a role may set says nothing of the user without it.
      if (parameters.has(ROLE)) continue
      // Each client is to hear what PostgreSQL says, of which this one may have asked not to hear.
      if (notices.length === 0 && !parameters.has(CLIENT_MIN_MESSAGES) && isMemorable(name, value))
        this.#pool.accepted.set(`${name}=${value}`, spelling)
    }
    parameters.setStartup(new SettingValues(spelled))
    this.#release()
    this.#resolve(shown)
  }

  #release(): void {
    const lease = this.#lease
    this.#lease = undefined
    lease?.release('done')
  }
}

const NOTHING_SAID: readonly Buffer[] = []

/** What is to be applied, one after the other, to have all of `parameters` judged; the last is what they are then. */
function stepsOf(parameters: ClientSettings): ClientSettings[] {
  const steps: ClientSettings[] = []
  const judge = (settings: readonly (readonly [string, string])[]): void => {
    const step = new ClientSettings()
    step.setStartup(new SettingValues(new Map(settings)))
    steps.push(step)
  }
  const all = [...parameters.startup]
  const user = all.filter(([name]) => name === USER)
  const others = all.filter(([name]) => name !== USER)
  if (user.length > 0) {
    judge(user)
    parameters.setStartup(new SettingValues(new Map(others)))
  }
  const role = others.findIndex(([name]) => name === ROLE)
  if (role > 0) judge(others.slice(0, role))
  steps.push(parameters)
  return steps
}

type Welcome = ReadonlyMap<string, string>

/**
 * Wanted values in the server's spelling, by the parameters a pool welcomes with, which are replaced as a whole. The
 * startup packets of a program are all the same (startup-packet.ts), and so are the values they want.
 */
const known = new WeakMap<Welcome, WeakMap<SettingValues, SettingValues>>()

/**
 * Every parameter of the startup packet is one that the server has by itself, as `welcome` says, or that it has accepted
 * before; takes over its spelling. Nothing need be asked then.
 */
export function areKnown(parameters: ClientSettings, { accepted }: Pool, welcome: Welcome): boolean {
  const { wanted } = parameters
  if (wanted.values.size === 0) return true
  let spellings = known.get(welcome)
  if (spellings === undefined) known.set(welcome, (spellings = new WeakMap()))
  let spelled = spellings.get(wanted)
  if (spelled === undefined) {
    const whole = complete(wanted, welcome)
    parameters.setStartup(whole)
    spelled = spell(whole, accepted, welcome)
    if (spelled === undefined) return false
    spellings.set(wanted, spelled)
  }
  parameters.setStartup(spelled)
  return true
}

/** `wanted` with values that mean the same on every server, whatever is set there. */
function complete(wanted: SettingValues, welcome: Welcome): SettingValues {
  const value = wanted.values.get('datestyle')
  const current = welcome.get('DateStyle')
  if (value === undefined || current === undefined) return wanted
  const whole = completeDateStyle(value, current)
  return whole === value ? wanted : new SettingValues(new Map(wanted.values).set('datestyle', whole))
}

/** `wanted` in the server's spelling; undefined where it has to be asked for that of any. */
function spell(wanted: SettingValues, accepted: BoundedMap<string>, welcome: Welcome): SettingValues | undefined {
  const spelled = new Map<string, string>()
  let same = true
  for (const [name, value] of wanted.values) {
    const spelling = accepted.get(`${name}=${value}`) ?? (isPlain(name, value) ? value : undefined)
    if (spelling === undefined && !isDefault(welcome, name, value)) return undefined
    spelled.set(name, spelling ?? value)
    if (spelling !== undefined && spelling !== value) same = false
  }
  return same ? wanted : new SettingValues(spelled)
}

function isDefault(welcome: Welcome, name: string, value: string): boolean {
  const spelling = spellingOf(welcome, name)
  return spelling !== undefined && welcome.get(spelling) === value
}

/** An application_name of plain characters is taken as it is, and there are as many of them as there are programs. */
function isPlain(name: string, value: string): boolean {
  return name === 'application_name' && /^[ -~]{0,63}$/.test(value)
}
