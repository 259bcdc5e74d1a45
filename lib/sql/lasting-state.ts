/**
 * Whether a statement's text says without a doubt that it leaves state in its session that cannot follow the client to
 * another server. The opposite of state-effects, which must not miss anything: here nothing may be taken for it that is
 * not, because the statement is refused (`session_state = error`). What is in doubt is found when it is there. Pure.
 */

import { type StatementRule, setsSeed } from './lasting-statements.ts'
import { SETTINGS_VIEW } from './state-effects.ts'
import { insteadOf, PIN_KIND_ROWS, type PinKind } from './state-kinds.ts'
import { hasTokens, isToken, splitStatements, type Token } from './tokens.ts'

/** What a text leaves behind. */
export interface LastingState {
  kind: PinKind
  /** The statement or function, as one would look it up. */
  statement: string
  /** What to write instead; '' where there is nothing. */
  instead: string
}

/** Rules of the table of kinds, by the first word of the statements they are about. */
const BEGINNINGS = new Map<string, { kind: PinKind; rule: StatementRule }>()
/** Those about all statements that run the functions they call. */
const RUNNING: { kind: PinKind; rule: StatementRule }[] = []
/** By the name of a function: what it leaves wherever it is called. */
const CALLS = new Map<string, PinKind>()
for (const [kind, { begins = {}, runs, calls = [] }] of PIN_KIND_ROWS) {
  for (const [word, rule] of Object.entries(begins)) BEGINNINGS.set(word, { kind, rule })
  if (runs !== undefined) RUNNING.push({ kind, rule: runs })
  for (const name of calls) CALLS.set(name, kind)
}

/** What runs the functions it calls, when it is executed. */
const RUNS = new Set(['select', 'with', 'values', 'insert', 'update', 'delete', 'merge', '('])
/** A text that calls set_config() more often than this is not read: each call is looked for its end. */
const CALLS_LIMIT = 100

/** What `text` leaves behind; undefined where nothing, or where that is not certain. The first of several. */
export function lastingState(text: string): LastingState | undefined {
  for (const tokens of splitStatements(text) ?? []) {
    // The body of a function written in SQL: its statements are not run, and its semicolons end nothing.
    if (hasTokens(tokens, 'begin', 'atomic')) return undefined
    const found = ofStatement(tokens)
    if (found !== undefined) return found
  }
  return undefined
}

function ofStatement(tokens: readonly Token[]): LastingState | undefined {
  const first = tokens[0]!
  const beginning = first.kind === 'name' ? undefined : BEGINNINGS.get(first.text)
  if (beginning !== undefined) return judge(beginning, tokens)
  if (!RUNS.has(first.text)) return undefined
  for (const running of RUNNING) {
    const found = judge(running, tokens)
    if (found !== undefined) return found
  }
  return called(tokens)
}

function judge(
  { kind, rule }: { kind: PinKind; rule: StatementRule },
  tokens: readonly Token[],
): LastingState | undefined {
  const statement = rule(tokens)
  return statement === undefined ? undefined : { kind, statement, instead: insteadOf(kind, statement) }
}

const SEED = /\bseed\b/i
const SET_CONFIG = /\bset_config\b/i

/** True where `text` may set `seed`, or it runs `code` that may: nobody can ask for what random() gives from then on. */
export function mayReseed(text: string, code: boolean): boolean {
  const named = SEED.test(text)
  if (!named && !SET_CONFIG.test(text)) return false
  const statements = code && named ? undefined : splitStatements(text)
  if (statements === undefined) return named
  let calls = 0
  return statements.some((tokens) => {
    if (isToken(tokens[0], 'set')) return setsSeed(tokens)
    // A name that is computed may be this one, which outlives its transaction whatever is said of the others.
    return tokens.some((token, i) => {
      if (token.text !== 'set_config') return false
      return ++calls > CALLS_LIMIT || mayBeSeed(tokens, i)
    })
  })
}

/** A name that is given by Bind, as that of a tenant's parameter, and one that begins with a part are those of applications. */
const OF_APPLICATION = /^(?:\$\d|'[^']*\.)/

/** Whether the call of set_config() at `i` may be of `seed`. */
function mayBeSeed(tokens: readonly Token[], i: number): boolean {
  const { name } = readSetConfig(tokens, i)
  return name === undefined ? !OF_APPLICATION.test(tokens[i + 2]?.text ?? '') : name === 'seed'
}

/** Functions of PostgreSQL's own that it calls. */
function called(tokens: readonly Token[]): LastingState | undefined {
  let calls = 0
  for (const [i, token] of tokens.entries()) {
    if (!isCall(tokens, i)) continue
    const kind = CALLS.get(token.text)
    if (kind !== undefined) {
      const statement = `${token.text}()`
      return { kind, statement, instead: insteadOf(kind, statement) }
    }
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
    local: comma === end - 2 && isToken(tokens[comma + 1], 'true'),
  }
}

/** True where a function of PostgreSQL's of this name is called: not one of another schema's. */
function isCall(tokens: readonly Token[], i: number): boolean {
  const token = tokens[i]!
  if ((token.kind !== 'word' && token.kind !== 'name') || tokens[i + 1]?.text !== '(') return false
  return tokens[i - 1]?.text !== '.' || tokens[i - 2]?.text === 'pg_catalog'
}
