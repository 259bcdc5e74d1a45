/**
 * What clients that share a server are to be told, worked out from what PostgreSQL does with their requests one after the
 * other, and from who has left and who has asked for a cancel; it knows nothing of places and leases. A `Run` has the model
 * and a real pipeline side by side, and compares them after every step.
 */

import type { LeaseOutcome } from '../../../lib/pool/lease.ts'
import type { ShortText } from '../../../lib/pool/short-texts.ts'
import { backend } from '../../fixtures/messages.ts'
import { type Execution, isLeft } from './pipeline-execution.ts'
import { closed, type Ears, headOf, isShared, ModelClient, ModelPool, type Request } from './pipeline-parts.ts'
import { BULK, COMPLETE, ERRORS, HELD_BYTES, READY, type Saying } from './pipeline-sayings.ts'

/** What happens next. `leave` is of the client with this number, or of the one whose request runs. */
export type Step =
  /** In one read. */
  | { say: Saying[] }
  | { leave: 'abandoned' | 'finishing' | 'broken'; who?: number }
  | { cancel: true }
  | { cancelOver: true }
  | { lose: true }
  | { arrive: Request }
  | { full: boolean }
  /** Of a client that keeps the server. */
  | { commit: true }

export interface Options {
  requests: Request[]
  /** The first has not shown to be short. */
  unadmitted?: boolean
}

/** Clients whose requests were sent one behind the other, and what happens to them. */
export class Run implements Ears {
  readonly clients: ModelClient[] = []
  readonly pool: ModelPool
  readonly log: Step[] = []
  /** How often a connection was given up: what PostgreSQL would have said on it is not heard. */
  givenUp = 0
  /** At PostgreSQL, the one that runs first. */
  queue: Execution[] = []
  /** Cancel requests under way. */
  cancels = 0
  /** Called when one begins. */
  onCancel = (): void => {}
  readonly #attempts = new Map<string, number>()
  readonly #turns = new Map<ModelClient, number>()
  readonly #probe: ModelClient
  /** Requests are under way on the shared server; one of it has left a transaction to its client. */
  #open = false
  #keeps = false
  #period = 0
  /** Nobody is to be sent behind those who are there. */
  #shut = false
  #fatal = false
  #retired = false
  /** One was answered, and others are there. */
  #moved = false
  #overs: LeaseOutcome[] = []
  #expectedOvers: LeaseOutcome[] = []
  #faults: string[] = []

  constructor({ requests, unadmitted }: Options, maxWaitMs?: number) {
    this.pool = new ModelPool(this, maxWaitMs)
    this.#probe = this.client({}, 99)
    for (const [i, request] of requests.entries()) this.#arrive(request, !(unadmitted && i === 0))
    this.check()
  }

  /** A client with a text of its own that is known as short, or not. */
  client(request: Request, id: number, admitted = true): ModelClient {
    const text = this.pool.pipelines.texts.of({ id: `${id}`, text: '', single: true })
    if (admitted) train(text)
    return new ModelClient(id, text, request, this.pool, this)
  }

  #arrive(request: Request, admitted = true): void {
    const client = this.client(request, this.clients.length, admitted)
    this.clients.push(client)
    // Who has come before goes first.
    const { short } = this.pool.waiting[0] ?? client
    const goes = short !== undefined && (this.room || this.pool.server.connection.state === 'idle')
    const before = this.queue.length
    this.pool.acquire(client)
    if (this.queue.length > before !== goes) this.fault(`${client.name} ${goes ? 'waits' : 'does not wait'}`)
  }

  // ---- Ears ----

  written(bytes: Buffer): void {
    const name = /'(\w+)'/.exec(bytes.toString('latin1'))?.[1]
    if (name === undefined && bytes[0] === 0x42) return
    const client = this.clients.find((other) => other.name === name)
    const awaited = this.queue.find((other) => other.awaited && other.client === client)
    if (awaited !== undefined) awaited.awaited = false
    else this.#sent(client)
  }

  /** What `client` sends is behind all that is there; `before` where it has done so before. */
  #sent(client: ModelClient | undefined, before?: Execution): void {
    const name = client?.name ?? ''
    const attempt = (this.#attempts.get(name) ?? 0) + 1
    this.#attempts.set(name, attempt)
    const shared = client !== undefined && isShared(client.lease) && !this.#keeps
    const open = client?.request.suspected ?? false
    const { periods: period } = this.pool
    if (shared && period !== this.#period) {
      this.#period = period
      this.#open = true
      this.#shut = false
      this.#retired = false
    }
    if (shared && (before !== undefined || open || !client.text.admitted)) this.#shut = true
    const passes = !shared || !client.text.admitted
    const waits = shared && (before?.waits ?? this.places.length > 0)
    // Who was there when a cancel request came is there still, at another place.
    const { exposed = false, asked = false } = before ?? {}
    const state = {
      missed: before?.missed ?? '',
      said: '',
      mid: false,
      passes,
      exposed,
      asked,
      failed: false,
      hit: false,
      refused: false,
      heldUp: false,
      sentAgain: false,
    }
    this.queue.push({ client, attempt, shared, open, waits, period, awaited: before !== undefined, ...state })
  }

  cancelBegins(client: ModelClient | undefined): void {
    this.cancels++
    this.#shut = true
    for (const execution of this.queue) {
      execution.exposed = true
      if (client !== undefined && execution.client === client) execution.asked = true
    }
    this.onCancel()
  }

  over(outcome: LeaseOutcome): void {
    this.#overs.push(outcome)
  }

  fault(what: string): void {
    this.#faults.push(what)
  }

  // ---- steps ----

  /** The client whose request runs, if it can do something about it. */
  get running(): ModelClient | undefined {
    const client = this.queue[0]?.client
    return client?.gone || client?.lease === undefined ? undefined : client
  }

  step(step: Step): void {
    // Who would do it has been asked to send its request elsewhere.
    const nobody = this.queue[0]?.sentAgain && !this.running
    if (nobody && ('cancel' in step || ('leave' in step && step.who === undefined))) return
    this.log.push(step)
    if ('say' in step) this.#say(step.say)
    else if ('leave' in step) this.#leave(step.who === undefined ? this.running! : this.clients[step.who]!, step.leave)
    else if ('cancel' in step) this.running!.cancel()
    else if ('cancelOver' in step) this.#cancelOver()
    else if ('lose' in step) this.#lose()
    else if ('arrive' in step) this.#arrive(step.arrive)
    else if ('full' in step) this.pool.server.wire.full = step.full
    else if (this.#keeps) this.clients.find(({ lease }) => lease !== undefined)!.send()
    this.check()
  }

  #cancelOver(): void {
    this.cancels--
    this.pool.server.connection.cancelEnded()
  }

  #say(sayings: Saying[]): void {
    const { server } = this.pool
    const { givenUp } = this
    const bytes: Buffer[] = []
    for (const saying of sayings) if (this.givenUp === givenUp) bytes.push(this.#said(saying))
    server.reads(Buffer.concat(bytes))
  }

  /** The bytes of `saying`, of which the model takes note. */
  #said(saying: Saying): Buffer {
    const execution = this.queue[0]!
    const { client, said } = execution
    const head = headOf(client?.name ?? '', execution.attempt, client?.request.extended)
    const before = Buffer.concat(head)
    const bulky = said.length > HELD_BYTES
    const rest = before.subarray(bulky ? before.length : said.length)
    switch (saying) {
      case 'half':
        return this.#part(before.subarray(0, head[0]!.length + 7), true)
      case 'piece':
        return this.#part(head[0]!, false)
      case 'bulk':
        return this.#part(Buffer.concat([before, BULK]), false)
      case 'answer':
        return this.#whole(Buffer.concat([rest, COMPLETE, READY]))
      case 'error':
        return this.#whole(Buffer.concat([ERRORS.error, READY]))
      case 'ready':
        return this.#whole(READY)
      case 'canceled':
      case 'refused':
        this.#fails(ERRORS[saying])
        return Buffer.concat([ERRORS[saying], this.#whole(READY)])
      case 'failing':
        return this.#fails(ERRORS.canceled)
      case 'refusing':
        return this.#fails(ERRORS.refused)
      case 'fatal':
        this.#fatal = true
        return this.#part(ERRORS.fatal, false)
      case 'parameter':
        this.#changes()
        for (const other of this.queue.slice(1))
          if (execution.shared && other.period === execution.period) other.missed += MARS.toString('latin1')
        return this.#whole(Buffer.concat([MARS, rest, COMPLETE, READY]))
      case 'changed':
        this.#changes()
        return this.#whole(Buffer.concat([rest, backend.commandComplete('SET'), READY]))
      case 'transaction':
        return this.#transaction(Buffer.concat([rest, COMPLETE, backend.ready('T')]))
      case 'copy':
        this.#allLost('')
        return backend.copyIn()
    }
  }

  #part(bytes: Buffer, mid: boolean): Buffer {
    const execution = this.queue[0]!
    const { client } = execution
    const text = bytes.toString('latin1')
    const last = execution.passes
    execution.said += text
    execution.mid = mid
    execution.passes ||= execution.open || execution.said.length > HELD_BYTES
    if (execution.passes && !last && !execution.open) this.#leftToIt(execution)
    if (execution.passes && client && !isLeft(execution)) {
      client.expected += execution.missed + (last ? text : execution.said)
      execution.missed = ''
    }
    return bytes
  }

  /** Nobody is to wait for an answer as large as that of `first`. */
  #leftToIt(first: Execution): void {
    this.#shut = true
    if (first.exposed && !first.asked) this.#sendsAgain(first)
    for (const other of this.queue.slice(1)) if (other.shared && other.period === first.period) this.#sendsAgain(other)
  }

  #sendsAgain(execution: Execution): void {
    const { client } = execution
    if (client === undefined || isLeft(execution)) return
    client.expected += '|not run|'
    execution.sentAgain = true
  }

  #fails(bytes: Buffer): Buffer {
    const execution = this.queue[0]!
    const { client, shared, exposed, asked } = execution
    const amongOthers = shared && (execution.waits || this.places.length > 1)
    execution.failed = true
    if (bytes === ERRORS.refused) {
      // Whoever has left asks for nothing, and of what others send nothing is known.
      const asks = client !== undefined && !isLeft(execution)
      execution.hit = asks && amongOthers && !execution.passes && !execution.open
      if (execution.hit) this.#shut = true
      execution.refused = asks && !execution.hit && this.places.length < 2
      if (execution.refused) this.#sent(client, execution)
      else if (!execution.hit) this.#part(bytes, false)
      return bytes
    }
    this.#part(bytes, false)
    execution.hit = shared && (exposed || amongOthers) && !asked && !execution.passes && !execution.open
    execution.heldUp = shared
    if (shared) this.#shut = true
    return bytes
  }

  #whole(bytes: Buffer, status = 'I'): Buffer {
    const execution = this.queue[0]!
    const { client } = execution
    if (!execution.refused) this.#part(bytes, false)
    this.queue.shift()
    const next = this.queue[0]
    if (this.#open && next?.client && next.client !== client && !isLeft(next) && next.shared)
      this.#turns.set(next.client, (this.#turns.get(next.client) ?? 0) + 1)
    if (client !== undefined && !isLeft(execution) && !execution.refused) {
      if (execution.hit) client.expected += '|not run|'
      else client.expected += `${execution.passes ? '' : execution.missed + execution.said}|ready ${status}|`
    }
    if (execution.heldUp && this.#open && this.places.length > 0) {
      this.givenUp++
      this.#allLost('', true)
      return bytes
    }
    if (status === 'I') this.#ended()
    this.#moved = !execution.refused
    if (this.#keeps && status === 'I' && this.queue.length === 0) {
      this.#keeps = false
      this.#expectedOvers.push('done')
    }
    return bytes
  }

  /** A session that was changed while others wait for it is of no use any more. */
  #changes(): void {
    if (this.places.length < 2) return
    this.#shut = true
    this.#retired = true
  }

  #transaction(bytes: Buffer): Buffer {
    if (this.queue.length > 1) this.#allLost(bytes.toString('latin1'))
    else {
      this.#whole(bytes, 'T')
      this.#keeps = true
      this.#open = false
    }
    return bytes
  }

  /** Those who wait, or have not left without it, whose requests are at the shared server. */
  get places(): ModelClient[] {
    const here = this.queue.filter(({ shared, period }) => shared && period === this.#period)
    return this.#open ? [...new Set(here.map(({ client }) => client!))] : []
  }

  /** `client`, whose request is at the shared server, does not wait for its answer. */
  #hasLeft(client: ModelClient): boolean {
    const { gone } = client
    return gone || this.queue.some((other) => other.client === client && other.sentAgain)
  }

  /** The server is given back where nobody waits for it; `outcome` is that of who leaves now. */
  #ended(outcome?: 'finishing' | 'abandoned'): void {
    if (!this.#open) return
    const { places } = this
    const [last] = places
    if (places.length > 1 || (last !== undefined && !this.#hasLeft(last))) return
    this.#open = false
    this.#expectedOvers.push(
      last === undefined ? 'done' : (outcome ?? (last.request.suspected ? 'abandoned' : 'finishing')),
    )
  }

  #leave(client: ModelClient, how: 'abandoned' | 'finishing' | 'broken'): void {
    const [execution] = this.queue
    const { cancels, places } = this
    const isPart = execution?.client === client && execution.passes && execution.mid
    if (how === 'broken') this.#breaks(client)
    else if (places.length === 1 && places[0] === client && !execution?.sentAgain) {
      client.gone = true
      this.#ended(how)
      client.gone = false
    }
    if (how === 'broken') client.sendPart()
    const wasPart = client.leave(how === 'broken' ? 'abandoned' : how, how === 'broken')
    if (wasPart !== isPart) this.fault(`${client.name} ${isPart ? 'has' : 'has not'} got a part of a message`)
    const cancel = how === 'abandoned' && places.length > 1 && places[0] === client && !execution?.sentAgain
    if (cancel && this.cancels === cancels) this.fault('nobody cancels what nobody waits for')
  }

  /** The connection is cut behind the first part of a message of `client`. */
  #breaks(client: ModelClient): void {
    client.gone = true
    const alone = this.places.length === 1
    this.#allLost('')
    client.gone = false
    if (alone) this.#expectedOvers.splice(-1, 1, 'broken')
  }

  #lose(): void {
    const { server } = this.pool
    this.#allLost('')
    server.ends()
  }

  /** The connection is gone, behind `said`; `unproven`: it is not certain for whom what would come next is. */
  #allLost(said: string, unproven = false): void {
    const lost = this.queue
    const by = this.#fatal
    this.queue = []
    if (this.#open || this.#keeps) this.#expectedOvers.push('done')
    this.#open = false
    this.#keeps = false
    this.#fatal = false
    this.cancels = 0
    const told = new Set<ModelClient>()
    lost.forEach((execution, i) => {
      const { client, shared, passes, mid, hit, missed, said: before } = execution
      if (client === undefined || isLeft(execution) || told.has(client)) return
      told.add(client)
      if (unproven && shared) client.expected += '|not run|'
      else if (i > 0 && shared) client.expected += by ? '|not run|' : closed(false, false, true)
      else if (hit) client.expected += '|not run|'
      else client.expected += (passes ? said : mid ? '' : missed + before + said) + closed(by, passes && mid, false)
    })
  }

  /** The server was given back by somebody that the model knows nothing of. */
  forgetOver(): void {
    this.#overs.length = 0
  }

  // ---- what must hold ----

  /** Whether one more may be sent behind those who are there. */
  get room(): boolean {
    const [first] = this.queue
    const barred = this.#shut || this.#fatal || this.#retired || this.cancels > 0 || this.pool.server.wire.full
    return this.places.length > 0 && this.places.length < 128 && !barred && !first!.passes
  }

  check(): void {
    const { pool, places } = this
    for (const { name, told, expected } of this.clients)
      if (told !== expected) this.fault(`${name} was told ${show(told)}, not ${show(expected)}`)
    for (const client of this.clients) {
      const { lease, name, turns } = client
      const expected = this.#turns.get(client) ?? 0
      if (!client.gone && turns !== expected)
        this.fault(`${name} was told ${turns} times that its turn came: ${expected}`)
      if (lease === undefined || !places.includes(client)) continue
      if (lease.isNext !== (places[0] === client)) this.fault(`${name} is next: ${lease.isNext}`)
      if (lease.alone !== (places.length === 1)) this.fault(`${name} is alone: ${lease.alone}`)
      if (lease.answered) this.fault(`${name} is answered`)
    }
    if (this.queue.some(({ awaited }) => awaited)) this.fault('a request was not sent again')
    const { servers, requests } = pool.pipelines.counts(true)
    const busy = this.#open || this.#keeps
    if (servers !== (busy ? 1 : 0) || pool.busy.size !== servers) this.fault(`${servers} servers are shared`)
    if (requests !== places.length) this.fault(`${requests} requests: ${places.length}`)
    const pid = places.length === 0 ? undefined : this.#hasLeft(places[0]!) ? 0 : places[0]!.pid
    if (pid !== undefined && pool.server.connection.consumer?.pid !== pid) this.fault(`the process is not ${pid}`)
    if (places.length === 0 && pool.server.wire.waitsForOthers) this.fault('it waits for nobody')
    if (pool.hasRoom(this.#probe) !== this.room) this.fault(`one more may join: ${!this.room}`)
    if (this.#moved && this.room && pool.waiting[0]?.short) this.fault(`${pool.waiting[0].name} waits: there is room`)
    this.#moved = false
    if (this.#retired && this.#open && pool.server.connection.closeReason === undefined) this.fault('it is used again')
    const overs = this.#overs.splice(0).join()
    const expectedOvers = this.#expectedOvers.splice(0).join()
    if (overs !== expectedOvers) this.fault(`given back ${overs || 'not at all'}, not ${expectedOvers || 'at all'}`)
    if (this.#faults.length > 0) throw new Error(this.#faults.join('; '))
  }

  /** What is still under way comes to its end. */
  finish(): void {
    for (let rounds = 0; ; rounds++) {
      if (rounds > 100) throw new Error('it does not come to an end')
      if (this.cancels > 0) this.step({ cancelOver: true })
      else if (this.#fatal) this.step({ lose: true })
      else if (this.queue.length > 0) this.step({ say: [this.queue[0]!.failed ? 'ready' : 'answer'] })
      else if (this.#keeps) this.step({ commit: true })
      else break
    }
    const { pool } = this
    let reruns = 0
    for (const { name, told, gone, lease } of this.clients) {
      if (/\|not run\|/.test(told)) reruns++
      if (lease !== undefined) this.fault(`${name} keeps the server`)
      // At most once not run, and nothing ahead of that; then an end, and nothing behind it.
      if (!gone && !/^(\|not run\|)?[^|]*(\|ready T\|[^|]*)?(\|ready I\||\|closed[^|]*\|)$/.test(told))
        this.fault(show(told))
    }
    if (pool.counters.sharedReruns !== reruns) this.fault(`${pool.counters.sharedReruns} run again: ${reruns}`)
    if (pool.waiting.length > 0) this.fault('somebody waits for ever')
    if (pool.server.connection.state !== 'idle') this.fault(`the server is ${pool.server.connection.state}`)
    if (this.#faults.length > 0) throw new Error(this.#faults.join('; '))
  }
}

const MARS = backend.parameterStatus('TimeZone', 'Mars')

function train(text: ShortText): void {
  for (let i = 0; i < 8; i++) text.ran(0.1, 100, false)
}

function show(told: string): string {
  return told === '' ? 'nothing' : JSON.stringify(told.length > 500 ? `${told.slice(0, 500)}...` : told)
}
