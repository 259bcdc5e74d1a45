/**
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS as step functions, both roles (RFC 5802, RFC 7677; protocol chapter "SASL
 * Authentication"). Payloads in, payloads out; no I/O and no framing.
 *
 * ScramServer checks a client: nothing but HMACs, since the keys are given. ScramClient logs in to PostgreSQL, with a
 * password (PBKDF2 through the cache, hence perhaps a promise) or with keys taken from a client's own exchange. Every
 * step is called once and in order by client-auth.ts and server-auth.ts; a result that is not `ok` ends the exchange,
 * its `reason` is for the log only. Channel binding is tls-server-end-point throughout.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { ScramKeyCache, ScramKeys } from './scram-keys.ts'
import { hmacSha256, sha256 } from './scram-keys.ts'
import {
  type ClientFirst,
  parseClientFinal,
  parseClientFirst,
  parseServerFinal,
  parseServerFirst,
  printable,
} from './scram-message.ts'

export const SCRAM = 'SCRAM-SHA-256'
export const SCRAM_PLUS = 'SCRAM-SHA-256-PLUS'

/** Raw bytes of a nonce made here: PostgreSQL's SCRAM_RAW_NONCE_LEN. */
const NONCE_BYTES = 18
const BINDING_TYPE = 'tls-server-end-point'

/** An exchange that ended. `malformed` tells a breach of the protocol from a proof that does not match. */
export interface ScramFailure {
  ok: false
  reason: string
  malformed: boolean
}

/** What ScramServer is made of. */
export interface ScramServerOptions {
  salt: Buffer
  iterations: number
  /** Whether the client chose SCRAM-SHA-256-PLUS. */
  plus: boolean
  /** End-point hash of our certificate, if the connection is TLS and -PLUS was offered. */
  channelBinding?: Buffer
  /** For tests; random by default. */
  nonce?: string
}

/** The server's role: checks one client. */
export class ScramServer {
  readonly #options: ScramServerOptions
  #first: ClientFirst | undefined
  #nonce = ''
  #serverFirst = ''

  constructor(options: ScramServerOptions) {
    this.#options = options
  }

  /** Takes the client-first-message, returns the server-first-message. */
  first(payload: Buffer): { ok: true; data: Buffer } | ScramFailure {
    const parsed = parseClientFirst(payload)
    if (parsed.malformed !== undefined) return malformed(parsed.malformed)
    const first = parsed.value
    const refusal = this.#refuseBinding(first.binding)
    if (refusal) return malformed(refusal)
    const { salt, iterations, nonce } = this.#options
    this.#first = first
    this.#nonce = first.nonce + (nonce ?? randomBytes(NONCE_BYTES).toString('base64'))
    this.#serverFirst = `r=${this.#nonce},s=${salt.toString('base64')},i=${iterations}`
    return { ok: true, data: Buffer.from(this.#serverFirst, 'latin1') }
  }

  /**
   * Takes the client-final-message, returns the server-final-message and the ClientKey that the proof disclosed, with
   * which one can log in wherever the same verifier is stored.
   */
  final(
    payload: Buffer,
    keys: Pick<ScramKeys, 'storedKey' | 'serverKey'>,
  ): { ok: true; serverFinal: Buffer; clientKey: Buffer } | ScramFailure {
    const first = this.#first
    if (!first) return malformed('the client-final-message came before the client-first-message')
    const parsed = parseClientFinal(payload)
    if (parsed.malformed !== undefined) return malformed(parsed.malformed)
    const final = parsed.value
    if (!equal(final.channelBinding, this.#expectedBinding(first))) {
      return malformed('the channel binding of the client does not match: it sees another certificate than ours')
    }
    if (final.nonce !== this.#nonce) return malformed('the client does not repeat the nonce of the exchange')
    const authMessage = `${first.bare},${this.#serverFirst},${final.withoutProof}`
    const clientKey = xor(final.proof, hmacSha256(keys.storedKey, authMessage))
    if (!equal(sha256(clientKey), keys.storedKey)) return { ok: false, reason: 'wrong password', malformed: false }
    const signature = hmacSha256(keys.serverKey, authMessage).toString('base64')
    return { ok: true, serverFinal: Buffer.from(`v=${signature}`, 'latin1'), clientKey }
  }

  /** RFC 5802 section 6: the flag must fit what was chosen and offered, or someone in the middle stripped -PLUS. */
  #refuseBinding(binding: ClientFirst['binding']): string | undefined {
    const { plus, channelBinding } = this.#options
    if (typeof binding === 'object') {
      if (!plus) return `the client sent channel binding with ${SCRAM}, which has none`
      if (binding.name !== BINDING_TYPE)
        return `the client asks for channel binding ${binding.name}, not ${BINDING_TYPE}`
      return channelBinding ? undefined : `the client chose ${SCRAM_PLUS}, which was not offered`
    }
    if (plus) return `the client chose ${SCRAM_PLUS} but sent no channel binding`
    if (binding === 'y' && channelBinding) {
      return `the client was told that ${SCRAM_PLUS} is not offered, although it is: someone may be in the middle`
    }
    return undefined
  }

  #expectedBinding(first: ClientFirst): Buffer {
    const header = Buffer.from(first.gs2Header, 'latin1')
    return typeof first.binding === 'object' ? Buffer.concat([header, this.#options.channelBinding!]) : header
  }
}

/** Keys of a client's own exchange, and the salt and count they belong to. */
export interface ClientKeys {
  clientKey: Buffer
  serverKey: Buffer
  salt?: Buffer
  iterations?: number
}

/** What ScramClient is made of: a password with the cache for its keys, or the keys. */
export interface ScramClientOptions {
  /** SCRAM or SCRAM_PLUS, from chooseMechanism. */
  mechanism: string
  /** End-point hash of the server's certificate, if the connection is TLS. */
  channelBinding?: Buffer
  password?: string
  keys?: ClientKeys
  keyCache: ScramKeyCache
  /** Bounds of the iteration count; a hostile server must not burn our CPU. Default 1 to 1000000. */
  minIterations?: number
  maxIterations?: number
  /** For tests; random by default. */
  nonce?: string
  /** For tests: RFC 7677's example has a user name, PostgreSQL wants none. */
  userName?: string
}

/** The mechanism to log in with: -PLUS whenever both ends can; undefined where the server offers neither. */
export function chooseMechanism(offered: readonly string[], hasBinding: boolean): string | undefined {
  if (hasBinding && offered.includes(SCRAM_PLUS)) return SCRAM_PLUS
  return offered.includes(SCRAM) ? SCRAM : undefined
}

/** The client's role: logs in to one PostgreSQL. */
export class ScramClient {
  readonly #options: ScramClientOptions
  readonly #gs2Header: string
  readonly #bare: string
  readonly #nonce: string
  #serverSignature: Buffer | undefined

  constructor(options: ScramClientOptions) {
    this.#options = options
    this.#nonce = options.nonce ?? randomBytes(NONCE_BYTES).toString('base64')
    // `y` where we could bind and the server did not offer it: a server that did offer it notices the downgrade.
    const flag = options.mechanism === SCRAM_PLUS ? `p=${BINDING_TYPE}` : options.channelBinding ? 'y' : 'n'
    this.#gs2Header = `${flag},,`
    this.#bare = `n=${options.userName ?? ''},r=${this.#nonce}`
  }

  /** The client-first-message. */
  first(): Buffer {
    return Buffer.from(this.#gs2Header + this.#bare, 'latin1')
  }

  /** Takes the server-first-message, returns the client-final-message. `iterations` is what the server asked for. */
  final(payload: Buffer): FinalResult | Promise<FinalResult> {
    const parsed = parseServerFirst(payload)
    if (parsed.malformed !== undefined) return malformed(parsed.malformed)
    const { nonce, salt, iterations, text } = parsed.value
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      return malformed('the server does not extend our nonce')
    }
    const { minIterations = 1, maxIterations = 1_000_000, password, keys, keyCache } = this.#options
    if (iterations < minIterations || iterations > maxIterations) {
      return malformed(`the server asks for ${iterations} iterations, outside of ${minIterations} to ${maxIterations}`)
    }
    if (keys) {
      if ((keys.salt && !keys.salt.equals(salt)) || (keys.iterations !== undefined && keys.iterations !== iterations)) {
        return { ok: false, reason: 'the SCRAM secret of the server is not the one in auth_file', malformed: false }
      }
      return this.#finish(keys, nonce, text, iterations)
    }
    if (password === undefined) return { ok: false, reason: 'no password is known', malformed: false }
    const derived = keyCache.keys(password, salt, iterations)
    if (!(derived instanceof Promise)) return this.#finish(derived, nonce, text, iterations)
    return derived.then((known) => this.#finish(known, nonce, text, iterations))
  }

  /** Takes the server-final-message. Only then has the server proven that it knows the verifier. */
  verify(payload: Buffer): { ok: true } | ScramFailure {
    const parsed = parseServerFinal(payload)
    if (parsed.malformed !== undefined) return malformed(parsed.malformed)
    if ('error' in parsed.value) {
      return { ok: false, reason: `the server refused: ${printable(parsed.value.error)}`, malformed: false }
    }
    if (!this.#serverSignature) return malformed('the server-final-message came before the server-first-message')
    if (!equal(parsed.value.signature, this.#serverSignature)) {
      return malformed('the server cannot prove that it knows the password: it may be an impostor')
    }
    return { ok: true }
  }

  #finish(keys: ClientKeys, nonce: string, serverFirst: string, iterations: number): FinalResult {
    const binding =
      this.#options.mechanism === SCRAM_PLUS ? (this.#options.channelBinding ?? Buffer.alloc(0)) : Buffer.alloc(0)
    const channel = Buffer.concat([Buffer.from(this.#gs2Header, 'latin1'), binding]).toString('base64')
    const withoutProof = `c=${channel},r=${nonce}`
    const authMessage = `${this.#bare},${serverFirst},${withoutProof}`
    const proof = xor(keys.clientKey, hmacSha256(sha256(keys.clientKey), authMessage))
    this.#serverSignature = hmacSha256(keys.serverKey, authMessage)
    return { ok: true, data: Buffer.from(`${withoutProof},p=${proof.toString('base64')}`, 'latin1'), iterations }
  }
}

/** The client-final-message, or why there is none. */
export type FinalResult = { ok: true; data: Buffer; iterations: number } | ScramFailure

function malformed(reason: string): ScramFailure {
  return { ok: false, reason, malformed: true }
}

function equal(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

function xor(a: Buffer, b: Buffer): Buffer {
  const out = Buffer.alloc(a.length)
  for (let i = 0; i < a.length; i++) out[i] = a[i]! ^ b[i]!
  return out
}
