/**
 * Whether the next request of a client goes to a standby (`route_reads`): a single statement outside of a transaction that
 * certainly only reads, of a client whose last write every reader there sees. The client may say otherwise by a comment or
 * by a parameter.
 *
 * Owned by pool-choice.ts.
 */

import type { Lease } from '../../pool/lease.ts'
import type { Pool } from '../../pool/pool.ts'
import type { Batch } from '../../protocol/batch.ts'
import type { ReadRoute } from '../../routing/read-route.ts'
import type { ClientSettings } from '../../settings/client-settings.ts'
import { type Choice, choiceOf } from '../../sql/certain-read.ts'
import { factsOf } from '../../sql/facts.ts'
import type { StatementEntry } from '../../statements/shared-statements.ts'
import { now } from '../../util/clock.ts'
import { type ReadJudge, statementText, type Verdict, verdictOn } from '../requests/read-request.ts'

/** The parameter by which a client chooses: `primary`, `replica`, or anything else for what is said above. */
const PARAMETER = 'pgbun.route_reads'
/** Under this, a standby refuses to read. */
const ISOLATION = 'default_transaction_isolation'

/** Of one client. */
export class ReadRouting implements ReadJudge {
  readonly #routeOf: () => ReadRoute | undefined
  readonly #settings: ClientSettings
  readonly #statement: (name: string) => StatementEntry | undefined
  #route: ReadRoute | undefined
  /** When it had the primary last for what may have written (ms of the clock). */
  #wroteAt = now()
  #verdict: Verdict = 'writes'
  /** The parameter, while a request is judged. */
  #wish: Choice | undefined

  /**
   * @param routeOf the way to standbys; undefined where there is none any more
   * @param statement what the client calls by a name
   */
  constructor(
    routeOf: () => ReadRoute | undefined,
    settings: ClientSettings,
    statement: (name: string) => StatementEntry | undefined,
  ) {
    this.#routeOf = routeOf
    this.#settings = settings
    this.#statement = statement
  }

  /** The pool to get a server from for the request at the cursor of `batch`; undefined for that of the client. */
  poolFor(batch: Batch): Pool | undefined {
    this.#route = this.#routeOf()
    this.#wish = wishOf(this.#settings.get(PARAMETER))
    this.#verdict = this.#route === undefined ? 'writes' : verdictOn(batch, this)
    if (this.#goesToStandby && this.#settings.get(ISOLATION) !== 'serializable') {
      if (this.#route!.mayRead(this.#since, now())) return this.#route!.replicas
    }
    this.staysHere()
    return undefined
  }

  get #goesToStandby(): boolean {
    return this.#verdict === 'replica' || this.#verdict === 'chosen' || this.#verdict === 'forced'
  }

  /** Whether the request may be sent to the server of `lease`, which is one of standbys. */
  mayReadOn({ server }: Lease): boolean {
    return this.#route!.mayReadAt(server.identity.target, this.#since, now())
  }

  /** The request is sent to the primary after all. */
  staysHere(): void {
    if (this.#verdict === 'forced') this.#verdict = 'writes'
  }

  /** Since when what is read must be there. */
  get #since(): number {
    return this.#verdict === 'replica' ? this.#wroteAt : Number.NEGATIVE_INFINITY
  }

  /** Whether the request can be run again: it changes nothing, whatever runs it. */
  get mayRepeat(): boolean {
    return this.#verdict !== 'forced'
  }

  /** The client may have written by another connection until now. */
  loggedIn(): void {
    this.#wroteAt = now()
  }

  /** What is sent to the primary behind the request was not looked at. */
  sendsMore(): void {
    this.#verdict = 'writes'
  }

  /** A server of the client's own pool goes back. */
  released(): void {
    if (this.#verdict === 'writes') this.#wroteAt = now()
  }

  ofText(text: string): Verdict {
    const choice = choiceOf(text) ?? this.#wish
    const isRead = this.#route!.isRead(text)
    if (choice === 'replica' && isRead) return 'chosen'
    if (choice === 'replica' && factsOf(text).effects === 0) return 'forced'
    if (!isRead) return 'writes'
    return choice === 'primary' ? 'primary' : 'replica'
  }

  ofStatement(name: string): Verdict | undefined {
    const entry = this.#statement(name)
    return entry && this.ofText(statementText(entry))
  }
}

function wishOf(value: string | undefined): Choice | undefined {
  return value === 'primary' || value === 'replica' ? value : undefined
}
