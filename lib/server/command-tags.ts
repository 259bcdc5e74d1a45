/**
 * What the tag of a CommandComplete says: `INSERT 0 1`, `CREATE TABLE`, `DISCARD ALL`. A net below what statements' texts
 * are suspected of, and what is known of changes that other clients have to be told of. Pure.
 */

import { STATE_KIND_ROWS } from '../sql/state-kinds.ts'

/** The session was changed. */
export const CHANGES_SESSION = 1
/** A statement was prepared by SQL. */
export const PREPARES = 1 << 1
/** A library was loaded. */
export const LOADS = 1 << 2
/** One prepared statement was deallocated. */
export const DEALLOCATES = 1 << 3
/** All were. */
export const DEALLOCATES_ALL = 1 << 4
/** The session was reset as a whole. */
export const DISCARDS = 1 << 5
/** Texts may mean something else from now on. */
export const ALTERS_MEANING = 1 << 6
/** Something was made or altered. */
export const MAKES = 1 << 7
/** That was code, or what leads to code. */
export const MAKES_CODE = 1 << 8
/** New sessions begin with other settings. */
export const CHANGES_DEFAULTS = 1 << 9
/** The name of a role may be another role's. */
export const REPLACES_ROLES = 1 << 10
/** Who may log in has changed. */
export const CHANGES_LOGINS = 1 << 11

/** First words of tags that say something: those of session state, and of what others have to know. */
const FIRST_WORDS = new Set([
  ...STATE_KIND_ROWS.flatMap(([, { tags }]) => tags),
  ...['ALTER', 'CALL', 'CREATE', 'DISCARD', 'DO', 'DROP', 'REVOKE'],
])
/** Their first three letters as a number; DO is followed by the end of the tag. */
const LETTERS = new Set([...FIRST_WORDS].map((tag) => Buffer.from(`${tag}\0`).readUIntBE(0, 3)))

/** No number in a tag is longer than PostgreSQL's own (uint64). */
const MOST_ROWS = 1e21

/** First words of tags of statements that change what texts mean, but for those of NOT_ALTERING. */
const ALTERING = new Set(['ALTER', 'CREATE', 'DROP'])
const NOT_ALTERING =
  /^(?:CREATE (?:TABLE|SEQUENCE)|[A-Z]+ (?:DATABASE|EVENT TRIGGER|INDEX|POLICY|PUBLICATION|ROLE|STATISTICS|SUBSCRIPTION|SYSTEM|TABLESPACE|TRIGGER))\b/
/** Tags of statements that make code; of others only those that name a suspected function can lead to it. */
const CODE =
  /^(?:CREATE|ALTER) (?:FUNCTION|PROCEDURE|ROUTINE|AGGREGATE|(?:EVENT )?TRIGGER|EXTENSION|(?:MATERIALIZED )?VIEW|RULE|POLICY|OPERATOR|CAST|DOMAIN|SCHEMA)\b/
const DEFAULTS = /^ALTER (?:ROLE|DATABASE)\b/
const ROLES = /^(?:CREATE|DROP) ROLE\b/

/** False where the tag at `at` says nothing, as nearly all do by their first three letters. */
export function maySay(bytes: Buffer, at: number): boolean {
  return LETTERS.has((bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!)
}

/** The number of rows at the end of the tag that ends at `end`, which is that of a message: `INSERT 0 5`; 0 without one. */
export function rowsIn(bytes: Uint8Array, start: number, end: number): number {
  let rows = 0
  let unit = 1
  for (let at = end - 2; at > start && bytes[at] !== 0x20; at--, unit *= 10) {
    const digit = bytes[at]! - 0x30
    if (digit < 0 || digit > 9) return 0
    rows += digit * unit
  }
  return unit < MOST_ROWS ? rows : 0
}

/** What the tag in `body` says; 0 for nothing. */
export function readTag(body: Buffer): number {
  let end = 0
  while (end < body.length && body[end] !== 0x20 && body[end] !== 0) end++
  const word = body.toString('latin1', 0, end)
  if (!FIRST_WORDS.has(word)) return 0
  if (ALTERING.has(word)) return readAltering(word, body.toString('latin1'))
  switch (word) {
    case 'REVOKE':
      // Of the right to connect, or of membership in what has it.
      return CHANGES_LOGINS
    case 'PREPARE':
      return CHANGES_SESSION | PREPARES
    case 'LOAD':
      return CHANGES_SESSION | LOADS
    case 'DEALLOCATE':
      if (body[end] === 0) return CHANGES_SESSION | DEALLOCATES
      return isAll(body) ? CHANGES_SESSION | DEALLOCATES_ALL : CHANGES_SESSION
    case 'DISCARD':
      return isAll(body) ? CHANGES_SESSION | DEALLOCATES_ALL | DISCARDS : CHANGES_SESSION
    default:
      return CHANGES_SESSION
  }
}

function readAltering(word: string, tag: string): number {
  let said = word === 'DROP' ? 0 : MAKES
  if (!NOT_ALTERING.test(tag)) said |= ALTERS_MEANING
  if (CODE.test(tag)) said |= MAKES_CODE
  if (DEFAULTS.test(tag)) said |= CHANGES_DEFAULTS | CHANGES_LOGINS
  if (ROLES.test(tag)) said |= REPLACES_ROLES
  return said
}

/** DEALLOCATE ALL, DISCARD ALL: the shared statements went with the client's own. */
function isAll(body: Buffer): boolean {
  return body.toString('latin1', body.indexOf(0x20) + 1, body.indexOf(0)) === 'ALL'
}
