/**
 * The unnamed prepared statement of a client of transaction mode. PostgreSQL keeps one per session, so on a shared
 * server it may be another client's by the time this one binds it. Here it belongs to the client: its Parse is
 * remembered, and sent again, unseen, before a Bind or Describe that finds the server's unnamed statement is not ours.
 *
 * Drivers that prepare in one round trip and bind in the next need this (lib/pq, older diesel and asyncpg, Bun.sql
 * without named statements).
 *
 * What a Parse, Close or Query makes of it is known when the server has answered: behind an error the server discards
 * them. Until then only messages of the same batch, which would be discarded as well, can rely on it (`certain`).
 *
 * Sent again, it is parsed under the settings it was given under (parse-under.ts), it gets the parameter types it had, and
 * where its columns are others by now, its Bind is answered with PostgreSQL's own "cached plan must not change result
 * type". For this, what it was has to be known (statements/description): from the client's own Describe, or from one of pgbun's own where a batch ends without any. A client that binds it in
 * the batch of its Parse, as most do, is asked about for the first few statements alone, in case it binds them again.
 */

import type { Batch } from '../../protocol/batch.ts'
import { FLUSH, message as messageOf } from '../../protocol/build.ts'
import type { ErrorSummary } from '../../protocol/error-response.ts'
import { FRONTEND } from '../../protocol/types.ts'
import { BIND, CLOSE, DESCRIBE, FORWARD, PARSE, QUERY, SKIP } from '../../replies/reply-kinds.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { PlanRef } from '../../server/ports.ts'
import { type ParseSettings, UNKNOWN_SETTINGS } from '../../settings/setting-values.ts'
import { NO_FACTS, type SqlFacts } from '../../sql/facts.ts'
import { type Fingerprint, fingerprintOf } from '../../sql/fingerprint.ts'
import { type Description, typedBody } from '../../statements/description.ts'
import { speaksOfSession, textOf } from '../../statements/shared-statements.ts'
import { Queue } from '../../util/queue.ts'
import { parseUnder, wayOf } from './parse-under.ts'
import { FAILING_NAMED_PARSE } from './refused-state.ts'
import type { Rewrite } from './rewrite.ts'
import { ChangedResult, type SharedRef, UnnamedDescription } from './statement-refs.ts'

/** Close of the unnamed statement, sent where a client binds one it does not have. */
const CLOSE_UNNAMED = Buffer.from([FRONTEND.Close, 0, 0, 0, 6, 0x53, 0])

const DESCRIBE_UNNAMED = Buffer.from([FRONTEND.Describe, 0, 0, 0, 6, 0x53, 0])

/** So many statements are asked about of a client that binds each in the batch of its Parse. */
const QUESTIONS = 4
/** Type, length and empty name of a Parse. */
const PARSE_HEAD = 6

/**
 * Routines of PostgreSQL whose errors say that it got no further than to reading the message, or to the transaction (see
 * ReplyPlan.mixed).
 */
const SPARING = /^(pq_|StartTransactionCommand$)/

/** One unnamed statement, and at the same time the mark a server carries that has it. */
export interface Unnamed {
  /** Its Parse message; undefined where that was too long to be kept, and the client is kept on its server instead. */
  message: Buffer | undefined
  /** What its text says. */
  facts: SqlFacts
  /** By what it is counted; undefined until somebody counts. */
  fingerprint: Fingerprint | undefined
  /** What its client was told of it, or would have been; undefined where nobody has asked. */
  description: Description | undefined
  /** Under which settings its client has prepared it. */
  settings: ParseSettings
}

/**
 * A new one.
 * @param message the whole Parse, which is copied; undefined where it is too long to be kept
 * @param facts what its text says
 * @param fingerprint by what it is counted, if that is known
 */
export function unnamedOf(message: Buffer | undefined, facts: SqlFacts, fingerprint?: Fingerprint): Unnamed {
  return {
    message: message && Buffer.from(message),
    facts,
    fingerprint,
    description: undefined,
    settings: UNKNOWN_SETTINGS,
  }
}

/** By what `unnamed` is told from others; undefined where its text was not kept. */
export function fingerprintOfUnnamed(unnamed: Unnamed): Fingerprint | undefined {
  const { message } = unnamed
  if (unnamed.fingerprint !== undefined || message === undefined) return unnamed.fingerprint
  unnamed.fingerprint = fingerprintOf(message, PARSE_HEAD, Math.max(PARSE_HEAD, message.indexOf(0, PARSE_HEAD)))
  return unnamed.fingerprint
}

/** What one client's unnamed statement is. Told by the reply plan what became of each message that changes it. */
export class UnnamedStatement implements PlanRef {
  /** As far as the server has answered. */
  #known: Unnamed | undefined
  /** What it is after each message that is under way, oldest first. */
  readonly #changes = new Queue<Unnamed | undefined>()
  /** One too long to be kept (`message`) is on the server whenever it is bound, because its client stays there. */
  stays = true
  /** The batch of the last change. */
  #batch = 0
  /** The columns of what the Bind that waits wants are others by now. */
  #differing: Unnamed | undefined
  /** Was prepared, and nobody has asked for its description. */
  #unasked: Unnamed | undefined
  /** The batch of the last Parse. */
  #parsedIn = -1
  #questions = QUESTIONS
  readonly #settings: (server: ServerConnection) => ParseSettings
  readonly #resume: () => void
  /** The message that is about to be told to have failed left it alone. */
  #spared = false

  /**
   * @param settings what holds for the client on its server now
   * @param resume called when the Bind that waits can be looked at
   */
  constructor(settings: (server: ServerConnection) => ParseSettings, resume: () => void) {
    this.#settings = settings
    this.#resume = resume
  }

  /**
   * False while what it is, or how it has to be sent again to `server`, depends on the answer to another batch than
   * `batch`.
   */
  certain(server: ServerConnection, batch: number): boolean {
    if (this.#changes.size > 0 && this.#batch !== batch) return false
    const { current } = this
    if (current?.message === undefined || server.content.unnamedOwner === current) return true
    return wayOf(server, withBody(current, current.message), this.#settings(server)) !== 'wait'
  }

  /**
   * The client sends a Query: it has none any more (protocol chapter "Simple Query").
   * @param shared who wants to know its end, too
   */
  onQuery(server: ServerConnection, batch: number, shared?: SharedRef): void {
    server.content.unnamedGone()
    if (this.#known === undefined && this.#changes.size === 0) {
      server.plan.expect(QUERY, 0, shared)
      return
    }
    this.#change(undefined, batch)
    server.plan.expect(QUERY, 0, this.#told(shared))
  }

  /** The client has none any more, and nothing is under way: a Query of its was answered without a server. */
  forget(): void {
    this.#known = undefined
  }

  /**
   * The same once more, where message `i` of `messages` is the very Parse it was prepared by, and that leaves nothing
   * behind: programs run a statement again and again, and its text need not be read for each. Another object, because
   * each Parse may fail by itself.
   */
  repeated(messages: Batch, i: number): Unnamed | undefined {
    const { current } = this
    if (current?.message === undefined || current.facts !== NO_FACTS) return undefined
    const { message } = current
    const start = messages.start(i)
    if (messages.end(i) - start !== message.length) return undefined
    if (messages.buffer(i).compare(message, 0, message.length, start, start + message.length) !== 0) return undefined
    const { fingerprint } = current
    return { message, facts: NO_FACTS, fingerprint, description: undefined, settings: UNKNOWN_SETTINGS }
  }

  /**
   * The client prepares one.
   * @param shared who wants to know its end, too
   */
  onParse(server: ServerConnection, unnamed: Unnamed, batch: number, shared?: SharedRef): void {
    this.#change(unnamed, batch)
    this.#unasked = unnamed
    this.#parsedIn = batch
    unnamed.settings = this.#settings(server)
    server.content.unnamedBecame(unnamed)
    server.plan.expect(PARSE, 0, this.#told(shared))
  }

  /** The client binds it. Says in `rewrite` what must be sent first, whether the Bind has to wait, or must fail. */
  onBind(server: ServerConnection, batch: number, rewrite: Rewrite): void {
    const { current } = this
    const differs = this.#differing !== undefined && this.#differing === current
    this.#differing = undefined
    if (differs) {
      server.plan.expect(BIND, FORWARD, new ChangedResult(undefined))
      rewrite.prefix = FAILING_NAMED_PARSE
      rewrite.omit = true
      return
    }
    if (this.#parsedIn !== batch) this.#questions = Number.POSITIVE_INFINITY
    const unasked = this.#unasked
    this.#unasked = undefined
    if (current === undefined || server.content.unnamedOwner !== current) {
      rewrite.prefix = this.#claim(server, current, batch, rewrite)
    } else if (unasked === current && this.#questions > 0) {
      this.#questions--
      rewrite.prefix = ask(server, current)
    }
    if (!rewrite.held) server.plan.expect(BIND)
  }

  /** The client describes it; returns what must be sent first. */
  onDescribe(server: ServerConnection, batch: number): Buffer | undefined {
    const { current } = this
    this.#unasked = undefined
    const claim = this.#claim(server, current, batch, undefined)
    const ref =
      current === undefined ? undefined : new UnnamedDescription((found) => void (current.description = found))
    server.plan.expect(DESCRIBE, FORWARD, ref)
    return claim
  }

  /** The client executes something: from then on the server may be in a COPY, in which nothing may be asked. */
  onExecute(): void {
    this.#unasked = undefined
  }

  /** The client ends its batch; returns what must be sent first. */
  onSync(server: ServerConnection): Buffer | undefined {
    const unasked = this.#unasked
    if (unasked === undefined) return undefined
    this.#unasked = undefined
    return unasked === this.current && server.content.unnamedOwner === unasked && !server.plan.copyIn
      ? ask(server, unasked)
      : undefined
  }

  /** The client closes it. */
  onClose(server: ServerConnection, batch: number): void {
    server.content.unnamedGone()
    this.#change(undefined, batch)
    server.plan.expect(CLOSE, 0, this)
  }

  /** The next that is told to have failed, or of a Query to be over, failed with `error`. */
  onRefused(error: ErrorSummary): void {
    this.#spared = SPARING.test(error.routine)
  }

  answered(): void {
    const change = this.#changes.shift()
    if (!this.#spared) this.#known = change
    this.#spared = false
  }

  dropped(failed: boolean): void {
    const change = this.#changes.shift()
    const spared = this.#spared
    this.#spared = false
    if (spared) return
    // A Parse that fails has done away with the one before; one sent again on the client's behalf was never the client's.
    if (failed && change !== this.#known) this.#known = undefined
  }

  /** What it is for the next message. */
  get current(): Unnamed | undefined {
    return this.#changes.size === 0 ? this.#known : this.#changes.last
  }

  #told(shared: SharedRef | undefined): PlanRef {
    if (shared === undefined) return this
    shared.other = this
    return shared
  }

  #change(next: Unnamed | undefined, batch: number): void {
    this.#changes.push(next)
    this.#batch = batch
  }

  /**
   * Have the server's unnamed statement be `wanted`; returns what must be sent.
   * @param bind of a Bind, whose client relies on what it was told: it may have to wait
   */
  #claim(
    server: ServerConnection,
    wanted: Unnamed | undefined,
    batch: number,
    bind: Rewrite | undefined,
  ): Buffer | undefined {
    if (wanted !== undefined && server.content.unnamedOwner === wanted) return undefined
    if (wanted !== undefined && wanted.message === undefined && this.stays) return undefined
    const unnamed = wanted?.message === undefined ? undefined : wanted
    this.#change(unnamed, batch)
    server.content.unnamedBecame(unnamed)
    if (unnamed === undefined) {
      // PostgreSQL itself shall say that there is no such statement, whoever used this server before.
      server.plan.expect(CLOSE, SKIP, this)
      return CLOSE_UNNAMED
    }
    const message = unnamed.message!
    const text = message.subarray(PARSE_HEAD)
    const { description } = unnamed
    if (speaksOfSession(textOf(text))) {
      server.plan.expect(PARSE, SKIP, this)
      return message
    }
    const body = description === undefined ? text : typedBody(text, description)
    const parse = this.#parseUnder(
      server,
      unnamed,
      body === text ? message : messageOf(FRONTEND.Parse, Buffer.concat([NO_NAME, body])),
    )
    if (description === undefined) return bind ? Buffer.concat([parse, ask(server, unnamed)]) : parse
    // What is discarded unseen is not answered.
    if (bind === undefined || server.plan.skipping || server.plan.copyIn) return parse
    bind.held = true
    server.plan.expect(DESCRIBE, SKIP, this.#comparison(server, unnamed, description))
    return Buffer.concat([parse, DESCRIBE_UNNAMED, FLUSH])
  }

  /** The Parse `message`, under the settings its client gave it under. */
  #parseUnder(server: ServerConnection, unnamed: Unnamed, message: Buffer): Buffer {
    const present = this.#settings(server)
    const parse = (): Buffer => {
      server.plan.expect(PARSE, SKIP, this)
      return message
    }
    const way = wayOf(server, withBody(unnamed, message), present)
    return way === 'as it is' ? parse() : Buffer.concat(parseUnder(server, way, unnamed.settings, present, parse))
  }

  #comparison(server: ServerConnection, unnamed: Unnamed, known: Description): PlanRef {
    const disown = (): void => {
      if (server.content.unnamedOwner === unnamed) server.content.unnamedGone()
    }
    const compare = (found: Description): void => {
      if (!known.equals(found)) {
        disown()
        this.#differing = unnamed
      }
      this.#resume()
    }
    return new UnnamedDescription(compare, disown)
  }
}

const NO_NAME = Buffer.alloc(1)

function withBody({ settings }: Unnamed, message: Buffer): { settings: ParseSettings; body: Buffer } {
  return { settings, body: message.subarray(PARSE_HEAD) }
}

/** A Describe of pgbun's own, of what the server has. */
function ask(server: ServerConnection, unnamed: Unnamed): Buffer {
  const learn = (found: Description): void => {
    unnamed.description ??= found
  }
  server.plan.expect(DESCRIBE, SKIP, new UnnamedDescription(learn))
  return DESCRIBE_UNNAMED
}
