/**
 * The keys of SCRAM-SHA-256 (RFC 5802 section 3) and the cache that makes logins cheap.
 *
 * PBKDF2 is the one expensive step of a login: 4096 rounds take milliseconds, and a reconnect storm of a few hundred
 * clients would stall everybody (or, through crypto's pool of four threads, every DNS and file access). So it runs in
 * `crypto.pbkdf2` only, two at a time, once per (password, salt, iterations): the answer is remembered, and those who
 * ask while it is computed share it. Map keys are HMACs under a key of this process, so that no password is one.
 * Called by client-auth.ts and server-auth.ts; one instance per process, passed in. A result that is known is returned
 * as a value, not as a promise, so that such a login stays in one turn.
 */
import { createHash, createHmac, createSecretKey, type KeyObject, pbkdf2, randomBytes } from 'node:crypto'
import type { ScramSecret } from '../config/userlist.ts'
import { BoundedMap } from '../util/bounded-map.ts'
import { encodePassword } from './password-text.ts'
import { saslprep } from './saslprep.ts'

/** Length of salts made here, in bytes: PostgreSQL's SCRAM_DEFAULT_SALT_LEN. */
const SALT_BYTES = 16
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
  /** Key that mock salts derive from. Processes that serve one port must share it. Default random. */
  mockKey?: Buffer
}

export class ScramKeyCache {
  readonly #cacheKey = randomBytes(KEY_BYTES)
  readonly #mockKey: Buffer
  readonly #concurrency: number
  readonly #known: BoundedMap<ScramKeys>
  readonly #salts: BoundedMap<Buffer>
  readonly #underway = new Map<string, Promise<ScramKeys>>()
  readonly #queue: (() => void)[] = []
  #running = 0

  constructor(options: ScramKeyCacheOptions = {}) {
    const maxEntries = options.maxEntries ?? 10000
    this.#known = new BoundedMap(maxEntries)
    this.#salts = new BoundedMap(maxEntries)
    this.#concurrency = Math.max(1, options.concurrency ?? 2)
    this.#mockKey = options.mockKey ?? randomBytes(KEY_BYTES)
  }

  /** Derivations running or queued. */
  get pending(): number {
    return this.#underway.size
  }

  /**
   * The keys of `password` under `salt` and `iterations`: at once where they are known. `iterations` must have been
   * bounded by the caller. The promise rejects only if the runtime's PBKDF2 fails.
   */
  keys(password: string, salt: Buffer, iterations: number): ScramKeys | Promise<ScramKeys> {
    const key = this.#mapKey('keys', password, salt.toString('latin1'), iterations)
    const known = this.#known.get(key) ?? this.#underway.get(key)
    if (known) return known
    const promise = this.#derive(password, salt, iterations).then(
      (keys) => {
        this.#known.set(key, keys)
        this.#underway.delete(key)
        return keys
      },
      (error: unknown) => {
        this.#underway.delete(key)
        throw error
      },
    )
    // The client it was started for may be gone by the time it settles.
    promise.catch(() => {})
    this.#underway.set(key, promise)
    return promise
  }

  /**
   * The verifier of a plain password from the user list, made with a random salt that stays the same while it is
   * remembered. The salt is there at once, so that the exchange goes on while the keys are computed. Also called for
   * every plain secret after loading a user list, so that the first login of a user takes no longer than later ones.
   */
  verifier(user: string, password: string, iterations: number): Verifier {
    const key = this.#mapKey('salt', password, user, iterations)
    let salt = this.#salts.get(key)
    if (!salt) {
      salt = randomBytes(SALT_BYTES)
      this.#salts.set(key, salt)
    }
    return { salt, iterations, keys: this.keys(password, salt, iterations) }
  }

  /**
   * A verifier that no password matches, for a user that does not exist or has no usable secret. The same user gets
   * the same salt every time, as a real one would (RFC 5802 section 9; PostgreSQL's mock authentication).
   */
  mockSecret(user: string, iterations: number): ScramSecret {
    const derive = (what: string) => createHmac('sha256', this.#mockKey).update(`${what}\0${user}`).digest()
    return {
      kind: 'scram',
      iterations,
      salt: derive('salt').subarray(0, SALT_BYTES),
      storedKey: derive('stored key'),
      serverKey: derive('server key'),
    }
  }

  #mapKey(purpose: string, password: string, context: string, iterations: number): string {
    const fields = JSON.stringify([purpose, password, context, iterations])
    return createHmac('sha256', this.#cacheKey).update(fields).digest('base64')
  }

  #derive(password: string, salt: Buffer, iterations: number): Promise<ScramKeys> {
    return new Promise((resolve, reject) => {
      const run = () => {
        this.#running++
        pbkdf2(encodePassword(saslprep(password)), salt, iterations, KEY_BYTES, 'sha256', (error, salted) => {
          this.#running--
          this.#queue.shift()?.()
          if (error) reject(error)
          else resolve(keysFromSalted(salted))
        })
      }
      if (this.#running < this.#concurrency) run()
      else this.#queue.push(run)
    })
  }
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
