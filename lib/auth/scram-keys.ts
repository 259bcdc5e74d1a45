/**
 * The keys of SCRAM-SHA-256 (RFC 5802 section 3) and the cache that makes logins cheap.
 *
 * PBKDF2 is the one expensive step of a login: 4096 rounds take milliseconds, and a reconnect storm of a few hundred
 * clients would stall everybody (or, through crypto's pool of four threads, every DNS and file access). So it runs in
 * `crypto.pbkdf2` only, two at a time, once per (password, salt, iterations): the answer is remembered, and those who
 * ask while it is computed share it. What waits for its turn is given up when the last who asked has left, and strangers
 * from one place do not keep others waiting. Map keys are HMACs under a key of this process, so that no password is one.
 * Called by client-auth.ts and server-auth.ts; one instance per process, passed in. A verifier that is made for
 * keeps (scram-verifier.ts) needs no cache. A result that is known is returned
 * as a value, not as a promise, so that such a login stays in one turn.
 */
import { createHash, createHmac, createSecretKey, type KeyObject, pbkdf2, randomBytes } from 'node:crypto'
import type { ScramSecret } from '../config/userlist.ts'
import { BoundedMap } from '../util/bounded-map.ts'
import { FairGate } from '../util/fair-gate.ts'
import { SharedWork } from '../util/shared-work.ts'
import { encodePassword } from './password-text.ts'
import { saslprep } from './saslprep.ts'
import { SALT_BYTES, type UnknownUser } from './unknown-user.ts'

const KEY_BYTES = 32

/** What follows from a salted password. Only `clientKey` proves knowledge of the password. */
export interface ScramKeys {
  clientKey: Buffer
  storedKey: Buffer
  serverKey: Buffer
}

/** What checking a client needs when the secret is a plain password: the keys may still be in the making. */
export interface Verifier {
  salt: Buffer
  iterations: number
  keys: ScramKeys | Promise<ScramKeys>
}

/** Options of a ScramKeyCache. */
export interface ScramKeyCacheOptions {
  /** Passwords remembered; the one unused for longest goes first. Default 10000. */
  maxEntries?: number
  /** PBKDF2 computations at a time; Node has four threads that DNS and files need too. Default 2. */
  concurrency?: number
  /**
   * Key that salts made here derive from. Processes that serve one port must share it, and it should survive a restart:
   * salts that change then tell the names that exist from those that do not. Default random.
   */
  saltKey?: Buffer
}

/** For whom keys are computed: it may leave before they are. */
export interface KeyAsker {
  /** Askers of one group do not keep the others waiting. */
  readonly neighbourhood: string
  /** Aborted when it leaves. */
  readonly signal: AbortSignal
}

/** What is computed for pgbun's own logins, and ahead of any. */
const OWN = 'own'
const AHEAD = 'ahead'
/** Longest salt made here: a SHA-512. */
const MAX_SALT_BYTES = 64
/** Mock secrets that are kept, so that the second login with a name takes the time of one that exists. */
const MOCKS = 1000

export class ScramKeyCache {
  readonly #cacheKey = randomBytes(KEY_BYTES)
  readonly #saltKey: Buffer
  readonly #gate: FairGate
  readonly #known: BoundedMap<ScramKeys>
  readonly #mocks = new BoundedMap<ScramSecret>(MOCKS)
  readonly #underway = new SharedWork<ScramKeys>()

  constructor(options: ScramKeyCacheOptions = {}) {
    this.#known = new BoundedMap(options.maxEntries ?? 10000)
    const concurrency = Math.max(1, options.concurrency ?? 2)
    this.#gate = new FairGate(() => concurrency)
    this.#saltKey = options.saltKey ?? randomBytes(KEY_BYTES)
  }

  /** Derivations running or queued. */
  get pending(): number {
    return this.#underway.size
  }

  /**
   * The keys of `password` under `salt` and `iterations`: at once where they are known. `iterations` must have been
   * bounded by the caller. The promise rejects only if the runtime's PBKDF2 fails, or when the last asker has left.
   */
  keys(password: string, salt: Buffer, iterations: number, asker?: KeyAsker): ScramKeys | Promise<ScramKeys> {
    return this.#keys(password, salt, iterations, asker?.neighbourhood ?? OWN, asker)
  }

  #keys(
    password: string,
    salt: Buffer,
    iterations: number,
    group: string,
    asker: KeyAsker | undefined,
  ): ScramKeys | Promise<ScramKeys> {
    const key = this.#mapKey(password, salt.toString('latin1'), iterations)
    const known = this.#known.get(key)
    if (known) return known
    return this.#underway.join(key, asker?.signal, async (signal) => {
      const leave = await this.#gate.enter(group, signal)
      try {
        const keys = await deriveKeys(password, salt, iterations)
        this.#known.set(key, keys)
        return keys
      } finally {
        leave()
      }
    })
  }

  /**
   * The verifier of a plain password from the user list. Its salt is there at once, so that the exchange goes on while
   * the keys are computed.
   */
  verifier(user: string, password: string, iterations: number, asker?: KeyAsker): Verifier {
    const salt = this.#saltOf(user, SALT_BYTES)
    return { salt, iterations, keys: this.keys(password, salt, iterations, asker) }
  }

  /** Compute a verifier before it is asked for: the first login of a user must take no longer than later ones. */
  prepare(user: string, password: string, iterations: number): void {
    void this.#keys(password, this.#saltOf(user, SALT_BYTES), iterations, AHEAD, undefined)
  }

  /**
   * A verifier that no password matches, for a user that does not exist or has no usable secret: of the form of
   * `like`. The same user gets the same salt every time, as a real one would (RFC 5802 section 9; PostgreSQL's mock
   * authentication).
   */
  mockSecret(user: string, { iterations, saltLength }: Pick<UnknownUser, 'iterations' | 'saltLength'>): ScramSecret {
    const name = `${iterations} ${saltLength} ${user}`
    let secret = this.#mocks.get(name)
    if (secret === undefined) {
      const storedKey = this.#derive('stored key', user).subarray(0, KEY_BYTES)
      const serverKey = this.#derive('server key', user).subarray(0, KEY_BYTES)
      secret = { kind: 'scram', iterations, salt: this.#saltOf(user, saltLength), storedKey, serverKey }
      this.#mocks.set(name, secret)
    }
    return secret
  }

  /** Of users that exist and of those that do not, by one rule. It says nothing of a password. */
  #saltOf(user: string, length: number): Buffer {
    return this.#derive('salt', user).subarray(0, Math.min(length, MAX_SALT_BYTES))
  }

  #derive(what: string, user: string): Buffer {
    return createHmac('sha512', this.#saltKey).update(`${what}\0${user}`).digest()
  }

  #mapKey(password: string, salt: string, iterations: number): string {
    return createHmac('sha256', this.#cacheKey)
      .update(JSON.stringify([password, salt, iterations]))
      .digest('base64')
  }
}

/** The keys of `password`, computed: the expensive step. */
export function deriveKeys(password: string, salt: Buffer, iterations: number): Promise<ScramKeys> {
  return new Promise((resolve, reject) => {
    pbkdf2(encodePassword(saslprep(password)), salt, iterations, KEY_BYTES, 'sha256', (error, salted) => {
      if (error) reject(error)
      else resolve(keysFromSalted(salted))
    })
  })
}

/** Client, stored and server key of a SaltedPassword. */
export function keysFromSalted(saltedPassword: Buffer): ScramKeys {
  const clientKey = hmacSha256(saltedPassword, 'Client Key')
  return { clientKey, storedKey: sha256(clientKey), serverKey: hmacSha256(saltedPassword, 'Server Key') }
}

/** The keys of HMACs in the runtime's own form. */
const keyObjects = new WeakMap<Buffer, KeyObject>()

/** HMAC-SHA-256 of a latin1 `message`. `key` is never changed: making OpenSSL's form of it costs four times the HMAC. */
export function hmacSha256(key: Buffer, message: string): Buffer {
  let object = keyObjects.get(key)
  if (object === undefined) {
    object = createSecretKey(key)
    keyObjects.set(key, object)
  }
  return createHmac('sha256', object).update(message, 'latin1').digest()
}

/** SHA-256: H() of RFC 5802. */
export function sha256(data: Buffer): Buffer {
  return createHash('sha256').update(data).digest()
}
