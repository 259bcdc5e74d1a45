/** A Query too long to be looked at as a whole: it is read as it streams by, and noted when its last part is sent. */

import type { ServerConnection } from '../../server/connection.ts'
import { LongText } from '../../sql/long-text.ts'
import type { ClientEffects } from '../state/client-effects.ts'
import { noteLong } from '../state/note-effects.ts'

/** One of them, on its way. */
export class LongQuery {
  readonly #client: ClientEffects
  readonly #server: ServerConnection
  readonly #text = new LongText()

  /** @param body the beginning of the text */
  constructor(client: ClientEffects, server: ServerConnection, body: Buffer) {
    this.#client = client
    this.#server = server
    this.#text.add(body)
  }

  /** The next part of it. Returns itself until it is the last. */
  readOn(bytes: Buffer, last: boolean): LongQuery | undefined {
    this.#text.add(bytes)
    if (!last) return this
    this.#text.end()
    noteLong(this.#client, this.#server, this.#text)
    return undefined
  }
}
