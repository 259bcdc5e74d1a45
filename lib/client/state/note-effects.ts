/**
 * What a client's statements may leave behind in the session of its server, noted as they are sent: it is looked at when
 * the transaction is over (release.ts).
 */

import { TX_IDLE } from '../../protocol/types.ts'
import type { ServerConnection } from '../../server/connection.ts'
import { forgetSequences } from '../../server/forget-sequences.ts'
import { majorOf } from '../../settings/time-limits.ts'
import { NO_FACTS, SqlFacts, UNKNOWN_CODE } from '../../sql/facts.ts'
import { DEFINES, settingsInStrings } from '../../sql/function-sources.ts'
import { keepingFunction } from '../../sql/known-functions.ts'
import type { LongText } from '../../sql/long-text.ts'
import { RESETTING } from '../../sql/setting-names.ts'
import {
  ANY,
  DISCARD,
  EXECUTES,
  KEEPS,
  KEEPS_BEFORE_18,
  LOOKED_FOR,
  MEANING,
  NEXTVAL,
  PREPARED,
  SEQUENCE,
  SETTINGS,
  SLOT,
} from '../../sql/state-effects.ts'
import { type StatementEntry, textOf } from '../../statements/shared-statements.ts'
import type { ClientEffects } from './client-effects.ts'

/**
 * What is sent may leave state behind: it is looked at when the transaction is over.
 * @param text of which the facts are
 * @param bound it is bound to a portal, which may be executed
 */
export function noteEffects(
  client: ClientEffects,
  server: ServerConnection,
  facts: SqlFacts,
  text: string,
  bound = false,
): void {
  const { effects } = facts
  client.transaction.noteControl(text)
  if (!client.functions.quiet || server.content.functionsChanged) noteHidden(client, server, effects, text)
  if (effects === 0) return
  if ((effects & SETTINGS) !== 0 && DEFINES.test(text)) client.functions.learnFrom(text)
  if (facts.runsCode && (effects & DISCARD) === 0) {
    noteCode(client, server, text)
    lookFor(client, server, settingsInStrings(text))
  }
  if ((effects & (PREPARED | EXECUTES)) !== 0) noteSpoken(client, server, effects)
  // Whether it is a temporary one, or made at all, is of no account: no other client gets this server.
  if ((effects & SLOT) !== 0) server.retire('its client may have made a temporary replication slot')
  if ((effects & (SEQUENCE | NEXTVAL)) !== 0) noteSequence(client, server, effects)
  if ((effects & (KEEPS | KEEPS_BEFORE_18)) !== 0) noteKeeping(client, server, effects, text)
  if ((effects & SETTINGS) !== 0 && facts.mayReseed)
    noteKept(client, server, 'set the parameter seed', 'the parameter seed')
  if ((effects & MEANING) !== 0) client.transaction.noteMeaning(server, facts, bound)
  const lookedFor = effects & LOOKED_FOR
  if (lookedFor !== 0) client.transaction.note(lookedFor, facts)
}

/** A named statement is bound. */
export function noteNamed(client: ClientEffects, server: ServerConnection, entry: StatementEntry): void {
  const { functions } = client
  const known = functions.quiet || !functions.suspectsAgain(entry, () => textOf(entry.body))
  const { facts } = entry
  if (facts === NO_FACTS && known && !server.content.functionsChanged && !client.transaction.knowsLocal) return
  noteEffects(client, server, facts, facts.text || textOf(entry.body), true)
}

/** An unnamed statement as its client has sent it; the whole Parse, unless it was too long to be kept. */
interface Sent {
  readonly message: Buffer | undefined
  readonly facts: SqlFacts
}

/** The unnamed statement is bound. */
export function noteUnnamed(client: ClientEffects, server: ServerConnection, unnamed: Sent | undefined): void {
  if (unnamed === undefined) return
  const { facts, message } = unnamed
  const quiet = client.functions.quiet && !server.content.functionsChanged && !client.transaction.knowsLocal
  if (facts === NO_FACTS && quiet) return
  // Its Parse message: type, length, the empty name, the text.
  const text = facts.text || (message === undefined ? '' : textOf(message.subarray(6)))
  noteEffects(client, server, facts, text, true)
}

/** Functions of the database's own: what those that `text` names may leave, it does not say. */
function noteHidden(client: ClientEffects, server: ServerConnection, effects: number, text: string): void {
  const { functions } = client
  if (functions.defines(text)) server.content.changedFunctions()
  // What EXECUTE runs was prepared by another text.
  if (functions.keeps(text)) noteKeeping(client, server, KEEPS, '')
  if (!server.content.functionsChanged && (effects & EXECUTES) === 0 && !functions.suspects(text)) return
  server.effects.suspect()
  client.transaction.noteMeaning(server, UNKNOWN_CODE, false)
  client.transaction.note(ANY, UNKNOWN_CODE)
  noteCode(client, server, '')
  lookFor(client, server, settingsInStrings(text))
}

/**
 * PREPARE and EXECUTE of SQL, which runs statements prepared by messages, too: what one of a client's prepared
 * statements would leave behind, any EXECUTE of it may.
 */
function noteSpoken(client: ClientEffects, server: ServerConnection, effects: number): void {
  if ((effects & PREPARED) !== 0) client.notePrepared(effects)
  if ((effects & EXECUTES) === 0) return
  if ((client.preparedEffects & SEQUENCE) !== 0) noteSequence(client, server, SEQUENCE)
  if ((client.preparedEffects & MEANING) !== 0) client.transaction.noteMeaning(server, UNKNOWN_CODE, false)
  if ((client.preparedEffects & (KEEPS | KEEPS_BEFORE_18)) !== 0)
    noteKeeping(client, server, client.preparedEffects, '')
  if ((client.preparedEffects & (ANY | SLOT)) === 0) return
  client.transaction.note(ANY, UNKNOWN_CODE)
  noteCode(client, server, '')
}

/** What a function keeps in the session, nobody can ask for, and it ends with the session alone. */
function noteKeeping(client: ClientEffects, server: ServerConnection, effects: number, text: string): void {
  if ((effects & KEEPS) === 0 && majorOf(server.settings) >= 18) return
  const name = keepingFunction(text)
  const what = name === undefined ? 'a function that keeps session state' : `${name}()`
  noteKept(client, server, `called ${what}`, what)
}

function noteKept(client: ClientEffects, server: ServerConnection, did: string, what: string): void {
  server.retire(`its client has ${did}`)
  // With `error` it was refused, or is in no statement that runs.
  if (client.remembered.policy !== 'error') client.pin(server, 'other', what)
}

/** Code runs that may do anything: should its client vanish before the server is asked, nothing of it may stay. */
function noteCode(client: ClientEffects, server: ServerConnection, text: string): void {
  const { functions } = client
  server.content.ranCode()
  lookFor(client, server, functions.settings)
  if (functions.enabled && DEFINES.test(text)) server.content.changedFunctions()
  if (LOADS.test(text)) server.content.ranLoad()
}

/** Ask for the parameters `names` as well when the transaction is over: PostgreSQL does not list them. */
export function lookFor(client: ClientEffects, server: ServerConnection, names: readonly string[]): void {
  if (!client.remembered.lookFor(names)) noteUnread(client, server, 'more parameters than can be asked for')
}

/** Parameters may be set of which only the server knows the names: it is the client's as long as that may keep it. */
export function noteUnread(client: ClientEffects, server: ServerConnection, reason: string): void {
  if (client.remembered.policy === 'pin') client.pin(server, 'other', reason)
}

/** A Query too long to be looked at as a whole has been read as it streamed by. */
export function noteLong(client: ClientEffects, server: ServerConnection, long: LongText): void {
  const { effects, text, words, doubtful } = long
  if (!client.functions.quiet || server.content.functionsChanged) noteHidden(client, server, effects, words)
  noteEffects(client, server, new SqlFacts(text, effects), text)
  // What it sets for its transaction, and where that ends, is not looked at.
  client.transaction.lostTrack()
  if ((effects & ANY) === ANY) noteCode(client, server, words)
  if (doubtful) server.retire('its client has sent a text that cannot be read')
  if (!long.unread) return
  server.content.ranCode()
  noteUnread(client, server, 'a long text that may set parameters')
}

/** LOAD in a DO, whose tag does not tell of it. */
const LOADS = /\bload\b/i

/**
 * currval() and lastval() speak of this session's nextval(): a client that uses them stays with its server from then
 * on, and from the first one on nobody finds values of somebody else's on a server. nextval() alone does not keep it,
 * because programs call that all day; but where values are read at all, the server is not taken away before the next
 * transaction, which may read it, or a moment of silence (timeouts.ts).
 */
export function noteSequence(client: ClientEffects, server: ServerConnection, effects: number): void {
  const { functions } = client
  if ((effects & SEQUENCE) === 0) {
    if (functions.readsSequences && client.remembered.policy === 'pin') client.transaction.holdForNext()
    return
  }
  functions.noteReader()
  // Others had the server before anybody read one. Inside a transaction the values may be its own.
  const foreign = server.content.sequenceOwner !== client.id
  if (foreign && server.plan.settled && server.txStatus === TX_IDLE) forgetSequences(server, client.id)
  const { policy } = client.remembered
  // With `error` it was refused, or is in no statement that runs.
  if (policy !== 'error') client.pin(server, 'sequence')
}

/**
 * What cannot be carried to another server keeps the client where it is: a text too long to be kept, or any where
 * max_prepared_statements is 0. Returns whether it may stay there.
 */
export function noteUnmovable(
  client: ClientEffects,
  server: ServerConnection,
  named: boolean,
  whole: boolean,
): boolean {
  const pins = client.remembered.policy === 'pin'
  if (named) client.pin(server, 'other', 'prepared statement')
  else if (!whole && pins) client.pin(server, 'other', 'long unnamed statement')
  return pins
}

/** In session mode only what takes parameters back to their defaults matters: those are the client's own. */
export function noteReset(client: ClientEffects, body: Buffer): void {
  if (client.parameters.startup.size === 0) return
  const text = body.toString('latin1')
  if (!RESETTING.test(text)) return
  // The body of a Query, or of a Parse behind its name.
  const sql = textOf(body.subarray(text.indexOf('\0') + 1)) || textOf(body)
  client.transaction.note(SETTINGS, new SqlFacts(sql, SETTINGS))
}
