/**
 * Answers as lines that can be compared: byte for byte, but for what legitimately differs between two sessions.
 */

import { createHash } from 'node:crypto'
import { type Message, parse } from '../fixtures/messages.ts'
import type { Answers, Played } from './play.ts'

/** Where two clients were answered differently. */
export interface Difference {
  client: number
  turn: number
  expected: string[]
  found: string[]
}

/** What a comparison came to. */
export interface Comparison {
  difference?: Difference
  /** From some turn on, the two cannot be compared, for a reason that is known: see `isRefusal` and `isTooLate`. */
  parted: boolean
}

/** What may be different. */
export interface Differing {
  /** Tables with this id or a higher one are temporary, and have another in every session. */
  temporary: number
  /** Somebody has presented the client's cancel key meanwhile. */
  canceled: boolean
  /** Servers were killed meanwhile. */
  kills: boolean
}

/**
 * The status behind a Query or FunctionCall in the middle of a batch, which the Sync behind it ends: PostgreSQL 18 says that
 * a block is open if anything was executed before, and pgbun may have had to set something for a Parse of its own.
 */
function isMidBatch(expected: readonly string[], found: readonly string[], at: number): boolean {
  const ends = expected[at + 1] === 'Z I' && found[at + 1] === 'Z I'
  return expected[at] === 'Z I' && found[at] === 'Z T' && ends
}

/** The first difference between a direct connection and one through pgbun, turn by turn. */
export function compare(
  client: number,
  direct: Played,
  pooled: Played,
  { temporary, canceled, kills }: Differing,
): Comparison {
  const count = Math.max(direct.turns.length, pooled.turns.length)
  let status = 'I'
  for (let turn = 0; turn < count; turn++) {
    const expected = linesOf(direct.turns[turn], temporary)
    const found = linesOf(pooled.turns[turn], temporary)
    for (let at = 0; at < Math.max(expected.length, found.length); at++) {
      const line = expected[at]
      if (line !== found[at]) {
        if (isMidBatch(expected, found, at)) continue
        if (isInternal(line) || isLeftOver(found[at])) return { parted: true }
        if (isConflict(line) || isConflict(found[at])) return { parted: true }
        // What has run, and what a COMMIT has become, is nobody's knowledge from here on.
        if (canceled && isCanceled(found[at])) return { parted: true }
        // What comes later may be another number of answers; this one must have come to its end.
        const missing = pooled.turns[turn]?.missing ?? 'login'
        if (kills && missing.startsWith('login') && isLost(found[at])) return { parted: true }
        const known = (status === 'E' && isRefusal(found[at])) || isTooLate(found[at])
        if (!known) return { difference: { client, turn, expected, found }, parted: false }
        // Both skip to the next Sync; otherwise what the one skips, the other does.
        if (!line?.startsWith('E ')) return { parted: true }
      }
      if (line?.startsWith('Z ')) status = line.slice(2)
    }
  }
  return { parted: false }
}

/**
 * In an aborted transaction a statement this server does not have cannot be prepared on it: PostgreSQL refuses that.
 * On a direct connection the statement is there, and a Bind or Describe of it may have another error, or none. Neither
 * can it be prepared for a DEALLOCATE of it behind the ROLLBACK in the same Query.
 */
function isRefusal(line: string | undefined): boolean {
  return line?.startsWith('E ') === true && / C=(25P02|26000) /.test(line)
}

/** Serializable transactions that had nothing to do with each other were taken to have. */
function isConflict(line: string | undefined): boolean {
  return line?.startsWith('E ') === true && / C=40001 /.test(line)
}

/** PostgreSQL itself has lost its way, as behind a FunctionCall that fails in the middle of a batch. */
function isInternal(line: string | undefined): boolean {
  return line?.startsWith('E ') === true && / C=XX000 /.test(line)
}

/** What that leaves to the next statement, which a direct connection need not be told in the same place. */
function isLeftOver(line: string | undefined): boolean {
  return isInternal(line) && line!.includes(' M=StartTransactionCommand: unexpected state STARTED ')
}

function isCanceled(line: string | undefined): boolean {
  return line?.startsWith('E ') === true && / C=57014 /.test(line)
}

/** The session has ended with its server, or had none when it began, or the outcome of what was sent is unknown. */
function isLost(line: string | undefined): boolean {
  if (line === '(connection closed)' || line?.startsWith('(login: FATAL: terminating connection')) return true
  return line?.startsWith('E ') === true && / C=(57P01|08006) /.test(line)
}

/**
 * A statement that is prepared for a Describe takes a snapshot in its transaction, which on a direct connection a Describe
 * does not: BEGIN ISOLATION LEVEL behind it, without a Sync in between, is too late (TRANSACTION-MODE.md).
 */
function isTooLate(line: string | undefined): boolean {
  return line?.startsWith('E ') === true && / C=25001 M=SET TRANSACTION .* must be called before any query /.test(line)
}

function linesOf(answers: Answers | undefined, temporary: number): string[] {
  if (answers === undefined) return ['(not played)']
  const lines = parametersSorted(answers.messages.map((item) => readable(item, temporary)))
  if (answers.closed) lines.push('(connection closed)')
  if (answers.missing !== undefined) lines.push(`(${answers.missing})`)
  return lines
}

/**
 * What PostgreSQL reports of several parameters at once comes in the order in which they left their defaults in that session
 * (guc.c: `guc_nondef_list`, `guc_report_list`): a server that has had other clients has another one.
 */
function parametersSorted(lines: string[]): string[] {
  const sorted: string[] = []
  for (let at = 0; at < lines.length; ) {
    let end = at
    while (lines[end]?.startsWith('S ')) end++
    if (end > at) sorted.push(...lines.slice(at, end).sort())
    else sorted.push(lines[end++]!)
    at = end
  }
  return sorted
}

/** A message as one line of text. */
export function readable({ type, body }: Message, temporary: number): string {
  switch (type) {
    case 'E':
    case 'N':
      return `${type} ${fields(body)}`
    case 'Z':
    case 'C':
      return `${type} ${body.toString('utf8').replaceAll('\0', '')}`
    case 'S':
      return `S ${parse.strings(body).join('=')}`
    case 'A':
      // In front of channel and payload stands the process id of the sender.
      return `A ${parse.strings(body.subarray(4)).join(' ')}`
    case 'T':
      return `T ${columns(body, temporary)}`
    default:
      return body.length === 0 ? type : `${type} ${short(body)}`
  }
}

/**
 * The fields of an error or notice in their order. In an aborted transaction pgbun may have to prepare a statement this
 * server does not have: the refusal is the same, but comes from PostgreSQL's code for Parse instead of that for Bind. What
 * is said of an end without a beginning comes from another line where a Parse was ahead in the same batch.
 */
function fields(body: Buffer): string {
  const all = parse.fields(body)
  if (all.C === '25P02' || all.C === '25P01') for (const code of ['L', 'R']) delete all[code]
  return Object.entries(all)
    .map(([code, value]) => `${code}=${value.replace(/(bind message supplies .* prepared statement ")[^"]+/, '$1…')}`)
    .join(' ')
}

/** Columns with all that is said of them, but for the ids of temporary tables. Other tables have the same in both runs. */
function columns(body: Buffer, temporary: number): string {
  const copy = Buffer.from(body)
  for (let at = 2; at < copy.length; at += 18) {
    at = copy.indexOf(0, at) + 1
    if (copy.readUInt32BE(at) >= temporary) copy.writeUInt32BE(0xffffffff, at)
  }
  return `${parse.columns(body).join(',')} ${digest(copy)}`
}

function short(body: Buffer): string {
  const text = body
    .toString('latin1', 0, 400)
    .replace(/[^ -~]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
  return body.length <= 160 ? text : `${text.slice(0, 100)}… ${body.length} bytes ${digest(body)}`
}

function digest(body: Buffer): string {
  return createHash('sha1').update(body).digest('hex').slice(0, 8)
}
