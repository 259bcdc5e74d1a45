/**
 * auth_type passthrough: the memory of passwords that PostgreSQL itself has accepted.
 *
 * The first login of a user is proven by logging in to PostgreSQL with its password; later ones with the same password
 * are checked against this memory, and proven again when `ttlMs` has passed. A different password is never judged
 * here: it is tried with PostgreSQL, so that a changed or revoked one takes effect. Passwords are kept in memory only,
 * because more server connections are opened with them. `key` stands for database, user and target. Called by the
 * client's login; no I/O, the time comes from outside.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { BoundedMap } from '../util/bounded-map.ts'
import { encodePassword } from './password-text.ts'

/** Verdict on a password: see PassthroughMemory.check. */
export type PassthroughVerdict = 'fresh' | 'stale' | 'different' | 'unknown'

/** What a PassthroughMemory is made of. */
export interface PassthroughOptions {
  /** How long a proof counts, in milliseconds; 0 = every login is proven with PostgreSQL. */
  ttlMs: number
  /** Milliseconds of a clock that does not jump. */
  now: () => number
  /** Keys remembered; the one unused for longest goes first. Default 10000. */
  maxUsers?: number
}

interface Proof {
  password: string
  digest: Buffer
  provenAt: number
}

export class PassthroughMemory {
  readonly #options: PassthroughOptions
  readonly #digestKey = randomBytes(32)
  readonly #proofs: BoundedMap<Proof>
  /** Whether the server asked for a password under a key of which none is proven, and when that was seen. */
  readonly #seen: BoundedMap<{ asks: boolean; merit: string; seenAt: number }>

  /** Somebody got in without a proof. */
  #unproven = false

  constructor(options: PassthroughOptions) {
    this.#options = options
    this.#proofs = new BoundedMap(options.maxUsers ?? 10000)
    this.#seen = new BoundedMap(options.maxUsers ?? 10000)
  }

  /** PostgreSQL asked for a password and accepted this one, just now. */
  remember(key: string, password: string): void {
    this.#seen.delete(key)
    this.#proofs.set(key, { password, digest: this.#digest(password), provenAt: this.#options.now() })
  }

  /**
   * 'fresh': the remembered password, proven within the ttl. 'stale': the remembered one, to be proven again.
   * 'different': another one is remembered. 'unknown': none is. Only 'fresh' lets a client in.
   */
  check(key: string, password: string): PassthroughVerdict {
    const proof = this.#proofs.get(key)
    if (!proof) return 'unknown'
    if (!timingSafeEqual(proof.digest, this.#digest(password))) return 'different'
    return this.#isFresh(proof.provenAt) ? 'fresh' : 'stale'
  }

  /** The remembered password, for opening further server connections of clients that are already in. */
  passwordFor(key: string): string | undefined {
    return this.#proofs.get(key)?.password
  }

  /** PostgreSQL refused the remembered password, or the key's target is gone. */
  forget(key: string): void {
    this.#proofs.delete(key)
    this.#seen.delete(key)
  }

  /** Who may log in with what may have changed: every password is to be proven again. */
  forgetAll(): void {
    this.#proofs.clear()
    this.#seen.clear()
  }

  /**
   * PostgreSQL let us in without asking for a password, so no login under this key proves anything.
   * @param merit what it may have let pgbun in for, see server/own-merit; '' where any program of this machine would do
   */
  markNoPassword(key: string, merit: string): void {
    this.#proofs.delete(key)
    this.#seen.set(key, { asks: false, merit, seenAt: this.#options.now() })
  }

  /** PostgreSQL asked for a password, and nothing is known of it: spares asking again for the next login. */
  markPassword(key: string): void {
    this.#seen.set(key, { asks: true, merit: '', seenAt: this.#options.now() })
  }

  /** What markNoPassword was told, as long as that counts; undefined where the server asks for a password, or is to be asked. */
  meritOf(key: string): string | undefined {
    return this.asksPassword(key) === false ? this.#seen.get(key)?.merit : undefined
  }

  /** Whether the server asks for a password under this key, as seen within the ttl; undefined if not seen. */
  asksPassword(key: string): boolean | undefined {
    const proof = this.#proofs.get(key)
    if (proof && this.#isFresh(proof.provenAt)) return true
    const seen = this.#seen.get(key)
    return seen && this.#isFresh(seen.seenAt) ? seen.asks : undefined
  }

  /** A client was let in without a proof. True for the first one, which is worth a line in the log. */
  noteUnproven(): boolean {
    const first = !this.#unproven
    this.#unproven = true
    return first
  }

  /** Keys with a remembered password. */
  get size(): number {
    return this.#proofs.size
  }

  #isFresh(since: number): boolean {
    const age = this.#options.now() - since
    return age >= 0 && age < this.#options.ttlMs
  }

  #digest(password: string): Buffer {
    return createHmac('sha256', this.#digestKey).update(encodePassword(password)).digest()
  }
}
