/**
 * What is known of the functions of one database that may leave session state unseen (session/hidden-functions), shared
 * by its pools, and when to ask PostgreSQL for it again.
 *
 * Holds: from a change that was seen until the answer to a question asked after it, every statement is suspected.
 */

import type { ServerConnection } from '../server/connection.ts'
import { Task } from '../server/task.ts'
import {
  ALL_HIDDEN,
  HIDDEN_FUNCTIONS,
  type HiddenFunctions,
  NOTHING_HIDDEN,
  readHiddenFunctions,
  settingsOfSource,
} from '../session/hidden-functions.ts'
import { now } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'

/** How long a function that was made past pgbun may stay unknown, in milliseconds. */
const PERIOD_MS = 60_000
/** No more than one part in so many of the time is spent on questions, however often functions change. */
const SHARE = 10
/** Names of parameters kept from functions just made. */
const MADE_LIMIT = 100

/** The functions of one database. */
export class FunctionCheck {
  /** Nothing is suspected: statements need not be looked at. */
  quiet = true
  /** To be asked before a server is lent. */
  due = false
  /** Grows with every change: what ran before may have left what was not looked for. */
  stamp = 0
  readonly #database: string
  #enabled = false
  #known: HiddenFunctions = NOTHING_HIDDEN
  /** Parameters that functions set which were made since PostgreSQL was asked. */
  #made: readonly string[] = []
  #readsSequences = false
  /** Grows when what new sessions begin with has changed (ALTER ROLE … SET): older servers are renewed. */
  defaultsStamp = 0
  /** Something has changed since the last question was asked. */
  #changed = false
  #answers = 0
  #defaults = ''
  #asked = 0
  #answered = 0
  #askedAt = 0
  #tookMs = 0
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
    return this.#readsSequences || this.#known.readsSequences
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

  /** What was run on `server`, which is in no transaction any more, may have changed functions or defaults. */
  note(server: ServerConnection): void {
    if (server.defaultsChanged) this.defaultsStamp++
    if (server.functionsChanged) this.#change()
    server.defaultsChanged = false
    server.functionsChanged = false
  }

  #change(): void {
    if (!this.#enabled) return
    this.#changed = true
    this.stamp++
    this.due = now() - this.#askedAt >= SHARE * this.#tookMs
    this.#update()
  }

  /** True where `server` is to be asked before it is lent. */
  wanted(server: ServerConnection): boolean {
    if (!this.#enabled || (server.functionsAsked && !this.due)) return false
    if (this.due || this.#answered === 0 || now() - this.#askedAt >= SHARE * this.#tookMs) return true
    // Another server of this database was asked a moment ago.
    server.functionsAsked = true
    return false
  }

  /** Called by the janitor. True where an idle server is to be asked now. */
  overdue(at: number): boolean {
    if (!this.#enabled) return false
    const since = at - this.#askedAt
    if (since >= PERIOD_MS || (this.#changed && since >= SHARE * this.#tookMs)) this.due = true
    return this.due
  }

  /** Ask on `server`; `done` is told whether it is well. */
  ask(server: ServerConnection, log: Logger, done: (well: boolean) => void): void {
    const number = ++this.#asked
    const { stamp } = this
    const { usedAt } = server
    const startedAt = now()
    this.#askedAt = startedAt
    this.due = false
    server.functionsAsked = true
    Task.run(server, HIDDEN_FUNCTIONS, undefined, (result) => {
      // It is not used by this: it may become too old in the meantime.
      server.usedAt = usedAt
      if (result.kind !== 'closed' && number > this.#answered) {
        this.#answered = number
        this.#tookMs = now() - startedAt
        if (stamp === this.stamp) this.#changed = false
        else this.due = true
        this.#learn(result.kind === 'done' ? read(() => result.answer.rows()) : result.error.message, log)
      } else if (result.kind === 'closed') this.due = true
      done(result.kind !== 'closed')
    })
  }

  #learn(answer: HiddenFunctions | string, log: Logger): void {
    if (typeof answer === 'string' && this.#known !== ALL_HIDDEN) {
      log.warn('cannot look into the functions of the database: every statement is suspected to change the session', {
        database: this.#database,
        reason: answer,
        remedy: 'check_functions = false does without',
      })
    }
    const known = typeof answer === 'string' ? ALL_HIDDEN : answer
    if (known.key !== this.#known.key) this.stamp++
    if (this.#answers++ > 0 && known !== ALL_HIDDEN && known.defaults !== this.#defaults) this.defaultsStamp++
    if (known !== ALL_HIDDEN) this.#defaults = known.defaults
    this.#known = known
    if (!this.#changed) this.#made = []
    this.#verdicts = new WeakMap()
    this.#update()
  }

  #update(): void {
    const { leaving, keeping, defining } = this.#known
    const known = leaving !== undefined || keeping !== undefined || defining !== undefined
    this.quiet = !this.#enabled || (!this.#changed && !known)
  }
}

/** What the rows say, or why they cannot be read. */
function read(rows: () => (string | null)[][]): HiddenFunctions | string {
  try {
    return readHiddenFunctions(rows())
  } catch (error) {
    return (error as Error).message
  }
}
