/**
 * The words of an SQL text outside of constants and comments, by statement (documentation chapter "Lexical Structure").
 * Not a parser: it only knows where strings, names, comments and statements end, which is enough to tell a keyword from
 * the same letters in a constant. Pure.
 */

/** Bytes of an identifier that PostgreSQL keeps (NAMEDATALEN - 1): it cuts off what is longer. */
export const IDENTIFIER_BYTES = 63

/** One token. Words are in lower case; of constants the value is not worked out. */
export interface Token {
  /** An unquoted name or keyword; a quoted name; a string constant; one character, number or parameter of another kind. */
  kind: 'word' | 'name' | 'string' | 'other'
  text: string
}

/** PostgreSQL's white space, without what Unicode has besides: texts are bytes, of which some look like it. */
const SPACE = /[ \t\n\r\f\v]+/y
const WORD = /[a-z_\x80-\uffff][\w$\x80-\uffff]*/iy
const NUMBER = /[0-9][\w.]*|\$[0-9]+/y
const LINE_COMMENT = /--[^\n\r]*/y
const COMMENT_PART = /\/\*|\*\//g
const ESCAPED = /'[^'\\]*(?:(?:\\[\s\S]|'')[^'\\]*)*'/y
const DOLLAR = /\$([a-z_\x80-\uffff][\w\x80-\uffff]*)?\$/iy
const FOREIGN = /[\x80-\uffff]/
/** Letters directly in front of a string constant that are part of it. */
const PREFIXES = new Set(['e', 'b', 'x', 'n'])

/**
 * The statements of `text`; semicolons in parentheses end none (CREATE RULE). Undefined where it cannot be told for
 * sure: something is not terminated, or means another thing with standard_conforming_strings off.
 */
export function splitStatements(text: string): Token[][] | undefined {
  const statements: Token[][] = []
  let current: Token[] = []
  let depth = 0
  for (let at = 0; at < text.length; ) {
    const char = text[at]!
    let end = skipBlank(text, at, char)
    if (end < 0) return undefined
    if (end > at) {
      at = end
      continue
    }
    if (char === ';' && depth === 0) {
      if (current.length > 0) statements.push(current)
      current = []
      at++
      continue
    }
    const token = readToken(text, at, char, current)
    if (token === undefined) return undefined
    end = token.end
    if (char === '(') depth++
    else if (char === ')') depth--
    current.push(token)
    at = end
  }
  if (current.length > 0) statements.push(current)
  return statements
}

/** Where the first statement of `text` begins, behind white space, comments and semicolons; -1 where one has no end. */
export function firstStatement(text: string): number {
  for (let at = 0; ; ) {
    const end = text[at] === ';' ? at + 1 : skipBlank(text, at, text[at] ?? '')
    if (end <= at) return end
    at = end
  }
}

/** The position behind white space or a comment at `at`; `at` where there is none; -1 for a comment without an end. */
function skipBlank(text: string, at: number, char: string): number {
  if (char === '-' || char === '/') {
    if (text[at + 1] === '-' && char === '-') return match(LINE_COMMENT, text, at)
    if (text[at + 1] !== '*' || char !== '/') return at
    // Comments are nested.
    COMMENT_PART.lastIndex = at
    for (let open = 0; ; ) {
      const part = COMMENT_PART.exec(text)
      if (part === null) return -1
      open += part[0] === '/*' ? 1 : -1
      if (open === 0) return COMMENT_PART.lastIndex
    }
  }
  const end = match(SPACE, text, at)
  return end < 0 ? at : end
}

function readToken(text: string, at: number, char: string, before: Token[]): (Token & { end: number }) | undefined {
  if (char === "'") {
    const prefix = before.at(-1)
    const prefixed = prefix?.kind === 'word' && PREFIXES.has(prefix.text) && /[ebxn]/i.test(text[at - 1]!)
    const escapes = prefixed && prefix.text === 'e'
    const end = escapes ? match(ESCAPED, text, at) : quoteEnd(text, at, char)
    if (end < 0 || (!escapes && text.slice(at, end).includes("\\'"))) return undefined
    if (prefixed) before.pop()
    return { kind: 'string', text: text.slice(at, end), end }
  }
  if (char === '"') {
    const end = quoteEnd(text, at, char)
    return end < 0 ? undefined : { kind: 'name', text: text.slice(at + 1, end - 1).replaceAll('""', '"'), end }
  }
  if (char === '$') {
    const open = match(DOLLAR, text, at)
    if (open > 0) {
      const tag = text.slice(at, open)
      const close = text.indexOf(tag, open)
      return close < 0
        ? undefined
        : { kind: 'string', text: text.slice(at, close + tag.length), end: close + tag.length }
    }
  }
  const word = match(WORD, text, at)
  if (word > 0) return { kind: 'word', text: lowerCase(text.slice(at, word)), end: word }
  const number = match(NUMBER, text, at)
  const end = number > 0 ? number : at + 1
  return { kind: 'other', text: text.slice(at, end), end }
}

/** The position behind what the `quote` at `at` opens, in which two of them stand for one; -1 where it has no end. */
function quoteEnd(text: string, at: number, quote: string): number {
  for (let end = text.indexOf(quote, at + 1); end >= 0; end = text.indexOf(quote, end + 2)) {
    if (text[end + 1] !== quote) return end + 1
  }
  return -1
}

/** As PostgreSQL folds names: other letters than those of ASCII stay, and in a text of bytes are not letters at all. */
function lowerCase(word: string): string {
  return FOREIGN.test(word) ? word.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) : word.toLowerCase()
}

/** True where `token` is the word or the character `text`: no quoted name, and no constant. */
export function isToken(token: Token | undefined, text: string): boolean {
  return token !== undefined && token.kind !== 'name' && token.kind !== 'string' && token.text === text
}

/** True where `token` is the word `text`, as a keyword is written. */
export function isWord(token: Token | undefined, text: string): boolean {
  return token?.kind === 'word' && token.text === text
}

/** True where these words and characters follow each other somewhere in `tokens`. */
export function hasTokens(tokens: readonly Token[], ...texts: string[]): boolean {
  return tokens.some((_, i) => texts.every((text, k) => isToken(tokens[i + k], text)))
}

function match(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : -1
}
