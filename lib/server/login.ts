/**
 * The login of one server connection (protocol chapter "Start-up"): StartupMessage, the Authentication exchange,
 * parameters, cancel key, the first ReadyForQuery. Promises are fine here: it happens once per connection.
 *
 * Comes in: a connected wire (after TLS) and credentials. Goes out: the identity of the connection, or a LoginError
 * with the server's own words. The exchange itself is auth/server-auth's. Everything the server says is untrusted.
 */

import type { AuthReply, ServerAuth } from '../auth/server-auth.ts'
import type { Wire, WireHandler } from '../net/wire.ts'
import { type Batch, FIRST, LAST } from '../protocol/batch.ts'
import { passwordMessage } from '../protocol/build.ts'
import { readError } from '../protocol/error-response.ts'
import { ProtocolError, Reader } from '../protocol/reader.ts'
import { BACKEND, backendName } from '../protocol/types.ts'
import { LoginNotices, NO_NOTICES } from './login-notices.ts'

/** PostgreSQL, or the way to it, refused. */
export class LoginError extends Error {
  override name = 'LoginError'
  /** The server's SQLSTATE, or one that says what failed. */
  readonly sqlstate: string
  /** The server's own DETAIL, or ours. */
  readonly detail: string
  /** PostgreSQL itself said it, rather than the network or pgbun. */
  readonly fromServer: boolean
  /** The server asked for a password before it, or we, gave up. */
  askedForPassword = false
  /** What an operator can do; for the log. */
  remedy: string | undefined

  constructor(
    message: string,
    options: { sqlstate: string; detail?: string; fromServer?: boolean; remedy?: string; cause?: unknown },
  ) {
    super(message, { cause: options.cause })
    this.sqlstate = options.sqlstate
    this.detail = options.detail ?? ''
    this.fromServer = options.fromServer ?? false
    this.remedy = options.remedy
  }
}

/** What a completed login tells. */
export interface LoginResult {
  pid: number
  secret: Buffer
  parameters: Map<string, string>
  notices: LoginNotices
}

/** A server may report this many parameters; more is not PostgreSQL. */
const PARAMETER_LIMIT = 1000

/** PostgreSQL is full (53300), or the role or database has as many connections as it may. */
const NO_SERVER_CONNECTION_LEFT =
  'lower pool_size (each database and user has a pool of its own), or raise max_connections of PostgreSQL, ' +
  'or the CONNECTION LIMIT of the role or database'

/** Messages that may wait while a step of the authentication takes its time. */
const QUEUE_LIMIT = 2000

/** One login; the handler of the wire until it is done. */
export class Login implements WireHandler {
  readonly #wire: Wire
  readonly #auth: ServerAuth
  readonly #result: LoginResult = { pid: 0, secret: Buffer.alloc(0), parameters: new Map(), notices: NO_NOTICES }
  readonly #queue: { type: number; body: Buffer; whole: boolean }[] = []
  #working = false
  #ready = false
  #settled = false
  #authenticated = false
  #resolve!: (result: LoginResult) => void
  #reject!: (error: Error) => void
  /** Resolves with the identity, rejects with a LoginError. */
  readonly done: Promise<LoginResult>

  constructor(makeWire: (handler: WireHandler) => Wire, startup: Buffer, auth: ServerAuth) {
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#auth = auth
    this.#wire = makeWire(this)
    this.#wire.write(startup)
    this.#wire.start()
  }

  get wire(): Wire {
    return this.#wire
  }

  onBatch(batch: Batch): void {
    for (let i = 0; i < batch.count; i++) {
      const flags = batch.flags(i)
      const type = batch.type(i)
      if ((flags & FIRST) === 0) continue
      if (this.#queue.length >= QUEUE_LIMIT) batch.violation ??= 'too many messages'
      if (batch.violation !== undefined) break
      // Copied: an asynchronous step may lie between now and its turn.
      this.#queue.push({ type, body: Buffer.from(batch.bodyOf(i)), whole: (flags & LAST) !== 0 })
      const mayBeLong = type === BACKEND.ErrorResponse || type === BACKEND.NoticeResponse
      if ((flags & LAST) === 0 && !mayBeLong) batch.violation ??= 'message too long'
    }
    const violation = batch.violation
    batch.release()
    if (violation !== undefined) this.#fail(violation)
    else void this.#work()
  }

  onFull(): void {}

  onDrain(): void {}

  onFault(error: unknown): void {
    this.#failWith(error instanceof Error ? error : new Error(String(error)))
  }

  onEnd(error: Error | undefined): void {
    this.#failWith(
      new LoginError(`server closed the connection during login${error ? `: ${error.message}` : ''}`, {
        sqlstate: '08006',
        cause: error,
      }),
    )
  }

  /** Give up, for instance at a deadline. */
  abort(error: Error): void {
    this.#failWith(error)
  }

  /** Take the messages one by one; a step that needs time (PBKDF2) holds back those behind it. */
  async #work(): Promise<void> {
    if (this.#working) return
    this.#working = true
    try {
      while (this.#queue.length > 0) {
        const { type, body, whole } = this.#queue.shift()!
        const reply = this.#take(type, body, whole)
        if (reply) this.#answer(reply instanceof Promise ? await reply : reply)
      }
      // Not before all of the chunk is seen: a server that shuts down says so right behind its ReadyForQuery.
      if (this.#ready && !this.#settled) {
        this.#settled = true
        this.#resolve(this.#result)
      }
    } catch (error) {
      this.#failWith(error as Error)
    } finally {
      this.#working = false
    }
  }

  #take(type: number, body: Buffer, whole: boolean): AuthReply | Promise<AuthReply> | undefined {
    switch (type) {
      case BACKEND.Authentication: {
        if (this.#authenticated) throw new ProtocolError('authentication request after login')
        const reader = new Reader(body)
        const code = reader.int32()
        if (code === 0) this.#authenticated = true
        return this.#auth.onRequest(code, reader.rest())
      }
      case BACKEND.ErrorResponse: {
        const { message, sqlstate, detail } = readError(body)
        throw new LoginError(message || 'the server refused the connection', {
          sqlstate: sqlstate || '08004',
          detail,
          fromServer: true,
          remedy: remedyFor(sqlstate, message),
        })
      }
      case BACKEND.NoticeResponse:
        if (this.#authenticated && whole) this.#notice(body)
        return undefined
      case BACKEND.NegotiateProtocolVersion:
        return undefined
      case BACKEND.ParameterStatus: {
        const reader = new Reader(body)
        const name = reader.cstring()
        if (this.#result.parameters.size >= PARAMETER_LIMIT) throw new ProtocolError('too many parameters')
        this.#result.parameters.set(name, reader.cstring())
        return undefined
      }
      case BACKEND.BackendKeyData: {
        const reader = new Reader(body)
        this.#result.pid = reader.int32()
        this.#result.secret = Buffer.from(reader.rest())
        return undefined
      }
      case BACKEND.ReadyForQuery:
        if (!this.#authenticated) throw new ProtocolError('ready before authentication')
        if (this.#ready) throw new ProtocolError('ready twice')
        this.#ready = true
        return undefined
      default:
        throw new ProtocolError(`unexpected ${backendName(type)} during login`)
    }
  }

  #notice(body: Buffer): void {
    if (this.#result.notices === NO_NOTICES) this.#result.notices = new LoginNotices()
    this.#result.notices.add(body, this.#result.secret.length > 0)
  }

  #answer(reply: AuthReply): void {
    if (reply.type === 'send') this.#wire.write(passwordMessage(reply.payload))
    else if (reply.type === 'failed') {
      throw new LoginError(reply.reason, { sqlstate: '28000', remedy: reply.remedy })
    }
  }

  #fail(what: string): void {
    this.#failWith(new LoginError(`protocol error of the server during login: ${what}`, { sqlstate: '08P01' }))
  }

  #failWith(error: Error): void {
    if (this.#settled) return
    this.#settled = true
    this.#wire.destroy()
    this.#reject(
      error instanceof ProtocolError
        ? new LoginError(`protocol error of the server during login: ${error.message}`, { sqlstate: '08P01' })
        : error,
    )
  }
}

/** What an operator can do about a refusal of PostgreSQL, where its words do not say it. */
function remedyFor(sqlstate: string, message: string): string | undefined {
  if (sqlstate === '53300') return NO_SERVER_CONNECTION_LEFT
  if (sqlstate === '28000' && message.includes('pg_hba.conf')) {
    return 'add a line for the address of pgbun to pg_hba.conf of PostgreSQL, and reload it'
  }
  return undefined
}
