/**
 * Whether a request of a client that holds no server may be sent behind those of others (pool/pipeline.ts): it is there as a
 * whole, it only reads, and it is certain to leave neither a transaction nor anything in the session. A request is one Query,
 * or a batch of the extended protocol that binds and executes one statement: the unnamed one, which it parses itself, or a
 * named one. Pure.
 */

import type { ShortText } from '../../pool/short-texts.ts'
import { type Batch, FIRST, LAST } from '../../protocol/batch.ts'
import { FRONTEND } from '../../protocol/types.ts'
import { factsOf, NO_FACTS } from '../../sql/facts.ts'
import type { Fingerprint } from '../../sql/fingerprint.ts'
import { isClear, isPlainRead } from '../../sql/plain-read.ts'
import { statementName } from '../../statements/client-statements.ts'
import { fingerprintOfEntry, type StatementEntry, textOf } from '../../statements/shared-statements.ts'
import type { ClientEffects } from '../state/client-effects.ts'
import { queryText } from '../statements/message-kinds.ts'
import { fingerprintIn } from './text-fingerprint.ts'

const WHOLE = FIRST | LAST
/** Bytes of a request that may be shared. */
const LIMIT = 16_384
/** Body of a Describe, or of an Execute of all rows, of the unnamed portal. */
const PORTAL = Buffer.from('P\0', 'latin1')
const ALL_ROWS = Buffer.alloc(5)

/** A request that may be shared. */
export interface Shareable {
  /** What is known of its statement. */
  readonly short: ShortText
  /** The client's name for the statement, which the server has to have; undefined where it is a part of the request. */
  readonly name: string | undefined
}

/**
 * What the rest of `batch` is, where it may be shared; undefined where its client is to have a server for itself.
 * @param statement what the client calls by a name
 */
export function shareable(
  batch: Batch,
  effects: ClientEffects,
  statement: (name: string) => StatementEntry | undefined,
): Shareable | undefined {
  const { cursor, count, chunk } = batch
  if (chunk.length > LIMIT || batch.flags(cursor) !== WHOLE) return undefined
  // What sequences gave somebody may want to see; and what is made may be a temporary table.
  if (effects.functions.readsSequences || effects.parameters.usesTemporarySchema) return undefined
  if (batch.type(cursor) !== FRONTEND.Query) return shareableBatch(batch, effects, statement)
  if (cursor + 1 !== count) return undefined
  const start = batch.start(cursor) + 5
  const fingerprint = fingerprintIn(batch, cursor, start, Math.max(start, batch.end(cursor) - 1))
  return ofText(effects, fingerprint, queryText(batch, cursor))
}

function shareableBatch(
  batch: Batch,
  effects: ClientEffects,
  statement: (name: string) => StatementEntry | undefined,
): Shareable | undefined {
  let at = batch.cursor
  const parses = batch.type(at) === FRONTEND.Parse
  // The name of one that is prepared under it would be taken.
  if (parses && batch.bodyOf(at)[0] !== 0) return undefined
  const parse = at
  if (parses) at++
  if (!isPlainRun(batch, at)) return undefined
  const bind = batch.bodyOf(at)
  if (bind[0] !== 0) return undefined
  const end = bind.indexOf(0, 1)
  if (parses !== (end === 1)) return undefined
  if (parses) {
    const from = batch.start(parse) + 6
    const bytes = batch.buffer(parse)
    const to = bytes.indexOf(0, from)
    if (to < 0 || to >= batch.end(parse)) return undefined
    return ofText(effects, fingerprintIn(batch, parse, from, to), bytes.toString('latin1', from, to))
  }
  const name = statementName(bind, 1, Math.max(1, end))
  const entry = end < 0 ? undefined : statement(name)
  return entry && ofEntry(effects, entry, name)
}

/** Bind, perhaps a Describe, Execute and Sync, and nothing else: one portal, all of whose rows are asked for. */
function isPlainRun(batch: Batch, at: number): boolean {
  const { count } = batch
  const described = at + 1 < count && batch.type(at + 1) === FRONTEND.Describe
  const execute = at + (described ? 2 : 1)
  if (execute + 2 !== count) return false
  for (let i = at; i < count; i++) if (batch.flags(i) !== WHOLE) return false
  if (batch.type(at) !== FRONTEND.Bind || batch.type(execute) !== FRONTEND.Execute) return false
  if (batch.type(execute + 1) !== FRONTEND.Sync) return false
  return ALL_ROWS.equals(batch.bodyOf(execute)) && (!described || PORTAL.equals(batch.bodyOf(at + 1)))
}

/** True where running `text` (latin1) certainly changes nothing in the session of which others could see something. */
function ofText({ functions, pool }: ClientEffects, fingerprint: Fingerprint, text: string): Shareable | undefined {
  if (!fingerprint.single || factsOf(text).effects !== 0 || !isClear(text)) return undefined
  if (!functions.quiet && (functions.suspects(text) || functions.keeps(text) || functions.defines(text)))
    return undefined
  const short = pool.pipelines.texts.of(fingerprint)
  // Texts of one fingerprint differ by literals and comments alone.
  short.isRead ??= isPlainRead(text)
  return short.isRead ? { short, name: undefined } : undefined
}

function ofEntry({ functions, pool }: ClientEffects, entry: StatementEntry, name: string): Shareable | undefined {
  if (entry.facts !== NO_FACTS) return undefined
  const fingerprint = fingerprintOfEntry(entry)
  if (!fingerprint.single) return undefined
  if (entry.isRead === undefined) {
    const text = textOf(entry.body)
    entry.isRead = isClear(text) && isPlainRead(text)
  }
  if (!entry.isRead) return undefined
  const suspected = !functions.quiet && functions.suspectsAgain(entry, () => textOf(entry.body))
  return suspected ? undefined : { short: pool.pipelines.texts.of(fingerprint), name }
}
