/**
 * A client that talks to the console: simple and extended queries (protocol chapter "Message Flow") answered by pgbun itself.
 *
 * Comes in: the segments of the session's inbox once the client is logged in to the console. Goes out: messages to the client.
 * What must hold: one statement runs at a time, and what comes behind it waits in the inbox; whatever a client sends, the
 * console stays, unless the bytes are no messages.
 */

import type { Wire } from '../../net/wire.ts'
import { type Batch, FIRST, LAST, RUN } from '../../protocol/batch.ts'
import {
  BIND_COMPLETE,
  CLOSE_COMPLETE,
  commandComplete,
  EMPTY_QUERY_RESPONSE,
  errorResponse,
  NO_DATA,
  noticeResponse,
  PARSE_COMPLETE,
  PORTAL_SUSPENDED,
  readyForQuery,
} from '../../protocol/build.ts'
import { ProtocolError, Reader } from '../../protocol/reader.ts'
import { FRONTEND, frontendName, TX_BLOCK, TX_IDLE } from '../../protocol/types.ts'
import {
  type Cell,
  type ConsoleBackend,
  ConsoleError,
  type ConsoleResult,
  type ConsoleStatement,
  type ConsoleUser,
} from '../lifecycle/console-backend.ts'
import type { EndReason } from '../lifecycle/ending.ts'
import { countOf, readFormats, readParameters } from './parameters.ts'
import { dataRow, parameterDescription, rowDescription, TYPES } from './row-format.ts'

/** So many statements and so many portals may one client of the console keep. */
const KEPT = 1000
/** What Describe and Close are about. */
const STATEMENT = 0x53
const PORTAL = 0x50

/** The session that is logged in to the console. */
export interface ConsoleSession {
  readonly wire: Wire
  /** Handle what was read as far as the state allows. */
  pump(): void
  end(reason: EndReason): void
}

/** A statement of Parse; without one where its text is empty. */
interface Prepared {
  readonly statement: ConsoleStatement | undefined
  /** Object ids by parameter. */
  readonly types: readonly number[]
}

interface Portal {
  readonly statement: ConsoleStatement | undefined
  readonly formats: readonly number[]
  readonly parameters: readonly (string | null)[]
  result: ConsoleResult | undefined
  /** Rows sent. */
  sent: number
}

/** One client at the console. */
export class Conversation {
  readonly #session: ConsoleSession
  readonly #backend: ConsoleBackend
  readonly #user: ConsoleUser
  readonly #statements = new Map<string, Prepared>()
  readonly #portals = new Map<string, Portal>()
  /** A statement runs. */
  #running: AbortController | undefined
  /** Behind an error, what comes is discarded until the next Sync. */
  #skipping = false
  /** The message under way is longer than what is taken. */
  #tooLong = false
  #status: number = TX_IDLE
  #over = false

  constructor(session: ConsoleSession, backend: ConsoleBackend, user: ConsoleUser) {
    this.#session = session
    this.#backend = backend
    this.#user = user
  }

  /** The statement that runs is canceled. */
  cancel(): void {
    this.#running?.abort(new ConsoleError('canceled'))
  }

  /** The session is over. */
  end(): void {
    this.#over = true
    this.#running?.abort(new ConsoleError('canceled'))
  }

  /** Take the segment at the batch's cursor; false where it must wait. */
  take(batch: Batch): boolean {
    if (this.#running !== undefined || this.#session.wire.full) return false
    const i = batch.cursor++
    const type = batch.type(i)
    const flags = batch.flags(i)
    if (type === RUN) return true
    if ((flags & FIRST) !== 0) this.#tooLong = (flags & LAST) === 0
    if (this.#tooLong) {
      if ((flags & LAST) !== 0) this.#onMessage(type, undefined)
    } else if ((flags & LAST) !== 0) this.#onMessage(type, batch.bodyOf(i))
    return true
  }

  #onMessage(type: number, body: Buffer | undefined): void {
    try {
      this.#handle(type, body)
    } catch (error) {
      if (error instanceof ProtocolError) this.#violated(error.message)
      else if (error instanceof ConsoleError)
        this.#failed(error, type === FRONTEND.Query || type === FRONTEND.FunctionCall)
      else this.#session.end({ kind: 'fault', error })
    }
  }

  /** @param body undefined for a message that is too long */
  #handle(type: number, body: Buffer | undefined): void {
    if (type === FRONTEND.Terminate) {
      this.#session.end({ kind: 'terminated' })
      return
    }
    if (type === FRONTEND.Sync) {
      this.#skipping = false
      // Portals live as long as the transaction.
      if (this.#status === TX_IDLE) this.#portals.clear()
      this.#write(readyForQuery(this.#status))
      return
    }
    if (type === FRONTEND.Password) throw new ProtocolError(`unexpected ${frontendName(type)}`)
    if (this.#skipping || IGNORED.has(type)) return
    if (body === undefined) throw new ConsoleError('console_too_long')
    const reader = new Reader(body)
    switch (type) {
      case FRONTEND.Query:
        this.#query(reader.cstring())
        return
      case FRONTEND.Parse:
        this.#parse(reader)
        return
      case FRONTEND.Bind:
        this.#bind(reader)
        return
      case FRONTEND.Describe:
        this.#describe(reader)
        return
      case FRONTEND.Execute:
        this.#execute(reader)
        return
      case FRONTEND.Close:
        if (kindOf(reader) === STATEMENT) this.#statements.delete(reader.cstring())
        else this.#portals.delete(reader.cstring())
        this.#write(CLOSE_COMPLETE)
        return
      default:
        throw new ConsoleError('console_unsupported', { args: { what: frontendName(type) } })
    }
  }

  // ---- simple queries ----

  #query(text: string): void {
    // As in PostgreSQL, a Query ends the unnamed ones.
    this.#statements.delete('')
    this.#portals.clear()
    const statements = this.#backend.read(text, this.#user)
    if (statements.length === 0) this.#write(EMPTY_QUERY_RESPONSE)
    this.#run(async (signal) => {
      for (const statement of statements) {
        if (statement.parameters.length > 0) throw new ConsoleError('console_no_parameters')
        const result = await statement.run({ parameters: [], signal })
        if (this.#over) return
        this.#notice(result)
        if (statement.columns !== undefined) this.#write(rowDescription(statement.columns, []))
        this.#rows(statement, [], result.rows ?? [])
        this.#complete(result)
      }
      this.#write(readyForQuery(this.#status))
    }, true)
  }

  // ---- extended queries ----

  #parse(reader: Reader): void {
    const name = reader.cstring()
    const statements = this.#backend.read(reader.cstring(), this.#user)
    if (statements.length > 1) throw new ConsoleError('console_one_statement')
    if (name !== '' && this.#statements.has(name))
      throw new ConsoleError('console_statement_exists', { args: { name } })
    this.#bound(this.#statements, name)
    const [statement] = statements
    const given = Array.from({ length: countOf(reader, 4) }, () => reader.int32())
    const types = (statement?.parameters ?? []).map((type, i) => given[i] || TYPES[type].oid)
    this.#statements.set(name, { statement, types })
    this.#write(PARSE_COMPLETE)
  }

  #bind(reader: Reader): void {
    const name = reader.cstring()
    const { statement, types } = this.#prepared(reader.cstring())
    const parameters = readParameters(reader, readFormats(reader), types)
    const wanted = statement?.parameters.length ?? 0
    if (parameters.length !== wanted) {
      throw new ProtocolError(`bind message supplies ${parameters.length} parameters, but the statement has ${wanted}`)
    }
    const formats = readFormats(reader)
    this.#bound(this.#portals, name)
    this.#portals.set(name, { statement, formats, parameters, result: undefined, sent: 0 })
    this.#write(BIND_COMPLETE)
  }

  #describe(reader: Reader): void {
    const ofStatement = kindOf(reader) === STATEMENT
    const name = reader.cstring()
    const { statement, formats } = ofStatement
      ? { statement: this.#prepared(name).statement, formats: [] }
      : this.#portal(name)
    if (ofStatement) this.#write(parameterDescription(statement?.parameters ?? []))
    this.#write(statement?.columns === undefined ? NO_DATA : rowDescription(statement.columns, formats))
  }

  #execute(reader: Reader): void {
    const portal = this.#portal(reader.cstring())
    const limit = reader.int32()
    const { statement, formats } = portal
    if (statement === undefined) {
      this.#write(EMPTY_QUERY_RESPONSE)
      return
    }
    this.#run(async (signal) => {
      if (portal.result === undefined) {
        const result = await statement.run({ parameters: portal.parameters, signal })
        if (this.#over) return
        portal.result = result
        this.#notice(result)
      }
      const rows = portal.result.rows ?? []
      const until = limit > 0 ? Math.min(rows.length, portal.sent + limit) : rows.length
      this.#rows(statement, formats, rows.slice(portal.sent, until))
      const count = until - portal.sent
      portal.sent = until
      if (limit > 0 && count === limit) this.#write(PORTAL_SUSPENDED)
      else this.#complete(portal.result)
    }, false)
  }

  #prepared(name: string): Prepared {
    const prepared = this.#statements.get(name)
    if (prepared === undefined) throw new ConsoleError('console_no_statement', { args: { name } })
    return prepared
  }

  #portal(name: string): Portal {
    const portal = this.#portals.get(name)
    if (portal === undefined) throw new ConsoleError('console_no_portal', { args: { name } })
    return portal
  }

  #bound(kept: ReadonlyMap<string, unknown>, name: string): void {
    if (kept.size >= KEPT && !kept.has(name)) throw new ConsoleError('console_too_many', { args: { limit: `${KEPT}` } })
  }

  // ---- answers ----

  /** Run `work`; what the client sends meanwhile waits. `simple`: behind an error, a ReadyForQuery follows. */
  #run(work: (signal: AbortSignal) => Promise<void>, simple: boolean): void {
    const running = new AbortController()
    this.#running = running
    work(running.signal)
      .catch((error) => {
        if (this.#over) return
        if (error instanceof ConsoleError) this.#failed(error, simple)
        else this.#session.end({ kind: 'fault', error })
      })
      .finally(() => {
        this.#running = undefined
        if (!this.#over) this.#session.pump()
      })
  }

  #failed({ fields }: ConsoleError, simple: boolean): void {
    this.#write(errorResponse(fields))
    if (simple) this.#write(readyForQuery(this.#status))
    else this.#skipping = true
  }

  #violated(what: string): void {
    this.#session.end({ kind: 'error', name: 'protocol_violation', args: { args: { what } } })
  }

  #notice({ notices = [] }: ConsoleResult): void {
    for (const notice of notices) this.#write(noticeResponse(notice))
  }

  #rows({ columns = [] }: ConsoleStatement, formats: readonly number[], rows: readonly (readonly Cell[])[]): void {
    for (const row of rows) this.#write(dataRow(row, columns, formats))
  }

  #complete({ tag, inBlock }: ConsoleResult): void {
    if (inBlock !== undefined) this.#status = inBlock ? TX_BLOCK : TX_IDLE
    this.#write(commandComplete(tag))
  }

  #write(bytes: Buffer): void {
    this.#session.wire.write(bytes)
  }
}

/** Flush: all is written at the end of the turn. Ends of a COPY: PostgreSQL ignores them, too, where there is none. */
const IGNORED: ReadonlySet<number> = new Set([FRONTEND.Flush, FRONTEND.CopyData, FRONTEND.CopyDone, FRONTEND.CopyFail])

function kindOf(reader: Reader): number {
  const kind = reader.bytes(1)[0]!
  if (kind !== STATEMENT && kind !== PORTAL) throw new ProtocolError('invalid subtype of Describe or Close')
  return kind
}
