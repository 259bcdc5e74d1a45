/**
 * The words of a statement of the console. Its language is PgBouncer's: a bare word may hold what is no name in SQL, as in
 * `PAUSE my-app`, and keeps its spelling. Pure.
 */

import { ConsoleError } from '../client/lifecycle/console-backend.ts'

/** One token; of strings and quoted names the value, unquoted. */
export interface Token {
  kind: 'word' | 'name' | 'string' | 'symbol'
  text: string
}

const PATTERNS = {
  blank: /(?:[ \t\n\r\f\v]|--[^\n\r]*)+/y,
  quoted: /"(?:[^"]|"")*"|'(?:[^']|'')*'/y,
  // Others than these stand in no statement of the console: what has one in it is told as a whole that it is none.
  symbol: /<=|>=|<>|!=|[^\w\s'"]/y,
  word: /[^\s'"();,=<>!*]+/y,
} as const

/** The statements of `text`, which semicolons separate. @throws ConsoleError where it cannot be read */
export function readTokens(text: string): Token[][] {
  const statements: Token[][] = [[]]
  for (let at = 0; at < text.length; ) {
    const blank = match(PATTERNS.blank, text, at) ?? comment(text, at)
    if (blank !== undefined) {
      at += blank.length
      continue
    }
    if (text[at] === ';') {
      statements.push([])
      at++
      continue
    }
    const token = match(PATTERNS.quoted, text, at) ?? match(PATTERNS.word, text, at) ?? match(PATTERNS.symbol, text, at)
    if (token === undefined) throw unterminated(text[at]!)
    statements.at(-1)!.push(made(token))
    at += token.length
  }
  return statements.filter((tokens) => tokens.length > 0)
}

function match(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0]
}

function comment(text: string, at: number): string | undefined {
  if (!text.startsWith('/*', at)) return undefined
  const end = text.indexOf('*/', at + 2)
  if (end < 0) throw new ConsoleError('console_syntax', { args: { what: 'unterminated comment' } })
  return text.slice(at, end + 2)
}

function made(text: string): Token {
  const quote = text[0]!
  if (quote === "'") return { kind: 'string', text: text.slice(1, -1).replaceAll("''", "'") }
  if (quote === '"') return { kind: 'name', text: text.slice(1, -1).replaceAll('""', '"') }
  return { kind: /^[=<>!(),*]/.test(text) ? 'symbol' : 'word', text }
}

function unterminated(quote: string): ConsoleError {
  const what = `unterminated quoted ${quote === '"' ? 'name' : 'string'}`
  return new ConsoleError('console_syntax', { args: { what } })
}

/** Reads the tokens of one statement one after the other. */
export class TokenReader {
  readonly #tokens: readonly Token[]
  #at = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  /** The next token, which stays. */
  get next(): Token | undefined {
    return this.#tokens[this.#at]
  }

  /** Take the next token. @throws ConsoleError at the end */
  take(): Token {
    const token = this.next
    if (token === undefined) throw this.error()
    this.#at++
    return token
  }

  /** Whether the next is the keyword `word`, in any case; takes it then. */
  takes(word: string): boolean {
    const { next } = this
    const same = next?.kind === 'word' && next.text.toLowerCase() === word
    if (same) this.#at++
    return same
  }

  /** Whether the next is the symbol `symbol`; takes it then. */
  takesSymbol(symbol: string): boolean {
    const same = this.next?.kind === 'symbol' && this.next.text === symbol
    if (same) this.#at++
    return same
  }

  /** @throws ConsoleError where the next is not the keyword `word` */
  expect(word: string): void {
    if (!this.takes(word)) throw this.error()
  }

  /** @throws ConsoleError where the next is not the symbol `symbol` */
  expectSymbol(symbol: string): void {
    if (!this.takesSymbol(symbol)) throw this.error()
  }

  /** @throws ConsoleError where something is left */
  end(): void {
    if (this.next !== undefined) throw this.error()
  }

  /** What is wrong where the reader stands. */
  error(): ConsoleError {
    const what = this.next === undefined ? 'syntax error at end of input' : `syntax error at "${this.next.text}"`
    return new ConsoleError('console_syntax', { args: { what }, hint: 'SHOW HELP lists the commands.' })
  }
}
