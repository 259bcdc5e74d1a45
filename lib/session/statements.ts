/**
 * Named prepared statements across servers. A client's names are its own; what is prepared on the servers is shared:
 * one entry per query text and parameter types, prepared on a server when a client first needs it there, under a name
 * of pgbun's own. Three small stores, all pure: here, the entries of the process; client-statements.ts, the names of
 * one client; server-statements.ts, what one server has prepared.
 *
 * An entry's key also holds the client's settings: PostgreSQL evaluates literals while it parses (`'01/02/2026'::date`),
 * so the same text means different things under another DateStyle, TimeZone or client_encoding.
 *
 * A text means what it meant when it was parsed. After a change of tables, functions or types (`alter`) it is another
 * entry to whoever prepares it from then on, while names given before keep the old one, as on a direct connection.
 */

import { effectsOf } from './state-effects.ts'

/** One query text with its parameter types, under the same settings. */
export interface StatementEntry {
  readonly key: string
  /** The Parse message behind the statement's name, byte for byte. */
  readonly body: Buffer
  /** What running it may leave behind in a session (state-effects). */
  readonly effects: number
  /** Clients' names and servers that have it. */
  refs: number
  /** Of these, clients' names. */
  names: number
  /** Grows when PostgreSQL says that what was prepared is stale: every server prepares it anew. */
  generation: number
  /** Of which `schema` of the store it is. */
  readonly schema: number
  /** When it was taken for stale because of a value that did not fit (ms of the clock). */
  doubtedAt: number
}

/** A server's prepared statements, as far as they are there only to save preparing them again. */
export interface StatementCache {
  dropUnnamed(): void
}

/** All entries of the process. */
export class StatementStore {
  /** Of every server. */
  readonly caches = new Set<StatementCache>()
  readonly #entries = new Map<string, StatementEntry>()
  #bytes = 0
  #schema = 0

  /** What texts mean may have changed: nothing that was prepared is given to a new name. */
  alter(): void {
    this.#schema++
  }

  /** Number of entries. */
  get size(): number {
    return this.#entries.size
  }

  /** Bytes of all bodies together. */
  get bytes(): number {
    return this.#bytes
  }

  /** The entry of a Parse message's `body` behind the name, if there is one. */
  find(settings: string, body: Buffer): StatementEntry | undefined {
    return this.#current(keyOf(settings, body))
  }

  #current(key: string): StatementEntry | undefined {
    const entry = this.#entries.get(key)
    return entry?.schema === this.#schema ? entry : undefined
  }

  /**
   * The entry of a Parse message's `body` behind the name, for a name of a client's. It is held until `releaseName`.
   * @param settings fingerprint of the settings it is parsed under
   */
  hold(settings: string, body: Buffer): StatementEntry {
    const key = keyOf(settings, body)
    let entry = this.#current(key)
    if (entry === undefined) {
      entry = {
        key,
        // Copied: the message is a view of a chunk (R7).
        body: Buffer.from(body),
        effects: effectsOf(textOf(body)),
        refs: 0,
        names: 0,
        generation: 0,
        schema: this.#schema,
        doubtedAt: Number.NEGATIVE_INFINITY,
      }
      this.#entries.set(key, entry)
      this.#bytes += body.length
    }
    entry.refs++
    entry.names++
    return entry
  }

  /** A client's name for it is gone. */
  releaseName(entry: StatementEntry): void {
    entry.names--
    this.release(entry)
  }

  /** True where `body` has room within `limit` bytes of all bodies; makes room of what only servers keep. */
  fits(settings: string, body: Buffer, limit: number): boolean {
    if (this.#bytes + body.length <= limit || this.find(settings, body) !== undefined) return true
    for (const cache of this.caches) cache.dropUnnamed()
    return this.#bytes + body.length <= limit
  }

  /** One holder less; the last one takes the entry with it. */
  release(entry: StatementEntry): void {
    if (--entry.refs > 0) return
    if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key)
    this.#bytes -= entry.body.length
  }
}

function keyOf(settings: string, body: Buffer): string {
  return `${settings}\0${body.toString('latin1')}`
}

/** The query text of a Parse body. */
export function textOf(body: Buffer): string {
  return body.toString('latin1', 0, body.indexOf(0))
}
