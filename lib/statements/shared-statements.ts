/**
 * Named prepared statements across servers. A client's names are its own; what is prepared on the servers is shared:
 * one entry per query text and parameter types, prepared on a server when a client first needs it there, under a name
 * of pgbun's own. Three small stores, all pure: here, the entries of a database; client-statements.ts, the names of
 * one client; server-statements.ts, what one server has prepared.
 *
 * An entry's key also holds the client's settings: PostgreSQL evaluates literals while it parses (`'01/02/2026'::date`),
 * so the same text means different things under another DateStyle, TimeZone or client_encoding. What is parsed under
 * settings that are not known for sure, because a transaction may have changed them, is its client's alone.
 *
 * A plan holds what it was made under (`'\x01'::bytea::text` is a constant to the planner), and PostgreSQL parses anew,
 * under the settings of that moment, what has become invalid. So a shared statement is executed under the settings it
 * was parsed under, and under no others: who executes it under others has a twin of it prepared.
 *
 * A text means what it meant when it was parsed. After a change of tables, functions or types (`alter`, `outdate`) it is
 * another entry to whoever prepares it from then on, while names given before keep the old one, as on a direct
 * connection. What PostgreSQL said of it when it was prepared first (its description) is part of an entry for the same
 * reason: who prepared the same text and was told otherwise has another entry.
 */

import { createHash } from 'node:crypto'
import type { ParseSettings } from '../settings/setting-values.ts'
import { factsOf, type SqlFacts } from '../sql/facts.ts'
import { type Fingerprint, fingerprintOf } from '../sql/fingerprint.ts'
import { firstStatement } from '../sql/tokens.ts'
import { now } from '../util/clock.ts'
import type { Description } from './description.ts'
import {
  bytesOf,
  type Counted,
  type StatementAccount,
  type StatementCache,
  StatementMemory,
} from './statement-memory.ts'

/** One query text with its parameter types, under the same settings. */
export interface StatementEntry extends Counted {
  readonly key: string
  /** What it was parsed under. */
  readonly settings: ParseSettings
  /** One client's alone, because the settings are not known, or it is `local`: whatever it is executed under, that is its client's business. */
  readonly own: boolean
  /** The same statement for those who execute it under other settings, by their fingerprints. */
  twins: Map<string, StatementEntry> | undefined
  /** Of which statement it is a twin, and holds it: their text is one, and is counted there. */
  readonly twinOf: StatementEntry | undefined
  /** The Parse message behind the statement's name, byte for byte. */
  readonly body: Buffer
  /** What its text says. */
  readonly facts: SqlFacts
  /** By what its text is counted; undefined until somebody counts. */
  fingerprint: Fingerprint | undefined
  /** It only reads, and may be run again (sql/plain-read.ts); undefined until somebody has looked. */
  isRead: boolean | undefined
  /** Clients' names and servers that have it. */
  refs: number
  /** Of these, clients' names. */
  names: number
  /** What clients with a name for it were told, or would have been; undefined until PostgreSQL has said it. Not of twins. */
  description: Description | undefined
  /** When that was last found to be so (ms of the clock). */
  checkedAt: number
  /** What the text means has changed: no new name gets it. */
  outdated: boolean
  /** It speaks of what its session has besides tables, as a cursor. */
  readonly local: boolean
  /** Of which `schema` of the store it is. */
  readonly schema: number
  /** When it was taken for stale because of a value that did not fit (ms of the clock). */
  doubtedAt: number
}

/** Bodies up to this size are in their keys as they are, of longer ones a hash. */
const WHOLE_KEY = 256
/** Bytes of settings an entry keeps. */
const SETTINGS_LIMIT = 8192

/** Grows when what texts mean may have changed. */
export class Schema {
  version = 0
}

/** All entries of one database. */
export class StatementStore {
  readonly #entries = new Map<string, StatementEntry>()
  readonly #memory: StatementMemory
  readonly #left: () => void
  /** Clients and servers that use it. */
  #users = 0
  /** Entries that are one client's alone. */
  #own = 0
  readonly #schema: Schema

  /**
   * @param memory where they are counted
   * @param schema what is altered anywhere
   * @param left called when the last client or server has left
   */
  constructor(memory = new StatementMemory(), schema = new Schema(), left = (): void => {}) {
    this.#memory = memory
    this.#schema = schema
    this.#left = left
  }

  /** What texts mean may have changed: nothing that was prepared is given to a new name. */
  alter(): void {
    this.#schema.version++
  }

  /** Number of entries. */
  get size(): number {
    return this.#entries.size + this.#own
  }

  /** Those that are not one client's alone. */
  shared(): Iterable<StatementEntry> {
    return this.#entries.values()
  }

  /** Bytes that statements take, with the names of clients: those of every database. */
  get bytes(): number {
    return this.#memory.bytes
  }

  /** A client of the database user `user` begins to prepare statements: what they are counted with, until `leave`. */
  join(user: string): StatementAccount {
    this.#users++
    return this.#memory.join(user)
  }

  /** That client is gone, with its names. */
  leave(account: StatementAccount): void {
    this.#memory.leave(account)
    this.#leave()
  }

  /** A server prepares statements, until `detach`. */
  attach(cache: StatementCache): void {
    this.#users++
    this.#memory.attach(cache)
  }

  detach(cache: StatementCache): void {
    this.#memory.detach(cache)
    this.#leave()
  }

  #leave(): void {
    if (--this.#users === 0) this.#left()
  }

  /** The entry of a Parse message's `body` behind the name, if there is one that is shared. */
  find({ fingerprint }: ParseSettings, body: Buffer): StatementEntry | undefined {
    return fingerprint === undefined ? undefined : this.#current(keyOf(fingerprint, body))
  }

  #current(key: string): StatementEntry | undefined {
    const entry = this.#entries.get(key)
    return entry?.schema === this.#schema.version && !entry.outdated ? entry : undefined
  }

  /**
   * The entry of a Parse message's `body` behind the name, for a name of a client's. It is held until `releaseName`.
   * @param settings what it is parsed under; where that is not known, nobody else finds it
   * @param account of the client's user
   * @param facts of its text, where they are known
   */
  hold(settings: ParseSettings, body: Buffer, account: StatementAccount, facts?: SqlFacts): StatementEntry {
    return this.#name(this.find(settings, body) ?? this.#add(settings, body, facts), account)
  }

  /**
   * The entry of what `entry` has become, for one of its names: `body` was prepared in its place, and PostgreSQL said
   * `description` of it. It is held as by `hold`.
   */
  holdVariant(
    entry: StatementEntry,
    body: Buffer,
    description: Description,
    account: StatementAccount,
  ): StatementEntry {
    const current = entry.own ? undefined : this.find(entry.settings, body)
    if (current?.description?.equals(description)) return this.#name(current, account)
    const variant = this.#add(entry.settings, body, entry.facts)
    variant.description = description
    variant.checkedAt = now()
    return this.#name(variant, account)
  }

  /** False where what texts mean was changed since there is `entry`, as far as that was seen. */
  unaltered(entry: StatementEntry): boolean {
    return entry.schema === this.#schema.version
  }

  #name(entry: StatementEntry, account: StatementAccount): StatementEntry {
    entry.refs++
    entry.names++
    this.#memory.named(account, entry)
    return entry
  }

  #add(settings: ParseSettings, body: Buffer, known: SqlFacts | undefined): StatementEntry {
    const text = textOf(body)
    const facts = known ?? factsOf(text)
    const local = speaksOfSession(text)
    const own = local || settings.fingerprint === undefined
    const key = own ? '' : keyOf(settings.fingerprint!, body)
    const kept = keptOf(settings)
    const entry: StatementEntry = {
      key,
      bytes: bytesOf(key.length, body.length) + sizeOf(kept) + facts.text.length,
      holders: new Map(),
      settings: kept,
      own,
      twins: undefined,
      twinOf: undefined,
      body: copyOf(body),
      facts,
      refs: 0,
      fingerprint: undefined,
      isRead: undefined,
      names: 0,
      description: undefined,
      checkedAt: Number.NEGATIVE_INFINITY,
      outdated: false,
      local,
      schema: this.#schema.version,
      doubtedAt: Number.NEGATIVE_INFINITY,
    }
    if (own) this.#own++
    else this.#entries.set(key, entry)
    this.#memory.added(entry)
    return entry
  }

  /** A client's name for it is gone. */
  releaseName(entry: StatementEntry, account: StatementAccount): void {
    entry.names--
    this.#memory.unnamedBy(account, entry)
    this.release(entry)
  }

  /**
   * Whether `body` has room within `limit` bytes: what all have may be too much, or what the user has. Makes room of what
   * only servers keep.
   */
  judge(settings: ParseSettings, body: Buffer, account: StatementAccount, limit: number): 'fits' | 'all' | 'user' {
    const memory = this.#memory
    // As if its key were as long as it can be: working that out would take longer than the rest.
    const bytes = bytesOf((settings.fingerprint?.length ?? 0) + WHOLE_KEY + 8, body.length) + sizeOf(keptOf(settings))
    const verdict = memory.judge(account, undefined, bytes, limit)
    if (verdict === 'fits') return verdict
    memory.makeRoom()
    return memory.judge(account, this.find(settings, body), bytes, limit)
  }

  /** One holder less; the last one takes the entry with it. */
  release(entry: StatementEntry): void {
    if (--entry.refs > 0) return
    if (entry.twinOf !== undefined) {
      const { twinOf: original, own, key } = entry
      if (!own && original.twins?.get(key) === entry) original.twins.delete(key)
      this.release(original)
      return
    }
    if (entry.own) this.#own--
    else if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key)
    this.#memory.removed(entry)
  }
}

/**
 * The same statement as `entry`, parsed under the same settings, to be executed under others.
 * @param fingerprint of those; undefined where they are not known: it is nobody else's then, and held by who asked
 */
export function twinOf(entry: StatementEntry, fingerprint: string | undefined): StatementEntry {
  const known = fingerprint === undefined ? undefined : entry.twins?.get(fingerprint)
  if (known !== undefined) return known
  const twin: StatementEntry = {
    ...entry,
    key: fingerprint ?? '',
    own: fingerprint === undefined,
    twins: undefined,
    twinOf: entry,
    holders: new Map(),
    refs: 0,
    names: 0,
    doubtedAt: Number.NEGATIVE_INFINITY,
  }
  entry.refs++
  if (fingerprint === undefined) twin.refs++
  else {
    entry.twins ??= new Map()
    entry.twins.set(fingerprint, twin)
  }
  return twin
}

/** By what the text of `entry` is told from others: read once. */
export function fingerprintOfEntry(entry: StatementEntry): Fingerprint {
  entry.fingerprint ??= fingerprintOf(entry.body, 0, Math.max(0, entry.body.indexOf(0)))
  return entry.fingerprint
}

/** PostgreSQL says `description` of `entry`. Returns false where that is not what was known of it. */
export function agrees(entry: StatementEntry, description: Description): boolean {
  entry.description ??= description
  if (!entry.description.equals(description)) return false
  entry.checkedAt = now()
  return true
}

/**
 * True for a text whose columns are those of something else that its session has when it is parsed: EXECUTE of a
 * prepared statement, FETCH from a cursor. PostgreSQL does not compare them when it is run.
 */
export function speaksOfSession(text: string): boolean {
  const start = firstStatement(text)
  return start >= 0 && SPEAKING.test(text.slice(start, start + 8))
}

const SPEAKING = /^(?:execute|fetch)\b/i

function keyOf(fingerprint: string, body: Buffer): string {
  const settings = `${fingerprint.length} ${fingerprint}`
  if (body.length <= WHOLE_KEY) return `${settings}=${body.toString('latin1')}`
  // A long text is not kept twice.
  return `${settings}#${createHash('sha256').update(body).digest('base64')}`
}

/** The bytes alone: the message is a view of a chunk (R7), and a small buffer of Node's would be one of 8 kB. */
function copyOf(body: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(body.length)
  body.copy(copy)
  return copy
}

/** The settings as an entry keeps them: large ones, which only programs have that look for trouble, it does without. */
function keptOf(settings: ParseSettings): ParseSettings {
  return sizeOf(settings) <= SETTINGS_LIMIT ? settings : { fingerprint: settings.fingerprint, values: undefined }
}

function sizeOf({ values, steps }: ParseSettings): number {
  let size = 0
  for (const { name, sql } of steps ?? []) size += 200 + 2 * (name.length + sql.length)
  for (const [name, value] of values ?? []) size += 2 * (name.length + value.length)
  return size
}

/** The query text of a Parse body. */
export function textOf(body: Buffer): string {
  return body.toString('latin1', 0, body.indexOf(0))
}
