/**
 * The unnamed prepared statement of a client of transaction mode. PostgreSQL keeps one per session, so on a shared
 * server it may be another client's by the time this one binds it. Here it belongs to the client: its Parse is
 * remembered, and sent again, unseen, before a Bind or Describe that finds the server's unnamed statement is not ours.
 *
 * Drivers that prepare in one round trip and bind in the next need this (lib/pq, older diesel and asyncpg, Bun.sql
 * without named statements).
 */

import { FRONTEND } from '../protocol/types.ts'
import type { ServerConnection } from '../server/connection.ts'
import { CLOSE, PARSE, SKIP } from '../session/reply-plan.ts'
import { effectsOf } from '../session/state-effects.ts'
import { textOf } from '../session/statements.ts'

/** Close of the unnamed statement, sent where a client binds one it never prepared. */
const CLOSE_UNNAMED = Buffer.from([FRONTEND.Close, 0, 0, 0, 6, 0x53, 0])

/** What one client's unnamed statement is. */
export class UnnamedStatement {
  /** Its Parse message, and at the same time the mark a server carries that has it. */
  #parse: Buffer | undefined
  /** What running it may leave behind in a session (session/state-effects), and its text, kept where that is something. */
  effects = 0
  text = ''

  /** The client has none any more. */
  forget(): void {
    this.#parse = undefined
  }

  /** The client prepares one. */
  onParse(server: ServerConnection, message: Buffer): void {
    // Type, length, the empty name.
    const text = textOf(message.subarray(6))
    this.effects = effectsOf(text)
    this.text = this.effects === 0 ? '' : text
    this.#parse = Buffer.from(message)
    server.unnamedOwner = this.#parse
  }

  /** The client binds; returns what must be sent first. */
  onBind(server: ServerConnection, body: Buffer): Buffer | undefined {
    // Portal name, then statement name.
    const portalEnd = body.indexOf(0)
    if (portalEnd < 0 || body[portalEnd + 1] !== 0) return undefined
    return this.#claim(server)
  }

  /** The client describes; returns what must be sent first. */
  onDescribe(server: ServerConnection, body: Buffer): Buffer | undefined {
    if (body[0] !== 0x53 || body[1] !== 0) return undefined
    return this.#claim(server)
  }

  /** The client closes. */
  onClose(server: ServerConnection, body: Buffer): void {
    if (body[0] !== 0x53 || body[1] !== 0) return
    if (server.unnamedOwner === this.#parse) server.unnamedOwner = undefined
    this.#parse = undefined
  }

  #claim(server: ServerConnection): Buffer | undefined {
    if (this.#parse !== undefined && server.unnamedOwner === this.#parse) return undefined
    if (this.#parse === undefined) {
      // PostgreSQL itself shall say that there is no such statement, whoever used this server before.
      server.unnamedOwner = undefined
      server.plan.expect(CLOSE, SKIP)
      return CLOSE_UNNAMED
    }
    server.unnamedOwner = this.#parse
    server.plan.expect(PARSE, SKIP)
    return this.#parse
  }
}
