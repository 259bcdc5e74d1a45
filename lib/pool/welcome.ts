/**
 * What a client is greeted with: the reported parameters of the pool's newest server. Until there is a first server,
 * logins wait for it here.
 */

type Parameters = ReadonlyMap<string, string>

/** The greeting of one pool, and who waits for it. */
export class Welcome {
  #parameters: Parameters | undefined
  #waiting: { resolve(parameters: Parameters): void; reject(error: Error): void }[] = []

  /** Logins that wait. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** The greeting, if there has been a server. */
  get parameters(): Parameters | undefined {
    return this.#parameters
  }

  /** Wait for the first server. */
  wait(): Promise<Parameters> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  /** A server has told its parameters. They are copied: what is built of a greeting is remembered by its map. */
  set(current: Parameters): void {
    const parameters = new Map(current)
    this.#parameters = parameters
    for (const { resolve } of this.#take()) resolve(parameters)
  }

  /** There will be no server for now. */
  refuse(error: Error): void {
    for (const { reject } of this.#take()) reject(error)
  }

  #take() {
    const waiting = this.#waiting
    this.#waiting = []
    return waiting
  }
}
