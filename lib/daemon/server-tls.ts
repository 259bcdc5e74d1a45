/**
 * TLS towards PostgreSQL: the general options, and those of databases that have some of their own. Each set of options
 * has its store, which keeps the last good certificates.
 */

import type { Config } from '../config/options.ts'
import type { ServerTls } from '../net/dial.ts'
import { type TlsSettings, TlsStore } from '../net/tls-context.ts'
import type { Target } from '../pool/target.ts'
import { hasOwnTls } from '../routing/routes.ts'
import { serverTlsSettings } from './tls-settings.ts'

type Negotiation = ServerTls['negotiation']

interface Way {
  store: TlsStore
  negotiation: Negotiation
}

/** Certificates and modes of all databases. */
export class ServerTlsStores {
  #general: Way
  #own: ReadonlyMap<string, Way>

  /** @throws TlsConfigError */
  constructor(config: Config) {
    this.#general = {
      store: new TlsStore('server', serverTlsSettings(config)),
      negotiation: config.serverTlsNegotiation,
    }
    this.#own = new Map(
      Array.from(ownSettings(config), ([database, settings, negotiation]) => [
        database,
        { store: new TlsStore('server', settings), negotiation },
      ]),
    )
  }

  /** The general one. */
  get general(): TlsStore {
    return this.#general.store
  }

  /** How a connection to `target` is encrypted; undefined for not at all. */
  of(target: Target): ServerTls | undefined {
    const { store, negotiation } = (target.tls === undefined ? undefined : this.#own.get(target.tls)) ?? this.#general
    return store.current && { context: store.current, negotiation }
  }

  /**
   * The first half of a reload, see TlsStore.prepare. The function returned answers whether certificates or modes changed.
   * @throws TlsConfigError where a new set does not load
   */
  prepare(config: Config): () => boolean {
    const useGeneral = this.#general.store.prepare(serverTlsSettings(config))
    const own = new Map<string, Way>()
    const uses: (() => boolean)[] = []
    let replaced = false
    for (const [database, settings, negotiation] of ownSettings(config)) {
      const before = this.#own.get(database)?.store
      replaced ||= before === undefined
      if (before) uses.push(before.prepare(settings))
      own.set(database, { store: before ?? new TlsStore('server', settings), negotiation })
    }
    replaced ||= own.size !== this.#own.size
    return () => {
      const changed = [useGeneral, ...uses].map((use) => use()).some(Boolean)
      this.#general = { store: this.#general.store, negotiation: config.serverTlsNegotiation }
      this.#own = own
      return changed || replaced
    }
  }
}

function* ownSettings(config: Config): Generator<[string, TlsSettings, Negotiation]> {
  for (const [database, values] of config.databases) {
    if (!hasOwnTls(values)) continue
    const effective: Config = { ...config, ...(values as Partial<Config>) }
    yield [database, serverTlsSettings(effective), effective.serverTlsNegotiation]
  }
}
