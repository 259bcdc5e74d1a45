/**
 * What a client is greeted with: the reported parameters of the pool's newest server, and what PostgreSQL said when that
 * logged in. As long as there is no server, logins wait for one here: after an upgrade or a failover it may say something
 * else than the last.
 */

import { type LoginNotices, NO_NOTICES } from '../server/login-notices.ts'
import { type Defaults, defaultsOf } from '../settings/server-defaults.ts'

/** The greeting of one pool, and who waits for it. */
export class Welcome {
  #parameters: Defaults | undefined
  #notices = NO_NOTICES
  #waiting = new Map<Promise<Defaults>, { resolve(parameters: Defaults): void; reject(error: Error): void }>()

  /** Logins that wait. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** The greeting, if there has been a server. */
  get parameters(): Defaults | undefined {
    return this.#parameters
  }

  /** What is said besides. */
  get notices(): LoginNotices {
    return this.#notices
  }

  /** Wait for a server. */
  wait(): Promise<Defaults> {
    let settle!: { resolve(parameters: Defaults): void; reject(error: Error): void }
    const promise = new Promise<Defaults>((resolve, reject) => {
      settle = { resolve, reject }
    })
    this.#waiting.set(promise, settle)
    return promise
  }

  /** Whoever got `promise` by `wait` has left: it rejects. */
  leave(promise: Promise<Defaults>): void {
    this.#waiting.get(promise)?.reject(new Error('nobody waits any more'))
    this.#waiting.delete(promise)
  }

  /** A server has logged in. Returns true where the one before was of another version. */
  begin(current: ReadonlyMap<string, string>, notices: LoginNotices): boolean {
    const before = this.#parameters?.get('server_version')
    this.#notices = notices
    this.set(current)
    return before !== current.get('server_version')
  }

  /** A server has told its parameters. */
  set(current: ReadonlyMap<string, string>): void {
    const parameters = defaultsOf(current)
    this.#parameters = parameters
    for (const { resolve } of this.#take()) resolve(parameters)
  }

  /** The servers to come may say something else. */
  forget(): void {
    this.#parameters = undefined
    this.#notices = NO_NOTICES
  }

  /** There will be no server for now. */
  refuse(error: Error): void {
    for (const { reject } of this.#take()) reject(error)
  }

  #take() {
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    return waiting
  }
}
