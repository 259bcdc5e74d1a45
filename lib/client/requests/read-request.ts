/**
 * What kind of a request stands at the cursor of a batch, for a client whose reads may go to standbys: looked at before a
 * server is chosen. Only a request that is there as a whole, with nothing behind it, may be a read. Pure.
 */

import { type Batch, FIRST, LAST } from '../../protocol/batch.ts'
import { FRONTEND } from '../../protocol/types.ts'
import { type StatementEntry, textOf } from '../../statements/shared-statements.ts'
import { kindOf, queryText, STATEMENT } from '../statements/message-kinds.ts'

/**
 * What may be done with a text: run on a standby, where the client's writes are; on any that is not too old, because the
 * client asks for that (`chosen`), though it may be no read (`forced`); on the primary though it changes nothing, or there
 * as what may write.
 */
export type Verdict = 'replica' | 'chosen' | 'forced' | 'primary' | 'writes'

/** What a request is judged by. */
export interface ReadJudge {
  /** Of a text (latin1). */
  ofText(text: string): Verdict
  /** Of the shared statement that the client calls `name`; undefined where it has none of that name. */
  ofStatement(name: string): Verdict | undefined
}

const WHOLE = FIRST | LAST

/** What becomes of the request at the cursor of `batch`. */
export function verdictOn(batch: Batch, judge: ReadJudge): Verdict {
  const { cursor, count } = batch
  if (batch.type(cursor) === FRONTEND.Query) {
    return cursor + 1 === count && batch.flags(cursor) === WHOLE ? judge.ofText(queryText(batch, cursor)) : 'writes'
  }
  return verdictOnExtended(batch, judge)
}

/** Messages of the extended protocol: one statement is bound and executed, or none is, and the Sync is the last of them. */
function verdictOnExtended(batch: Batch, judge: ReadJudge): Verdict {
  const { count } = batch
  const parsed = new Map<string, Verdict>()
  let bound: Verdict | undefined
  let executes = 0
  for (let i = batch.cursor; i < count; i++) {
    if (batch.flags(i) !== WHOLE) return 'writes'
    switch (batch.type(i)) {
      case FRONTEND.Parse:
        if (!parses(batch.bodyOf(i), judge, parsed)) return 'writes'
        break
      case FRONTEND.Bind:
        if (bound !== undefined) return 'writes'
        bound = verdictOnBind(batch.bodyOf(i), judge, parsed)
        break
      case FRONTEND.Close:
        if (kindOf(batch, i) === STATEMENT) return 'writes'
        break
      case FRONTEND.Execute:
        executes++
        break
      case FRONTEND.Describe:
      case FRONTEND.Flush:
        break
      case FRONTEND.Sync:
        if (i + 1 < count || executes > 1) return 'writes'
        // Without an Execute nothing is run. What the client is told of columns is true of no standby that is behind that.
        return executes === 0 ? 'writes' : (bound ?? 'writes')
      default:
        return 'writes'
    }
  }
  return 'writes'
}

/** Note in `parsed` what a Parse names; false where it is malformed. */
function parses(body: Buffer, judge: ReadJudge, parsed: Map<string, Verdict>): boolean {
  const { text, rest } = cstring(body, 0)
  if (rest < 0) return false
  parsed.set(text, judge.ofText(textOf(body.subarray(rest))))
  return true
}

function verdictOnBind(body: Buffer, judge: ReadJudge, parsed: ReadonlyMap<string, Verdict>): Verdict {
  const { rest } = cstring(body, 0)
  if (rest < 0) return 'writes'
  const { text: name } = cstring(body, rest)
  // What the unnamed statement is that was parsed before is not known here.
  return parsed.get(name) ?? (name === '' ? 'writes' : (judge.ofStatement(name) ?? 'writes'))
}

/** The string (latin1) that begins at `start` of `body`, and the position behind its end; -1 where it has none. */
function cstring(body: Buffer, start: number): { text: string; rest: number } {
  const end = body.indexOf(0, start)
  return { text: body.toString('latin1', start, Math.max(start, end)), rest: end < 0 ? -1 : end + 1 }
}

/** Bytes of a request that is kept for that. */
const LIMIT = 65_536
/** A copy of the request at the cursor of `batch`; undefined where it cannot be sent twice. */
export function keptRequest(batch: Batch): Buffer | undefined {
  const { cursor, count } = batch
  for (let i = cursor; i < count; i++) {
    if (batch.flags(i) !== WHOLE) return undefined
    // The name of a statement would be taken the second time.
    if (batch.type(i) === FRONTEND.Parse && batch.bodyOf(i)[0] !== 0) return undefined
  }
  const bytes = batch.chunk.subarray(batch.start(cursor), batch.end(count - 1))
  return bytes.length > LIMIT ? undefined : Buffer.from(bytes)
}

/** The text of a shared statement. */
export function statementText({ body, facts }: StatementEntry): string {
  return facts.text === '' ? textOf(body) : facts.text
}
