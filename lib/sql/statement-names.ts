/**
 * What SQL says of prepared statements by name: DEALLOCATE, EXECUTE and PREPARE reach statements that were prepared by
 * the protocol, too (SQL commands "PREPARE", "DEALLOCATE"). Pure.
 */

import { firstStatement, IDENTIFIER_BYTES, splitStatements, type Token } from './tokens.ts'

/** A statement's name in a text. */
export interface SpokenName {
  /** As the protocol spells it, each byte a character (latin1). */
  name: string
  does: 'deallocate' | 'execute' | 'prepare'
}

/** A DEALLOCATE that is the last of several statements. */
export interface LastDeallocation {
  /** How many statements stand before it. */
  before: number
  /** Its statement; undefined for all. */
  name: string | undefined
}

/** What one text says of them. */
export interface StatementNames {
  /** In order. What stands in a string counts where that is code (DO, CALL). */
  readonly names: readonly SpokenName[]
  /** What the last of several statements deallocates; undefined where it is another, or the only one. */
  readonly last: LastDeallocation | undefined
  /** What the text deallocates and does nothing else; undefined for any other text. */
  readonly sole: string | undefined
  /** It deallocates by code (DO, CALL), or may: which statements, and whether any, it does not say. */
  readonly hidden: boolean
  /** It may deallocate something somewhere. */
  readonly mayDeallocate: boolean
  /** A portal of it does, or may: its first statement does, or code. */
  readonly deallocates: boolean
}

/** A name as it stands among tokens. */
interface ReadName {
  name: string
  /** PostgreSQL says with a notice that it was cut off. */
  cut: boolean
  /** Index of the token behind it. */
  end: number
}

/** Words without which a text, of however many statements, deallocates nothing. */
const DEALLOCATING = /\b(?:deallocate|discard)\b/i
const SPEAKING = /\b(?:deallocate|discard|execute|prepare)\b/i
const BEGINS_DEALLOCATING = /^(?:deallocate|discard)\b/i
const CODE = /\b(?:do|call)\b/i
const ALL: unique symbol = Symbol('all')
/** For texts that are no sequence of tokens for sure, and for code: wherever the words stand. */
const SPOKEN = /\b(deallocate(?:\s+prepare)?|execute|prepare)\s+("[^"]+"|(?!all\b)[a-z_\x80-\xff][\w$\x80-\xff]*)/gi

const NOTHING_LAST = { last: undefined, sole: undefined }
const SILENT: StatementNames = {
  names: [],
  ...NOTHING_LAST,
  hidden: false,
  mayDeallocate: false,
  deallocates: false,
}

/** What `sql` (latin1) says of prepared statements. */
export function statementNames(sql: string): StatementNames {
  if (!SPEAKING.test(sql)) return SILENT
  const names: SpokenName[] = []
  const statements = splitStatements(sql)
  let code = false
  if (statements === undefined) {
    code = CODE.test(sql)
    addWords(sql, names)
  } else {
    for (const tokens of statements) {
      const word = wordAt(tokens, 0)
      if (word === 'do' || word === 'call') code = true
      else addSpoken(tokens, word, names)
    }
    if (code) addWords(sql, names, 'execute')
  }
  const mayDeallocate = DEALLOCATING.test(sql)
  const hidden = mayDeallocate && code
  return {
    names,
    ...lastOf(statements ?? []),
    hidden,
    mayDeallocate,
    deallocates: hidden || (mayDeallocate && beginsDeallocating(sql)),
  }
}

/** What the last of `statements` deallocates, among several or as the only one. */
function lastOf(statements: readonly Token[][]): Pick<StatementNames, 'last' | 'sole'> {
  const tokens = statements.at(-1) ?? []
  const found = wordAt(tokens, 0) === 'deallocate' ? readDeallocated(tokens) : undefined
  if (found === undefined) return NOTHING_LAST
  const name = found === ALL ? undefined : found.name
  const before = statements.length - 1
  if (before > 0) return { last: { before, name }, sole: undefined }
  return { last: undefined, sole: found !== ALL && found.end === tokens.length && !found.cut ? name : undefined }
}

function beginsDeallocating(sql: string): boolean {
  const start = firstStatement(sql)
  return start >= 0 && BEGINS_DEALLOCATING.test(sql.slice(start, start + 11))
}

/** DEALLOCATE [PREPARE] name | ALL. */
function readDeallocated(tokens: readonly Token[]): ReadName | typeof ALL | undefined {
  // A statement may have that very name.
  const at = wordAt(tokens, 1) === 'prepare' && tokens.length > 2 ? 2 : 1
  return wordAt(tokens, at) === 'all' ? ALL : readName(tokens, at)
}

/** DEALLOCATE, EXECUTE, EXPLAIN … EXECUTE, CREATE TABLE … AS EXECUTE, PREPARE. */
function addSpoken(tokens: readonly Token[], word: string, names: SpokenName[]): void {
  if (word === 'deallocate') {
    const found = readDeallocated(tokens)
    if (found !== undefined && found !== ALL) names.push({ name: found.name, does: 'deallocate' })
    return
  }
  let at = -1
  if (word === 'execute' || word === 'prepare') at = 0
  else if (word === 'explain' || word === 'create') at = tokens.findIndex((_, i) => wordAt(tokens, i) === 'execute')
  const name = at < 0 ? undefined : readName(tokens, at + 1)?.name
  if (name === undefined) return
  const transaction = name === 'transaction' && tokens[at + 2]?.kind === 'string'
  if (word !== 'prepare') names.push({ name, does: 'execute' })
  else if (!transaction) names.push({ name, does: 'prepare' })
}

/** Names behind the words, wherever these stand. */
function addWords(sql: string, names: SpokenName[], as?: SpokenName['does']): void {
  for (const [, word, identifier] of sql.matchAll(SPOKEN)) {
    const does = /^d/i.test(word!) ? 'deallocate' : /^e/i.test(word!) ? 'execute' : 'prepare'
    if (as !== undefined && as !== does) continue
    const quoted = identifier!.startsWith('"')
    names.push({ name: cutOff(quoted ? identifier!.slice(1, -1) : fold(identifier!)), does })
  }
}

/** The word at `i`, in lower case; '' where there is something else. */
function wordAt(tokens: readonly Token[], i: number): string {
  const token = tokens[i]
  return token?.kind === 'word' ? token.text : ''
}

/** The name that begins at `i`: a word, "name" or U&"name" [UESCAPE 'c']. */
export function readName(tokens: readonly Token[], i: number): ReadName | undefined {
  const token = tokens[i]
  if (token === undefined) return undefined
  if (token.kind === 'word' && token.text === 'u' && tokens[i + 1]?.text === '&' && tokens[i + 2]?.kind === 'name') {
    const escaped = wordAt(tokens, i + 3) === 'uescape'
    const mark = escaped ? /^'(.)'$/.exec(tokens[i + 4]?.text ?? '')?.[1] : '\\'
    const name = mark === undefined ? undefined : decode(tokens[i + 2]!.text, mark)
    return name === undefined ? undefined : found(name, escaped ? i + 5 : i + 3)
  }
  return token.kind === 'word' || token.kind === 'name' ? found(token.text, i + 1) : undefined
}

function found(text: string, end: number): ReadName | undefined {
  if (text === '') return undefined
  const name = cutOff(text)
  return { name, cut: name.length < text.length, end }
}

/** The characters a U&"" name stands for, as bytes of UTF-8; undefined where PostgreSQL refuses it. */
function decode(text: string, mark: string): string | undefined {
  let name = ''
  for (let at = 0; at < text.length; ) {
    if (text[at] !== mark) name += text[at++]
    else if (text[at + 1] === mark) {
      name += mark
      at += 2
    } else {
      const long = text[at + 1] === '+'
      const digits = long ? text.slice(at + 2, at + 8) : text.slice(at + 1, at + 5)
      if (digits.length !== (long ? 6 : 4) || !/^[0-9a-f]+$/i.test(digits)) return undefined
      const code = Number.parseInt(digits, 16)
      if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return undefined
      name += Buffer.from(String.fromCodePoint(code)).toString('latin1')
      at += long ? 8 : 5
    }
  }
  return name
}

/** What PostgreSQL makes of a name, but not of those of the protocol: no part of a character of UTF-8 remains. */
function cutOff(name: string): string {
  if (name.length <= IDENTIFIER_BYTES) return name
  let end = IDENTIFIER_BYTES
  while (end > 0 && (name.charCodeAt(end) & 0xc0) === 0x80) end--
  return name.slice(0, end)
}

function fold(identifier: string): string {
  return identifier.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}
