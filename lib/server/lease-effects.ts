/**
 * What was done to the session of a server during one lease, as far as the server said it or a text gave reason to
 * suspect it. Whoever lends the server makes a new one (pool/lease.ts), so that no lease begins with what another one did;
 * the server keeps the last one until then, for what is still to come from it.
 */

/** The effects of one lease. */
export class LeaseEffects {
  #touched = false
  #touches = 0
  #suspected = false
  #parametersChanged = false

  /** A command tag said that the session was changed, since PostgreSQL was asked last. */
  get touched(): boolean {
    return this.#touched
  }

  /** How many tags ever said so. */
  get touches(): number {
    return this.#touches
  }

  /** A command tag says that the session is changed; `lent`: by the client, and not by a query of pgbun's own. */
  tagCame(lent: boolean): void {
    if (lent) this.#touched = true
    this.#touches++
  }

  /** PostgreSQL is asked what the tags were about. */
  askedForState(): void {
    this.#touched = false
  }

  /** A statement named a function that may change the session unseen. */
  get suspected(): boolean {
    return this.#suspected
  }

  /** Such a statement is sent. */
  suspect(): void {
    this.#suspected = true
  }

  /** A reported parameter has changed of which the client's settings do not know yet. */
  get parametersChanged(): boolean {
    return this.#parametersChanged
  }

  /** The server reports a parameter. */
  parameterCame(): void {
    this.#parametersChanged = true
  }

  /** The client's settings know of all that was reported. */
  parametersTaken(): void {
    this.#parametersChanged = false
  }
}
