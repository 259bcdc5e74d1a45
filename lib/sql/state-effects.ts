/**
 * What a statement's text says about the session state it may leave behind. A first look, by words: it may suspect too
 * much (a column called `temporary`), and what it suspects is then asked of the server; it must not miss what the text
 * names. What a text cannot show (a function of the user's own) is the business of the reset between two clients.
 */

import { EVALUATING_FUNCTIONS, KEEPING_BEFORE_18 } from './known-functions.ts'
import { STATE_KIND_ROWS, STATE_KINDS, type StateKindRow } from './state-kinds.ts'

// ---- kinds of state ----

/** It may set or reset parameters: SET, RESET, set_config(). */
export const SETTINGS = STATE_KINDS.settings.effect
/** It may create or drop temporary tables. */
export const TEMPORARY = STATE_KINDS.temporary.effect
/** SQL-level PREPARE, DEALLOCATE. */
export const PREPARED = STATE_KINDS.prepare.effect
/** It reads what a sequence gave this session: currval(), lastval(). */
export const SEQUENCE = STATE_KINDS.sequence.effect
/** It may make a temporary replication slot, which no reset takes away. */
export const SLOT = STATE_KINDS.replicationSlot.effect
/** It may leave what nobody can ask for and no reset takes away (sql/known-functions). */
export const KEEPS = STATE_KINDS.other.effect
/** Everything: code whose effects its text does not show. */
export const ANY = sumOf(({ ofCode }) => ofCode)
/** The same with what makes a server useless for others: not because of any code, but where it is found behind one. */
export const ANY_FOUND = ANY | SLOT

// ---- what a statement does besides ----

/** DISCARD: several kinds at once. */
export const DISCARD = 256
/** It takes values from a sequence: nextval(). */
export const NEXTVAL = 512
/** EXECUTE: what it leaves behind is in another text, that of the statement it names. */
export const EXECUTES = 1024
/** It may create or change what names stand for, seen by its own transaction alone until that is over. */
export const RESHAPES = 4096
/** KEEPS, before PostgreSQL 18. */
export const KEEPS_BEFORE_18 = 16384
/** Effects by which a statement parsed behind it, in the same transaction, may mean something else. */
export const MEANING = SETTINGS | TEMPORARY | STATE_KINDS.load.effect | RESHAPES

/** Effects that are looked for when the transaction is over; what is to be done about others, is done at once. */
export const LOOKED_FOR = ANY | DISCARD | sumOf(({ there }) => there !== undefined)

/** Words and what they stand for. */
const WORDS = new Map<string, number>([
  ...STATE_KIND_ROWS.flatMap(([, { words, effect }]) => words.map((word) => [word, effect] as const)),
  ['discard', DISCARD | ANY],
  ['do', ANY],
  ['call', ANY],
  // It may be a function of the session's own.
  ['pg_temp', ANY],
  ['create', TEMPORARY | RESHAPES],
  ['into', TEMPORARY | RESHAPES],
  ['alter', RESHAPES],
  ['import', RESHAPES],
  ['execute', EXECUTES],
  ['nextval', NEXTVAL],
  ...EVALUATING_FUNCTIONS.map((name) => [name, ANY] as const),
  [KEEPING_BEFORE_18, SETTINGS | KEEPS_BEFORE_18],
])

/** SELECT … INTO creates a table, and is told from INSERT INTO, which nearly every transaction has. */
const INTO = '(?<!\\b(?:insert|merge)\\s)into'
/** A block of code, and no `ON CONFLICT DO NOTHING`, nor a rule's `DO INSTEAD`. */
const DO = 'do(?!\\s+(?:nothing|update|also|instead)\\b)'
/** The short words first, which a text is most likely to have: that is the quickest order. */
const PATTERNS = [...WORDS.keys()]
  .sort((a, b) => a.length - b.length)
  .map((word) => (word === 'into' ? INTO : word === 'do' ? DO : word))

/** The words, the temporary schema by its number, and names in an escaped spelling: `U&"set\\005fconfig"`. */
const SUSPECT = new RegExp(`\\b(?:${PATTERNS.join('|')}|pg_temp_\\d+|crosstab\\d+)\\b|\\bu&"`, 'gi')

/** UPDATE … SET and the like: `set` that is no statement of its own. */
const INNER_SET = /\s*(?:update|insert|merge|with)\b/iy
/** The same where a semicolon may stand in the code of a function, which sets what it names when it is called. */
const DEFINING_SET = /\s*(?:alter|create)\b/iy
/** A statement that creates nothing, whatever words stand in its data. */
const WRITES = /\s*(?:insert|update|delete|merge)\b/iy
const COMMENT = /--|\/\*/
/** INSERT INTO and MERGE INTO, up to the last word: no SELECT … INTO. */
const BEFORE_INTO = /\b(?:insert|merge)\s+$/i
const BEFORE_INTO_LENGTH = 20

/** A view of which an UPDATE sets parameters. */
export const SETTINGS_VIEW = /\bpg_settings\b/i

function sumOf(suits: (row: StateKindRow) => boolean): number {
  return STATE_KIND_ROWS.reduce((sum, [, row]) => (suits(row) ? sum | row.effect : sum), 0)
}

/** The effects `text` may have, as a sum of the constants above; 0 for most. */
export function effectsOf(text: string): number {
  let effects = 0
  let around: Surroundings | undefined
  SUSPECT.lastIndex = 0
  for (let match = SUSPECT.exec(text); match !== null; match = SUSPECT.exec(text)) {
    const word = match[0].toLowerCase()
    if (word === 'set' || word === 'do') {
      around ??= new Surroundings(text)
      if (around.hasInnerSet(match.index)) continue
    }
    if (word === 'into' || word === 'create') {
      around ??= new Surroundings(text)
      if (around.writes(match.index)) continue
      if (word === 'into' && BEFORE_INTO.test(before(text, match.index))) continue
    }
    effects |= WORDS.get(word) ?? ANY
  }
  return effects
}

/**
 * How the statement around a word begins: behind the last semicolon, wherever that stands. A statement that begins with the
 * word itself has nothing but blanks between the two. Comments could stand there: in a text with comments and semicolons
 * nothing is known.
 */
class Surroundings {
  readonly #text: string
  readonly #namesSettings: boolean
  /** Of the whole text: it has no semicolon. */
  readonly #single: boolean
  readonly #readable: boolean
  /** The piece that was asked for last, and how it begins: a long text may have thousands of words. */
  #start = 0
  #end: number
  #innerSet: boolean | undefined
  #writes: boolean | undefined

  constructor(text: string) {
    this.#text = text
    this.#namesSettings = SETTINGS_VIEW.test(text)
    this.#end = endOfPiece(text, 0)
    this.#single = this.#end === text.length
    this.#readable = this.#single || !COMMENT.test(text)
  }

  /** `set` and `do` at `at` are no statements. */
  hasInnerSet(at: number): boolean {
    this.#goTo(at)
    this.#innerSet ??= !this.#namesSettings && (this.#begins(INNER_SET) || (this.#single && this.#begins(DEFINING_SET)))
    return this.#innerSet
  }

  /** What stands at `at` is data of a statement that creates nothing. */
  writes(at: number): boolean {
    this.#goTo(at)
    this.#writes ??= this.#begins(WRITES)
    return this.#writes
  }

  /** From one word to the next it goes forward only. */
  #goTo(at: number): void {
    while (at > this.#end) {
      this.#start = this.#end + 1
      this.#end = endOfPiece(this.#text, this.#start)
      this.#innerSet = undefined
      this.#writes = undefined
    }
  }

  #begins(pattern: RegExp): boolean {
    pattern.lastIndex = this.#start
    return this.#readable && pattern.test(this.#text)
  }
}

function endOfPiece(text: string, from: number): number {
  const end = text.indexOf(';', from)
  return end < 0 ? text.length : end
}

function before(text: string, at: number): string {
  return text.slice(Math.max(0, at - BEFORE_INTO_LENGTH), at)
}
