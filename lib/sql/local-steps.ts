/**
 * What a text sets for the transaction under way, where it says so beyond doubt: BEGIN, SET, SET LOCAL and calls of
 * set_config() with constants, and nothing else. The opposite of setting-names, which must not miss anything. Pure.
 */

import { nameToday } from './parameter-names.ts'
import { isWord, splitStatements, type Token } from './tokens.ts'

/** One parameter that is set. */
export interface LocalStep {
  /** In lower case. */
  readonly name: string
  /** A statement that sets the same, for the transaction alone. */
  readonly sql: string
}

/** What a text sets, in its order. */
export interface LocalSteps {
  readonly steps: readonly LocalStep[]
  /** How many of its statements are answered by the tag SET. */
  readonly tags: number
}

/** UTF-16 units of a text; a longer one is not read. */
const READABLE = 400

/** Escapes, and letters outside of ASCII: what they are depends on other settings. */
const DEPENDENT = /[^\n\r\t -~]|\\/
/** A parameter's name as it may stand in a constant. */
const NAME = /^[a-z_][a-z0-9_$]*(?:\.[a-z_][a-z0-9_$]*)*$/
/** Who the session is, how its texts are read, and what is the transaction's own. */
const EXCLUDED = /^(?:role|session_authorization|client_encoding|seed|transaction_\w+)$/

/** What `text` sets; undefined where it may do anything else. */
export function localSteps(text: string): LocalSteps | undefined {
  if (text.length > READABLE) return undefined
  if (DEPENDENT.test(text)) return undefined
  const steps: LocalStep[] = []
  let tags = 0
  for (const tokens of splitStatements(text) ?? [[]]) {
    const [first] = tokens
    const found = isWord(first, 'set') ? setOf(tokens) : isWord(first, 'select') ? callsOf(tokens) : undefined
    if (isWord(first, 'set')) tags++
    else if (isWord(first, 'begin') || (isWord(first, 'start') && isWord(tokens[1], 'transaction'))) continue
    if (found === undefined || found.some(({ name }) => EXCLUDED.test(name))) return undefined
    steps.push(...found)
  }
  return steps.length === 0 ? undefined : { steps, tags }
}

/** SET [LOCAL | SESSION] name = constants. */
function setOf(tokens: readonly Token[]): LocalStep[] | undefined {
  let at = 1
  if ((isWord(tokens[1], 'local') || isWord(tokens[1], 'session')) && tokens[2]?.kind === 'word') at++
  let name = ''
  if (isWord(tokens[at], 'time') && isWord(tokens[at + 1], 'zone')) {
    name = 'timezone'
    at += 2
    if (tokens[at]?.kind !== 'string') return undefined
  } else {
    for (; tokens[at]?.kind === 'word'; at++) {
      name += tokens[at]!.text
      if (tokens[++at]?.text !== '.') break
      name += '.'
    }
    if (tokens[at]?.text !== '=' && !isWord(tokens[at], 'to')) return undefined
    at++
  }
  if (!NAME.test(name)) return undefined
  const values: string[] = []
  for (; at < tokens.length; at += 2) {
    const value = constantOf(tokens[at]!)
    const behind = tokens[at + 1]
    if (value === undefined || (behind !== undefined && behind.text !== ',')) return undefined
    values.push(value)
  }
  // It ends with a comma, or with nothing.
  if (at !== tokens.length + 1) return undefined
  return [{ name: nameToday(name), sql: `SET LOCAL ${name} = ${values.join(', ')}` }]
}

function constantOf({ kind, text }: Token): string | undefined {
  switch (kind) {
    case 'string':
      return text.startsWith("'") ? text : undefined
    case 'name':
      return `"${text.replaceAll('"', '""')}"`
    case 'word':
      return text === 'default' || text === 'local' ? undefined : text
    default:
      return /^\d[\d.]*$/.test(text) ? text : undefined
  }
}

/** SELECT set_config('name', 'value', true), … and nothing else. */
function callsOf(tokens: readonly Token[]): LocalStep[] | undefined {
  const steps: LocalStep[] = []
  for (let at = 1; at < tokens.length; ) {
    if (isWord(tokens[at], 'pg_catalog') && tokens[at + 1]?.text === '.') at += 2
    const [called, open, name, comma, value, second, local, close] = tokens.slice(at, at + 8)
    const punctuated = open?.text === '(' && comma?.text === ',' && second?.text === ',' && close?.text === ')'
    if (!isWord(called, 'set_config') || !punctuated) return undefined
    if (!isWord(local, 'true') && !isWord(local, 'false')) return undefined
    const key = name?.kind === 'string' ? name.text.slice(1, -1).toLowerCase() : ''
    if (!NAME.test(key) || value?.kind !== 'string' || !value.text.startsWith("'")) return undefined
    steps.push({ name: nameToday(key), sql: `SELECT pg_catalog.set_config('${key}', ${value.text}, true)` })
    at += 8
    if (at === tokens.length) return steps
    if (tokens[at++]?.text !== ',') return undefined
  }
  return undefined
}
