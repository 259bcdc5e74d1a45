/** The names one client has given to prepared statements, and what each stands for. Pure. */

import type { ParseSettings } from '../settings/setting-values.ts'
import type { SqlFacts } from '../sql/facts.ts'
import { Queue } from '../util/queue.ts'
import type { Description } from './description.ts'
import { type StatementEntry, type StatementStore, twinOf } from './shared-statements.ts'
import type { StatementAccount } from './statement-memory.ts'

/** PostgreSQL compares so many bytes of a name (NAMEDATALEN, the key of its hash table), and no more. */
const NAME_BYTES = 63

/** The name from `start` to `end`, as far as it tells statements apart; each byte a character (latin1). */
export function statementName(bytes: Buffer, start: number, end: number): string {
  return bytes.toString('latin1', start, Math.min(end, start + NAME_BYTES))
}

/**
 * What is known of a name. `assumed`: its Parse was answered by pgbun because the server at hand had the text, and the
 * name has not been used since. `anew`: that was wrong, it has to be parsed. `proven`: PostgreSQL has confirmed it.
 */
export type Standing = 'assumed' | 'anew' | 'proven'

/**
 * The statements one client has named, by names as `statementName` gives them. A Parse or Close changes what a name stands for when it is sent, which is before
 * anybody knows whether the server will discard it with a batch that fails. So changes wait here until they are
 * answered or dropped; until then, only messages of the same batch, which would be dropped as well, can rely on them.
 */
export class ClientStatements {
  readonly #store: StatementStore
  readonly #account: StatementAccount
  readonly #named = new Map<string, StatementEntry>()
  /** Names with unanswered changes, oldest first, all of one batch. */
  readonly #changes = new Map<string, { entries: Queue<StatementEntry | undefined>; batch: number }>()
  /** Names that are not `proven`; made with the first. */
  #standings: Map<string, Standing> | undefined
  /** What it executes in the place of shared statements under settings that are not known. */
  #twins: Map<StatementEntry, StatementEntry> | undefined

  /** @param user the database user whose memory they are counted with */
  constructor(store: StatementStore, user: string) {
    this.#store = store
    this.#account = store.join(user)
  }

  /** Whether a name for `body` has room in memory (StatementStore.judge). */
  judge(settings: ParseSettings, body: Buffer, limit: number): 'fits' | 'all' | 'user' {
    return this.#store.judge(settings, body, this.#account, limit)
  }

  /** What `body` is when it is parsed under `settings`, for a name that is about to be given to it. */
  hold(settings: ParseSettings, body: Buffer, facts?: SqlFacts): StatementEntry {
    return this.#store.hold(settings, body, this.#account, facts)
  }

  /** Names with a statement, as far as the server has answered. */
  get size(): number {
    return this.#named.size
  }

  /** Names, and changes of names that are under way: no fewer than there may be. */
  get bound(): number {
    return this.#named.size + this.#changes.size
  }

  /** A name the client has for `entry`, as far as the server has answered; '' for none. */
  nameOf(entry: StatementEntry): string {
    for (const [name, named] of this.#named) if (named === entry) return name
    return ''
  }

  /** What is executed where `entry` is named under `settings`: that of a shared statement which is for these. */
  executed(entry: StatementEntry, { fingerprint }: Pick<ParseSettings, 'fingerprint'>): StatementEntry {
    if (entry.own || entry.settings.fingerprint === fingerprint) return entry
    if (fingerprint !== undefined) return twinOf(entry, fingerprint)
    let twin = this.#twins?.get(entry)
    if (twin === undefined) {
      twin = twinOf(entry, undefined)
      this.#twins ??= new Map()
      this.#twins.set(entry, twin)
    }
    return twin
  }

  /** The same without making it; undefined where it has never been needed. */
  known(entry: StatementEntry, { fingerprint }: ParseSettings): StatementEntry | undefined {
    if (entry.own || entry.settings.fingerprint === fingerprint) return entry
    return fingerprint === undefined ? this.#twins?.get(entry) : entry.twins?.get(fingerprint)
  }

  /** The client's name for `entry` is gone. */
  #release(entry: StatementEntry): void {
    const twin = this.#twins?.get(entry)
    if (twin !== undefined) {
      this.#twins!.delete(entry)
      this.#store.release(twin)
    }
    this.#store.releaseName(entry, this.#account)
  }

  /** The server deallocated `name` alone. */
  remove(name: string): void {
    const entry = this.#named.get(name)
    if (entry === undefined) return
    this.#named.delete(name)
    this.#standings?.delete(name)
    this.#release(entry)
  }

  /** What is known of `name`, which the client has. */
  standing(name: string): Standing {
    return this.#standings?.get(name) ?? 'proven'
  }

  stand(name: string, standing: Standing): void {
    if (standing === 'proven') this.#standings?.delete(name)
    else {
      this.#standings ??= new Map()
      this.#standings.set(name, standing)
    }
  }

  /**
   * `body` was prepared for `name` in the place of `entry`, and PostgreSQL said `description` of it, which is another. Returns
   * what `name` stands for from now on; undefined where it does not stand for `entry` any more.
   */
  become(name: string, entry: StatementEntry, body: Buffer, description: Description): StatementEntry | undefined {
    if (this.#named.get(name) !== entry) return undefined
    const variant = this.#store.holdVariant(entry, body, description, this.#account)
    this.#named.set(name, variant)
    this.#release(entry)
    return variant
  }

  /** What `name` stands for if nothing fails that is under way. */
  get(name: string): StatementEntry | undefined {
    const changes = this.#changes.get(name)
    return changes === undefined ? this.#named.get(name) : changes.entries.last
  }

  /** False while what `name` stands for depends on the answer to another batch than `batch`. */
  certain(name: string, batch: number): boolean {
    const changes = this.#changes.get(name)
    return changes === undefined || changes.batch === batch
  }

  /** A message is sent in `batch` by which `name` stands for `entry` (held for it), or, closed, for nothing. */
  change(name: string, entry: StatementEntry | undefined, batch: number): void {
    const changes = this.#changes.get(name)
    const { entries } = changes ?? { entries: new Queue<StatementEntry | undefined>() }
    entries.push(entry)
    if (changes === undefined) this.#changes.set(name, { entries, batch })
  }

  /** The oldest change of `name` was answered, or, where not `done`, has not happened. */
  settle(name: string, done: boolean): void {
    const changes = this.#changes.get(name)
    if (changes === undefined) return
    const entry = changes.entries.shift()
    if (changes.entries.size === 0) this.#changes.delete(name)
    if (!done) {
      if (entry !== undefined) this.#release(entry)
      return
    }
    const before = this.#named.get(name)
    if (before !== undefined) this.#release(before)
    if (entry !== undefined) this.#named.set(name, entry)
    else {
      this.#named.delete(name)
      if (!this.#changes.has(name)) this.#standings?.delete(name)
    }
  }

  /** The server deallocated everything (DEALLOCATE ALL, DISCARD ALL): what is under way comes after that. */
  clear(): void {
    for (const entry of this.#named.values()) this.#release(entry)
    this.#named.clear()
    this.#standings = undefined
  }

  /** The session is over. */
  destroy(): void {
    this.clear()
    for (const { entries } of this.#changes.values()) {
      for (const entry of entries) if (entry !== undefined) this.#release(entry)
    }
    this.#changes.clear()
    this.#store.leave(this.#account)
  }
}
