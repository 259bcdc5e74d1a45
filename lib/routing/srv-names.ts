/**
 * The hosts behind SRV names of the configuration: asked for before they are needed, and again now and then. What was found
 * stays good while nobody answers.
 */

import { type HostAddress, isSrvName } from '../config/hosts.ts'
import { type Config, hostsOf } from '../config/options.ts'
import type { SrvLookup, SrvRecord } from '../net/resolve-srv.ts'

/** A host of a list, with its share in it. */
export interface ListedHost {
  readonly address: HostAddress
  /** Those with the lowest are used first. */
  readonly priority: number
  readonly weight: number
}

/** The records of names. */
export type SrvRecords = ReadonlyMap<string, readonly SrvRecord[]>

/** The SRV names of one process. */
export class SrvNames {
  readonly #lookup: SrvLookup
  #records: SrvRecords = new Map()
  readonly #failing = new Set<string>()

  constructor(lookup: SrvLookup) {
    this.#lookup = lookup
  }

  /** The hosts of a list, in its order, as they are reached; a name of which nothing is known stands for itself. */
  expand(hosts: readonly HostAddress[], weights: readonly number[]): ListedHost[] {
    return hosts.flatMap((address, i) => {
      const weight = weights[i] ?? 1
      const records = this.#records.get(address.host)
      if (records === undefined) return [{ address, priority: 0, weight }]
      return records.map(({ host, port, priority, weight: own }) => {
        return { address: { host, port }, priority, weight: weight * Math.max(1, own) }
      })
    })
  }

  /**
   * Ask for the names in `config`; what was found before stays good for those without an answer. Never rejects.
   * @param failed is told of each that has no answer, once until it has one
   */
  async ask(config: Config, failed: (name: string, error: Error) => void): Promise<SrvRecords> {
    const records = new Map<string, readonly SrvRecord[]>()
    await Promise.all(
      Array.from(srvNamesIn(config), async (name) => {
        const found = (await this.#ask(name, failed)) ?? this.#records.get(name)
        if (found !== undefined) records.set(name, found)
      }),
    )
    return records
  }

  /** Names stand for `records` from now on. Returns whether any leads elsewhere than before. */
  use(records: SrvRecords): boolean {
    const before = this.#records
    this.#records = records
    return records.size !== before.size || [...records].some(([name, found]) => !isSame(found, before.get(name)))
  }

  async #ask(name: string, failed: (name: string, error: Error) => void): Promise<SrvRecord[] | undefined> {
    try {
      const records = (await this.#lookup(name)).sort(inOrder)
      if (records.length === 0) throw new Error('no records')
      this.#failing.delete(name)
      return records
    } catch (error) {
      if (!this.#failing.has(name)) failed(name, error as Error)
      this.#failing.add(name)
      return undefined
    }
  }
}

function isSame(found: readonly SrvRecord[], before: readonly SrvRecord[] | undefined): boolean {
  return JSON.stringify(found) === JSON.stringify(before)
}

/** The name service gives them in any order. */
function inOrder(a: SrvRecord, b: SrvRecord): number {
  return a.priority - b.priority || a.host.localeCompare(b.host) || a.port - b.port
}

/** All SRV names in `config`. */
function srvNamesIn(config: Config): Set<string> {
  const lists = [hostsOf(config), ...Array.from(config.databases.values(), (values) => hostsOf(config, values))]
  return new Set(lists.flat().flatMap(({ host }) => (isSrvName(host) ? [host] : [])))
}
