/**
 * Which statement each message of a client runs, for who watches them (running-statements.ts): a Query has its text, an
 * Execute names a portal, that was bound to a statement, whose text came with a Parse. Where spans are sent, the comment of
 * a text says which span a Query is a part of. That of a Parse counts for the first Bind of its statement: what runs later
 * is a part of another.
 *
 * In session mode, what names stand for is nobody else's business, and is noted here; in the others, it is asked of the
 * client's statements. What a name stands for is noted when it is sent: a Parse that fails is not taken back.
 */

import { type Batch, LAST } from '../../protocol/batch.ts'
import { shownParameters } from '../../protocol/bind-parameters.ts'
import { FRONTEND } from '../../protocol/types.ts'
import type { ServerConnection } from '../../server/connection.ts'
import { type Fingerprint, fingerprintOf } from '../../sql/fingerprint.ts'
import { type TraceParent, traceParentOf } from '../../sql/trace-parent.ts'
import { statementName } from '../../statements/client-statements.ts'
import { fingerprintOfEntry } from '../../statements/shared-statements.ts'
import { BoundedMap } from '../../util/bounded-map.ts'
import { fingerprintOfUnnamed } from '../statements/unnamed-statement.ts'
import type { MessageContext } from './message-context.ts'
import { type RunningStatements, UNKNOWN } from './running-statements.ts'
import { fingerprintIn } from './text-fingerprint.ts'

/** So many names and portals are known of one client. */
const NAMES_LIMIT = 1000
/** So many characters of a text are kept for the log. */
const TEXT_LIMIT = 1000

/** Type, length and empty name of the Parse of the unnamed statement. */
const PARSE_HEAD = 6

/** So many names are known that were parsed as a part of a span, and not bound. */
const TRACES_LIMIT = 64

/** A statement, and what is kept of it for the log and for spans. */
interface Known {
  fingerprint: Fingerprint
  text: string | undefined
  parameters: readonly string[] | undefined
  trace: TraceParent | undefined
}

/** The statements of one client's messages. */
export class StatementTexts {
  readonly running: RunningStatements
  readonly #context: MessageContext
  /** In session mode. */
  #named: BoundedMap<Known> | undefined
  /** Named ones; the unnamed one apart. */
  #portals: BoundedMap<Known> | undefined
  readonly #portal: Known = { fingerprint: UNKNOWN, text: undefined, parameters: undefined, trace: undefined }
  /** Of statements that were parsed and not bound yet, while spans are sent. */
  #traces: BoundedMap<TraceParent> | undefined
  /** The statement of the Bind at hand, which takes what is known there. */
  #bound: string | undefined

  constructor(context: MessageContext, running: RunningStatements) {
    this.#context = context
    this.running = running
  }

  /** Message `i` of `batch` is about to be sent to `server`. */
  look(server: ServerConnection, type: number, batch: Batch, i: number): void {
    switch (type) {
      case FRONTEND.Query: {
        const bytes = batch.buffer(i)
        const start = batch.start(i) + 5
        const end = batch.end(i) - ((batch.flags(i) & LAST) === 0 ? 0 : 1)
        const text = this.running.wantsTexts ? shown(bytes, start, end) : undefined
        const trace = this.running.wantsTraces ? traceParentOf(bytes, start, end) : undefined
        this.#sends(server, fingerprintIn(batch, i, start, Math.max(start, end)), text, undefined, trace)
        return
      }
      case FRONTEND.Parse:
        if (this.#context.effects.mode === 'session') this.#onParse(batch, i)
        if (this.running.wantsTraces) this.#noteTrace(batch.bodyOf(i))
        return
      case FRONTEND.Bind:
        this.#onBind(batch, i)
        return
      case FRONTEND.Execute: {
        const portal = batch.bodyOf(i)
        const known = portal[0] === 0 ? this.#portal : this.#portals?.get(nameIn(portal, 0))
        // Bound while texts were wanted, which they may not be any more.
        const logged = this.running.wantsTexts ? known : undefined
        this.#sends(server, known?.fingerprint ?? UNKNOWN, logged?.text, logged?.parameters, known?.trace)
      }
    }
  }

  /** It was sent, or something else in its place; or it `waits` for that, and will be looked at again. */
  sent(server: ServerConnection, waits: boolean): void {
    if (server.plan.unwatch()) this.running.takeBack()
    if (this.#bound === undefined) return
    if (!waits) this.#traces?.delete(this.#bound)
    this.#bound = undefined
  }

  #sends(
    server: ServerConnection,
    fingerprint: Fingerprint,
    text: string | undefined,
    parameters: readonly string[] | undefined,
    trace: TraceParent | undefined,
  ): void {
    const unwanted = text === undefined && trace === undefined
    const details = unwanted ? undefined : { text, parameters, trace, host: server.identity.target }
    this.running.sends(fingerprint, details)
    server.plan.watch(this.running)
  }

  /** The text of a Parse with this `body` may be a part of a span. */
  #noteTrace(body: Buffer): void {
    const from = body.indexOf(0) + 1
    const to = body.indexOf(0, from)
    const trace = traceParentOf(body, from, to < 0 ? body.length : to)
    const name = nameIn(body, 0)
    if (trace === undefined) this.#traces?.delete(name)
    else {
      this.#traces ??= new BoundedMap(TRACES_LIMIT)
      this.#traces.set(name, trace)
    }
  }

  #onParse(batch: Batch, i: number): void {
    const body = batch.bodyOf(i)
    const from = body.indexOf(0) + 1
    const end = body.indexOf(0, from)
    const to = end < 0 ? body.length : end
    this.#named ??= new BoundedMap(NAMES_LIMIT)
    this.#named.set(nameIn(body, 0), {
      fingerprint: fingerprintOf(body, from, to),
      text: this.running.wantsTexts ? shown(body, from, to) : undefined,
      parameters: undefined,
      trace: undefined,
    })
  }

  #onBind(batch: Batch, i: number): void {
    const start = batch.start(i) + 5
    const bytes = batch.buffer(i)
    const unnamed = bytes[start] === 0
    let portal = this.#portal
    if (!unnamed) {
      this.#portals ??= new BoundedMap(NAMES_LIMIT)
      portal = { fingerprint: UNKNOWN, text: undefined, parameters: undefined, trace: undefined }
      this.#portals.set(nameIn(bytes, start), portal)
    }
    const name = unnamed && bytes[start + 1] === 0 ? '' : nameIn(bytes, bytes.indexOf(0, start) + 1)
    this.#find(name, portal)
    portal.parameters = this.running.wantsTexts ? shownParameters(batch.bodyOf(i)) : undefined
    portal.trace = this.#traces?.get(name)
    if (portal.trace !== undefined) this.#bound = name
  }

  /** What `name` stands for is what `portal` runs. */
  #find(name: string, portal: Known): void {
    const { effects, parts, unnamed } = this.#context
    const texts = this.running.wantsTexts
    if (effects.mode === 'session') {
      const known = this.#named?.get(name)
      portal.fingerprint = known?.fingerprint ?? UNKNOWN
      portal.text = known?.text
    } else if (name === '') {
      const { current } = unnamed
      portal.fingerprint = (current && fingerprintOfUnnamed(current)) ?? UNKNOWN
      portal.text = texts && current?.message ? textAt(current.message, PARSE_HEAD) : undefined
    } else {
      const entry = parts?.names.get(name)
      portal.fingerprint = entry === undefined ? UNKNOWN : fingerprintOfEntry(entry)
      portal.text = texts && entry !== undefined ? textAt(entry.body, 0) : undefined
    }
  }
}

/** The name at `start`, as far as it tells statements and portals apart. */
function nameIn(bytes: Buffer, start: number): string {
  return statementName(bytes, start, Math.max(start, bytes.indexOf(0, start)))
}

function textAt(bytes: Buffer, start: number): string {
  return shown(bytes, start, bytes.indexOf(0, start))
}

function shown(bytes: Buffer, start: number, end: number): string {
  return bytes.toString('utf8', start, Math.max(start, Math.min(end, start + TEXT_LIMIT)))
}
