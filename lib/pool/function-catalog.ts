/**
 * What is known of the functions of one database that may leave session state unseen (sql/function-sources), shared
 * by its pools, and when to ask PostgreSQL for it again.
 *
 * Holds: from a change that was seen until the answer to a question asked after it, every statement is suspected; so it is
 * before the first answer, and while there is none to be had; what no look at the session finds is looked for by the last
 * answer meanwhile. Clients are served all the same: one server of a database is asked at a time, for HURRIED_MS where a
 * client may wait for it and for LEISURE_MS where it is idle. What fails is not asked again for a time that doubles, and
 * is given twice the time then: where clients always wait, too, there is an answer some day.
 */

import type { ServerConnection } from '../server/connection.ts'
import { InternalQuery, type InternalQueryResult } from '../server/internal-query.ts'
import type { ServerOwner } from '../server/ports.ts'
import type { SessionContent } from '../server/session-content.ts'
import {
  ALL_HIDDEN,
  type FunctionSources,
  functionSourcesQuery,
  isAnswer,
  readFunctionSources,
  settingsOfSource,
  unanswered,
} from '../sql/function-sources.ts'
import { now } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'

/** How long a function that was made past pgbun may stay unknown, in milliseconds. */
const PERIOD_MS = 60_000
/** No more than one part in so many of the time is spent on questions, however often functions change. */
const SHARE = 10
/** How long PostgreSQL may look into functions while a client may be waiting, and while none is. */
const HURRIED_MS = 500
const LEISURE_MS = 3000
/** So much longer an answer may take to come; a client that waits sees to it earlier. */
const SLACK_MS = 1000
const IMPATIENCE_MS = 100
/** After a question that failed, the next is asked when so long has passed; doubled with each. */
const RETRY_MS = 10_000
/** The same for a server that clients wait for. */
const HURRIED_RETRY_MS = 1000
const RETRY_LIMIT_MS = 3_600_000
/** Names of parameters kept from functions just made. */
const MADE_LIMIT = 100

/** The functions of one database. */
export class FunctionCatalog {
  /** Nothing is suspected: statements need not be looked at. */
  quiet = true
  /** To be asked before a server is lent. */
  due = false
  /** Grows with every change: what ran before may have left what was not looked for. */
  stamp = 0
  readonly #database: string
  #enabled = false
  #known: FunctionSources = ALL_HIDDEN
  /** Parameters that functions set which were made since PostgreSQL was asked. */
  #made: readonly string[] = []
  #readsSequences = false
  /** Grows when what new sessions begin with has changed (ALTER ROLE … SET): older servers are renewed. */
  defaultsStamp = 0
  /** Something has changed since the last question was asked. */
  #changed = false
  #defaults: string | undefined
  #asked = 0
  #answered = 0
  #askedAt = 0
  #tookMs = 0
  /** The server that is asked, and until when it may answer. */
  #asking: ServerConnection | undefined
  #deadline = 0
  #canceled = false
  /** Questions that have failed one after the other, and when the next may be asked. */
  #failures = 0
  #retryAt = 0
  #hurriedRetryAt = 0
  /** Texts that stay the same, by what stands for them: whether they are suspected. */
  #verdicts = new WeakMap<object, boolean>()

  constructor(database: string) {
    this.#database = database
  }

  /** `check_functions`, in a mode in which servers change hands between transactions. */
  get enabled(): boolean {
    return this.#enabled
  }

  set enabled(enabled: boolean) {
    this.#enabled = enabled
    this.#update()
  }

  /** Parameters of applications that functions set. */
  get settings(): readonly string[] {
    return this.#made.length === 0 ? this.#known.settings : [...new Set([...this.#known.settings, ...this.#made])]
  }

  /** `text` makes a function: what that sets is looked for from now on, before PostgreSQL is asked. */
  learnFrom(text: string): void {
    if (this.#enabled && this.#made.length < MADE_LIMIT) this.#made = [...this.#made, ...settingsOfSource(text)]
  }

  /** Somebody reads the values sequences gave a session: a function does, or a statement of a client did. */
  get readsSequences(): boolean {
    return this.#readsSequences || (this.#enabled && this.#known.readsSequences)
  }

  /** A statement reads values of sequences. */
  noteReader(): void {
    this.#readsSequences = true
  }

  /** Whether running `text` may leave state that it does not name. */
  suspects(text: string): boolean {
    return this.#enabled && (this.#changed || (this.#known.leaving?.test(text) ?? false))
  }

  /** Whether running `text` may leave what nobody can ask for. */
  keeps(text: string): boolean {
    return this.#enabled && (this.#known.keeping?.test(text) ?? false)
  }

  /** The same for the text that `statement` stands for as long as it exists; it may be none of its first uses. */
  suspectsAgain(statement: object, text: () => string): boolean {
    if (this.#changed) return this.#enabled
    let verdict = this.#verdicts.get(statement)
    if (verdict === undefined) {
      const sql = text()
      verdict = this.suspects(sql) || this.keeps(sql) || this.defines(sql)
      this.#verdicts.set(statement, verdict)
    }
    return verdict
  }

  /** Whether running `text` may create functions without naming that. */
  defines(text: string): boolean {
    return this.#enabled && (this.#known.defining?.test(text) ?? false)
  }

  /** It may be another database by the time that PostgreSQL is asked again. */
  forget(): void {
    this.#answered = 0
    this.#failures = 0
    this.#retryAt = 0
    this.#hurriedRetryAt = 0
    this.#known = ALL_HIDDEN
    this.#defaults = undefined
    this.stamp++
    this.#update()
  }

  /** What was run in a session, which is in no transaction any more, may have changed functions or defaults. */
  note(content: SessionContent): void {
    if (content.defaultsChanged) this.defaultsStamp++
    if (content.functionsChanged) this.#change()
    content.changesNoted()
  }

  #change(): void {
    if (!this.#enabled) return
    this.#changed = true
    this.stamp++
    this.due = now() - this.#askedAt >= SHARE * this.#tookMs
    this.#update()
  }

  /** True where the server that holds `content` is to be asked before it is lent. */
  wanted(content: SessionContent): boolean {
    if (!this.#enabled || !this.#mayAsk(now())) return false
    if (this.#failures > 0) return now() >= this.#hurriedRetryAt
    if (content.functionsAsked && !this.due) return false
    return this.due || this.#answered === 0 || now() - this.#askedAt >= SHARE * this.#tookMs
  }

  /** The server that holds `content` is not `wanted`. If that is because another one was asked a moment ago, it never is. */
  passed(content: SessionContent): void {
    if (content.functionsAsked || !this.#enabled || this.#failures > 0 || !this.#mayAsk(now())) return
    content.askedForFunctions()
  }

  /** True where an idle server is to be asked at `at`. */
  overdue(at: number): boolean {
    if (!this.#enabled || !this.#mayAsk(at)) return false
    if (this.#failures > 0) return true
    const since = at - this.#askedAt
    return this.due || since >= PERIOD_MS || (this.#changed && since >= SHARE * this.#tookMs)
  }

  #mayAsk(at: number): boolean {
    return this.#asking === undefined && at >= this.#retryAt
  }

  /** How many servers of `owner` have been asked for so long that whoever waits should not wait for them: one or none. */
  slowIn(owner: ServerOwner<ServerConnection>, at = now()): number {
    return this.#asking?.owner === owner && at - this.#askedAt > IMPATIENCE_MS ? 1 : 0
  }

  /** Called by the janitor, for each pool: see to it that the question of a server of `owner` comes to an end. */
  hurry(
    owner: ServerOwner<ServerConnection>,
    waiting: boolean,
    at: number,
    cancel: (server: ServerConnection) => void,
  ): void {
    const server = this.#asking
    if (server?.owner !== owner) return
    if (at > this.#deadline) server.close('the look into functions took too long')
    else if (waiting && !this.#canceled && at - this.#askedAt > this.#patient(IMPATIENCE_MS)) {
      this.#canceled = true
      cancel(server)
    }
  }

  /** `ms`, doubled with each question that has failed. */
  #patient(ms: number): number {
    return Math.min(LEISURE_MS, ms * 2 ** this.#failures)
  }

  /**
   * Ask on `server`; `done` is told whether it is well.
   * @param hurried a client may be waiting for it
   */
  ask(server: ServerConnection, hurried: boolean, log: Logger, done: (well: boolean) => void): void {
    const number = ++this.#asked
    const { stamp } = this
    const { usedAt } = server
    const startedAt = now()
    this.#askedAt = startedAt
    this.due = false
    server.content.askedForFunctions()
    const limit = hurried ? this.#patient(HURRIED_MS) : LEISURE_MS
    this.#asking = server
    this.#deadline = startedAt + limit + SLACK_MS
    this.#canceled = false
    const answered = (result: InternalQueryResult): void => {
      this.#asking = undefined
      // It is not used by this: it may become too old in the meantime.
      server.usedAt = usedAt
      this.#answered = number
      this.#tookMs = now() - startedAt
      if (stamp === this.stamp) this.#changed = false
      else this.due = true
      const answer = result.kind === 'done' ? read(() => result.answer.rows()) : reasonOf(result)
      if (typeof answer === 'string') this.#failed(answer, hurried, log)
      else this.#learn(answer, log)
      done(result.kind !== 'closed')
    }
    // What is canceled is not asked again at once: it was its own limit of time, or somebody waits.
    InternalQuery.run(server, functionSourcesQuery(limit), 'hold', answered, 0)
  }

  /** There is no answer to be had: everything is suspected, and what was known is known still. */
  #failed(reason: string, hurried: boolean, log: Logger): void {
    const later = (ms: number): number => now() + Math.min(ms * 2 ** Math.max(0, this.#failures - 1), RETRY_LIMIT_MS)
    // An idle server may be asked for longer, and at once.
    if (!hurried) this.#retryAt = later(RETRY_MS)
    this.#hurriedRetryAt = Math.max(this.#retryAt, later(HURRIED_RETRY_MS))
    this.#failures++
    const level = hurried ? 'info' : 'warn'
    log[level]('cannot look into the functions of the database: every statement is suspected to change the session', {
      database: this.#database,
      reason,
      remedy: 'check_functions = false does without',
    })
    this.#know(unanswered(this.#known))
  }

  #learn(known: FunctionSources, log: Logger): void {
    if (this.#failures > 0) {
      this.#failures = 0
      this.#retryAt = 0
      this.#hurriedRetryAt = 0
      log.info('the functions of the database are known again', { database: this.#database })
    }
    if (this.#defaults !== undefined && known.defaults !== this.#defaults) this.defaultsStamp++
    this.#defaults = known.defaults
    if (!this.#changed) this.#made = []
    this.#know(known)
  }

  #know(known: FunctionSources): void {
    // What was run while everything was suspected need not be looked at again.
    if (known.key !== this.#known.key && isAnswer(this.#known)) this.stamp++
    this.#known = known
    this.#verdicts = new WeakMap()
    this.#update()
  }

  #update(): void {
    const { leaving, keeping, defining } = this.#known
    const known = leaving !== undefined || keeping !== undefined || defining !== undefined
    this.quiet = !this.#enabled || (!this.#changed && !known)
  }
}

function reasonOf(result: Exclude<InternalQueryResult, { kind: 'done' }>): string {
  return result.kind === 'error' ? result.error.message : 'the server connection was closed'
}

/** What the rows say, or why they cannot be read. */
function read(rows: () => (string | null)[][]): FunctionSources | string {
  try {
    return readFunctionSources(rows())
  } catch (error) {
    return (error as Error).message
  }
}
