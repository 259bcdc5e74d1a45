/**
 * Whether a statement's text says without a doubt that it leaves state in its session that cannot follow the client to
 * another server. The opposite of state-effects, which must not miss anything: here nothing may be taken for it that is
 * not, because the statement is refused (`session_state = error`). What is in doubt is found when it is there. Pure.
 */

import { KEEPING_FUNCTIONS } from './known-functions.ts'
import type { PinKind } from './pin-kinds.ts'
import { SETTINGS_VIEW } from './state-effects.ts'
import { splitStatements, type Token } from './tokens.ts'

/** What a text leaves behind. */
export interface LastingState {
  kind: PinKind
  /** The statement or function, as one would look it up. */
  statement: string
  /** What to write instead; '' where there is nothing. */
  instead: string
}

const LOCKS = /^pg_(?:try_)?advisory_lock(?:_shared)?$/
/** What runs the functions it calls, when it is executed. */
const RUNS = new Set(['select', 'with', 'values', 'insert', 'update', 'delete', 'merge', '('])
/** What may stand behind the name in SELECT … INTO name. */
const BEHIND_INTO = new Set(
  'from where group having window union intersect except order limit offset fetch for on'.split(' '),
)

/** A text that calls set_config() more often than this is not read: each call is looked for its end. */
const CALLS_LIMIT = 100

/** What `text` leaves behind; undefined where nothing, or where that is not certain. The first of several. */
export function lastingState(text: string): LastingState | undefined {
  for (const tokens of splitStatements(text) ?? []) {
    // The body of a function written in SQL: its statements are not run, and its semicolons end nothing.
    if (has(tokens, 'begin', 'atomic')) return undefined
    const found = ofStatement(tokens)
    if (found !== undefined) return found
  }
  return undefined
}

function ofStatement(tokens: readonly Token[]): LastingState | undefined {
  const [first, second, third] = tokens
  switch (first!.kind === 'name' ? '' : first!.text) {
    case 'listen':
      return { kind: 'listen', statement: 'LISTEN', instead: '' }
    case 'load':
      if (second?.kind !== 'string') return undefined
      return { kind: 'load', statement: 'LOAD', instead: 'Load the library with session_preload_libraries' }
    case 'prepare':
      if (second?.text === 'transaction' && third?.kind === 'string') return undefined
      return {
        kind: 'prepare',
        statement: 'PREPARE',
        instead: 'Prepare with messages of the protocol, as drivers do: those statements follow the client',
      }
    case 'declare':
      if (!has(tokens, 'cursor', 'with', 'hold')) return undefined
      return {
        kind: 'cursor',
        statement: 'DECLARE CURSOR WITH HOLD',
        instead: 'Read the cursor in the transaction that declares it, without HOLD',
      }
    case 'set':
      return setsSeed(tokens) ? { kind: 'other', statement: 'SET seed', instead: '' } : undefined
    case 'create':
      return created(tokens)
    default:
      if (!RUNS.has(first!.text)) return undefined
      return selectedInto(tokens) ?? called(tokens)
  }
}

const SEED = /\bseed\b/i

/** True where `text` may set `seed`, or it runs `code` that may: nobody can ask for what random() gives from then on. */
export function mayReseed(text: string, code: boolean): boolean {
  if (!SEED.test(text)) return false
  const statements = code ? undefined : splitStatements(text)
  if (statements === undefined) return true
  return statements.some((tokens) => {
    if (is(tokens[0], 'set')) return setsSeed(tokens)
    return tokens.some(({ text }) => text === 'set_config') && tokens.some(({ text }) => /^'seed'$/i.test(text))
  })
}

/** SET seed, SET LOCAL seed: that outlives the transaction, too. */
function setsSeed(tokens: readonly Token[]): boolean {
  const at = is(tokens[1], 'session') || is(tokens[1], 'local') ? 2 : 1
  const name = tokens[at]
  if (name?.kind !== 'word' && name?.kind !== 'name') return false
  return name.text.toLowerCase() === 'seed' && tokens[at + 1]?.text !== '.'
}

/** CREATE TEMPORARY …, or CREATE … pg_temp.name. */
function created(tokens: readonly Token[]): LastingState | undefined {
  if (has(tokens, 'on', 'commit', 'drop')) return undefined
  let at = 1
  if (is(tokens[at], 'or') && is(tokens[at + 1], 'replace')) at += 2
  if (is(tokens[at], 'global') || is(tokens[at], 'local')) at++
  if (is(tokens[at], 'temp') || is(tokens[at], 'temporary')) {
    const object = tokens[is(tokens[at + 1], 'recursive') ? at + 2 : at + 1]?.text.toUpperCase()
    return temporary(`CREATE TEMPORARY ${object === 'VIEW' || object === 'SEQUENCE' ? object : 'TABLE'}`)
  }
  // The name of what is created comes before anything that is no name.
  for (; tokens[at]?.kind === 'word' && !is(tokens[at], 'as') && !is(tokens[at], 'on'); at++) {
    if (is(tokens[at], 'pg_temp') && is(tokens[at + 1], '.')) return temporary('CREATE in schema pg_temp')
  }
  return undefined
}

/** SELECT … INTO TEMPORARY name. */
function selectedInto(tokens: readonly Token[]): LastingState | undefined {
  const at = tokens.findIndex((token, i) => {
    return is(token, 'into') && !is(tokens[i - 1], 'insert') && !is(tokens[i - 1], 'merge')
  })
  if (at < 0 || !(is(tokens[at + 1], 'temp') || is(tokens[at + 1], 'temporary'))) return undefined
  const name = tokens[at + 2]
  if (name === undefined || name.kind === 'other' || name.kind === 'string') return undefined
  return name.kind === 'word' && BEHIND_INTO.has(name.text) ? undefined : temporary('SELECT INTO TEMPORARY')
}

function temporary(statement: string): LastingState {
  return {
    kind: 'temporary',
    statement,
    instead: 'Create a temporary table with ON COMMIT DROP, in the transaction that uses it',
  }
}

/** Functions of PostgreSQL's own that it calls. */
function called(tokens: readonly Token[]): LastingState | undefined {
  let calls = 0
  for (const [i, token] of tokens.entries()) {
    if (!isCall(tokens, i)) continue
    if (LOCKS.test(token.text)) {
      const instead = `Lock for the transaction alone, with ${token.text.replace('advisory', 'advisory_xact')}()`
      return { kind: 'advisoryLock', statement: `${token.text}()`, instead }
    }
    if (token.text === 'currval' || token.text === 'lastval') {
      return { kind: 'sequence', statement: `${token.text}()`, instead: 'Take the value from INSERT … RETURNING' }
    }
    if (KEEPING_FUNCTIONS.includes(token.text)) return { kind: 'other', statement: `${token.text}()`, instead: '' }
    if (token.text === 'set_config' && calls++ < CALLS_LIMIT) {
      const { name, local } = readSetConfig(tokens, i)
      const instead = 'Name the parameter by a string constant, or set it for the transaction alone'
      if (name === undefined && !local) {
        return { kind: 'other', statement: 'set_config() with a computed name', instead }
      }
    }
  }
  return undefined
}

/** A call of set_config(). */
export interface SetConfigCall {
  /** The parameter, in lower case; undefined where it is computed. */
  name: string | undefined
  /** It says `true` for is_local: nothing outlives the transaction. */
  local: boolean
}

/**
 * The calls of set_config() in a text of statements that can set nothing else; undefined where it may hold others, or
 * cannot be read for sure.
 */
export function setConfigCalls(text: string): SetConfigCall[] | undefined {
  const statements = splitStatements(text)
  // An UPDATE of that view sets what its WHERE finds.
  if (SETTINGS_VIEW.test(text)) return undefined
  // An empty text stands for one that is not known.
  if (statements === undefined || statements.length === 0) return undefined
  if (!statements.every(([first]) => RUNS.has(first!.text))) return undefined
  const calls: SetConfigCall[] = []
  for (const tokens of statements) {
    for (const [i, token] of tokens.entries()) {
      if (token.text !== 'set_config') continue
      // Under another schema's name it is somebody else's.
      if (!isCall(tokens, i)) return undefined
      if (calls.length === CALLS_LIMIT) return undefined
      calls.push(readSetConfig(tokens, i))
    }
  }
  return calls
}

/** Read the arguments of the call at `i`. */
function readSetConfig(tokens: readonly Token[], i: number): SetConfigCall {
  let depth = 0
  let comma = i
  let end = i + 1
  for (; end < tokens.length; end++) {
    const { text, kind } = tokens[end]!
    if (kind !== 'other') continue
    if (text === '(' || text === '[') depth++
    else if (text === ')' || text === ']') depth--
    else if (text === ',' && depth === 1) comma = end
    if (depth === 0) break
  }
  const first = tokens[i + 2]
  const plain = first?.kind === 'string' && /^'[^'\\]+'$/.test(first.text)
  const behind =
    tokens[i + 3]?.text === ',' ||
    tokens
      .slice(i + 3, i + 7)
      .map(({ text }) => text)
      .join('') === '::text,'
  return {
    name: plain && behind ? first.text.slice(1, -1).toLowerCase() : undefined,
    local: comma === end - 2 && is(tokens[comma + 1], 'true'),
  }
}

/** True where a function of PostgreSQL's of this name is called: not one of another schema's. */
function isCall(tokens: readonly Token[], i: number): boolean {
  const token = tokens[i]!
  if ((token.kind !== 'word' && token.kind !== 'name') || tokens[i + 1]?.text !== '(') return false
  return tokens[i - 1]?.text !== '.' || tokens[i - 2]?.text === 'pg_catalog'
}

function is(token: Token | undefined, text: string): boolean {
  return token !== undefined && token.kind !== 'name' && token.kind !== 'string' && token.text === text
}

/** True where these words follow each other. */
function has(tokens: readonly Token[], ...words: string[]): boolean {
  return tokens.some((_, i) => words.every((word, k) => is(tokens[i + k], word)))
}
