/**
 * Reads the text of a Query that is too long to be looked at as a whole, as it streams by: what its statements may leave
 * behind (state-effects). Of long statements the words outside of strings count, of short ones the text is kept, so that
 * `SET app.tenant = 'a'; INSERT …` is read as if it stood alone. Holds a bounded part of the text, and goes through it
 * once. Pure.
 */

import { ANY, effectsOf, SETTINGS } from './state-effects.ts'

/** Statements up to this length are kept, where they may leave something behind; and all of them together. */
const STATEMENT_LIMIT = 4096
const KEPT_LIMIT = 65_536
/** Names and words up to this length, which is longer than any that means something; and distinct ones of a text. */
const WORD_LIMIT = 200
const WORDS_LIMIT = 20_000
/** A tag of a dollar-quoted string that has not come to its end is waited for up to this length. */
const TAG_LIMIT = 200

/** What is neither the beginning of a word, of a string, of a comment nor the end of a statement. */
const PLAIN = /[^a-z_\x80-\xff'"$\-/;()\0]+/iy
const WORD = /[a-z_\x80-\xff][\w$\x80-\xff]*/iy
const TAG = /\$(?:[a-z_\x80-\xff][\w\x80-\xff]*)?\$/iy
const OPEN_TAG = /\$(?:[a-z_\x80-\xff][\w\x80-\xff]*)?$/iy
const COMMENT_MARK = /\/\*|\*\//g
const LINE_END = /[\n\r]/g
const QUOTE_OR_ESCAPE = /['\\]/g
/** SET name = value, of which the value is long. */
const LONG_SET = /^set\s+(?:session\s+)?((?:"[^"]+"|[a-z_][\w$]*)(?:\s*\.\s*(?:"[^"]+"|[a-z_][\w$]*))*)\s*(?:=|to\b)/i
/** What is a command at the beginning of a statement alone. */
const COMMANDS = new Set('call close deallocate discard do listen load reset set unlisten'.split(' '))
/** Statements that create nothing; INTO is a word of two of them. */
const WRITING = new Set(['delete', 'insert', 'merge', 'update'])
const CREATING = new Set(['create', 'into'])
/** A view of which an UPDATE sets parameters. */
const SETTINGS_VIEW = 'pg_settings'

type Inside = 'text' | 'string' | 'escapes' | 'name' | 'dollars' | 'line' | 'comment'

/** One text. */
export class LongText {
  #effects = 0
  #kept = ''
  #unread = false
  /** It has no end, or means another thing under other settings than the usual: it may do anything. */
  doubtful = false
  readonly #words = new Set<string>()
  #inside: Inside = 'text'
  /** Of the string in dollars. */
  #tag = ''
  #commentDepth = 0
  #depth = 0
  /** What may go on in the next piece. */
  #rest = ''
  /** The last word, if nothing stands behind it: the E of E'…'. */
  #prefix = ''
  #name = ''
  #lastChar = ''
  // The statement under way.
  #statement = ''
  #isLong = false
  #first = ''
  #ofWords = 0

  /** What it may leave behind. */
  get effects(): number {
    return this.doubtful ? this.#effects | ANY : this.#effects
  }

  /** Its short statements that may. */
  get text(): string {
    return this.#kept
  }

  /** Its words and names outside of strings. */
  get words(): string {
    return [...this.#words].join(' ')
  }

  /** It may set parameters of which `text` says nothing. */
  get unread(): boolean {
    return this.#unread || this.doubtful
  }

  /** The next piece of it. */
  add(bytes: Buffer): void {
    if (this.doubtful) return
    const text = this.#rest + bytes.toString('latin1')
    this.#rest = ''
    for (let at = 0; at < text.length && !this.doubtful; ) at = this.#step(text, at)
  }

  /** There is no more. */
  end(): void {
    const { length } = this.#rest
    if (length > 0) {
      const rest = this.#rest
      this.#rest = ''
      // A blank ends whatever it is.
      for (let at = 0; at <= length && !this.doubtful; ) at = this.#step(`${rest} `, at)
    }
    if (this.#inside !== 'text' && this.#inside !== 'line') this.doubtful = true
    this.#endStatement()
  }

  #step(text: string, at: number): number {
    switch (this.#inside) {
      case 'text':
        return this.#inText(text, at)
      case 'string':
      case 'name':
        return this.#toQuote(text, at, this.#inside === 'name' ? '"' : "'")
      case 'escapes': {
        QUOTE_OR_ESCAPE.lastIndex = at
        const found = QUOTE_OR_ESCAPE.exec(text)
        if (found !== null && found[0] === '\\' && found.index + 1 === text.length) {
          this.#write(text.slice(at, found.index))
          return this.#keep(text, found.index)
        }
        if (found !== null && found[0] === "'") this.#inside = 'text'
        const end = found === null ? text.length : found.index + (found[0] === "'" ? 1 : 2)
        this.#write(text.slice(at, end))
        return end
      }
      case 'dollars': {
        const found = text.indexOf(this.#tag, at)
        const end = found < 0 ? Math.max(at, text.length - this.#tag.length + 1) : found + this.#tag.length
        this.#write(text.slice(at, end))
        if (found < 0) return this.#keep(text, end)
        this.#inside = 'text'
        return end
      }
      case 'line': {
        LINE_END.lastIndex = at
        const found = LINE_END.exec(text)
        if (found === null) return text.length
        this.#inside = 'text'
        return found.index
      }
      case 'comment': {
        COMMENT_MARK.lastIndex = at
        const found = COMMENT_MARK.exec(text)
        if (found === null) return this.#keep(text, Math.max(at, text.length - 1))
        this.#commentDepth += found[0] === '/*' ? 1 : -1
        if (this.#commentDepth === 0) this.#inside = 'text'
        return COMMENT_MARK.lastIndex
      }
    }
  }

  /** What stands from `at` on is looked at again with the next piece. */
  #keep(text: string, at: number): number {
    this.#rest = text.slice(at)
    return text.length
  }

  #toQuote(text: string, at: number, quote: string): number {
    const end = text.indexOf(quote, at)
    const to = end < 0 ? text.length : end
    if (quote === '"' && this.#name.length < WORD_LIMIT) this.#name += text.slice(at, Math.min(to, at + WORD_LIMIT))
    if (end < 0) {
      this.#write(text.slice(at))
      this.#lastChar = text.at(-1)!
      return text.length
    }
    this.#write(text.slice(at, end + 1))
    // With standard_conforming_strings off it is not the end.
    if (quote === "'" && (end > at ? text[end - 1] : this.#lastChar) === '\\') this.doubtful = true
    if (quote === '"') this.#addWord(this.#name, false)
    this.#inside = 'text'
    return end + 1
  }

  #inText(text: string, at: number): number {
    const char = text[at]!
    const plain = match(PLAIN, text, at)
    if (plain > 0) {
      this.#write(text.slice(at, plain))
      this.#prefix = this.#prefix === 'u' && plain === at + 1 && char === '&' ? 'u&' : ''
      return plain
    }
    switch (char) {
      case "'":
        return this.#open(this.#prefix === 'e' ? 'escapes' : 'string', char, at)
      case '"':
        // Names in an escaped spelling are other names.
        if (this.#prefix === 'u&') this.doubtful = true
        this.#name = ''
        return this.#open('name', char, at)
      case ';':
        if (this.#depth === 0) this.#endStatement()
        else this.#write(char)
        return at + 1
      case '(':
      case ')':
        this.#depth += char === '(' ? 1 : -1
        break
      case '$': {
        const tag = match(TAG, text, at)
        if (tag > 0) {
          this.#tag = text.slice(at, tag)
          // Its end may begin with its last character.
          return this.#open('dollars', this.#tag, at)
        }
        if (text.length - at < TAG_LIMIT && match(OPEN_TAG, text, at) > 0) return this.#keep(text, at)
        break
      }
      case '-':
      case '/': {
        if (at + 1 === text.length) return this.#keep(text, at)
        const next = text[at + 1]
        if (char === '-' ? next !== '-' : next !== '*') break
        this.#write(' ')
        this.#inside = char === '-' ? 'line' : 'comment'
        this.#commentDepth = 1
        return at + 2
      }
      default:
        return this.#word(text, at)
    }
    this.#prefix = ''
    this.#write(char)
    return at + 1
  }

  #word(text: string, at: number): number {
    const end = match(WORD, text, at)
    if (end < 0) return at + 1
    if (end === text.length && end - at < WORD_LIMIT) return this.#keep(text, at)
    this.#write(text.slice(at, end))
    this.#prefix = text.slice(at, Math.min(end, at + WORD_LIMIT)).toLowerCase()
    this.#addWord(this.#prefix, true)
    return end
  }

  #open(inside: Inside, opening: string, at: number): number {
    this.#write(opening)
    this.#inside = inside
    this.#prefix = ''
    this.#lastChar = ''
    return at + opening.length
  }

  #write(text: string): void {
    if (this.#isLong || (this.#statement === '' && text.trim() === '')) return
    if (this.#statement.length + text.length > STATEMENT_LIMIT) {
      this.#statement += text.slice(0, STATEMENT_LIMIT - this.#statement.length)
      this.#isLong = true
    } else this.#statement += text
  }

  #addWord(word: string, plain: boolean): void {
    if (this.#words.size < WORDS_LIMIT) this.#words.add(word)
    else if (!this.#words.has(word)) this.doubtful = true
    if (this.#first === '') this.#first = plain ? word : '"'
    else if (COMMANDS.has(word) || (WRITING.has(this.#first) && CREATING.has(word))) return
    this.#ofWords |= effectsOf(word)
    if (word === SETTINGS_VIEW) this.#ofWords |= SETTINGS
  }

  #endStatement(): void {
    if (this.#isLong) this.#endLong()
    else if (this.#statement !== '') {
      const effects = effectsOf(this.#statement)
      this.#effects |= effects
      if (effects !== 0) this.#keepText(this.#statement)
    }
    this.#statement = ''
    this.#isLong = false
    this.#first = ''
    this.#ofWords = 0
  }

  #endLong(): void {
    this.#effects |= this.#ofWords
    if ((this.#ofWords & SETTINGS) === 0) return
    const name = this.#first === 'set' ? LONG_SET.exec(this.#statement)?.[1] : undefined
    if (name === undefined) this.#unread = true
    else this.#keepText(`SET ${name} = ''`)
  }

  #keepText(statement: string): void {
    if (this.#kept.length + statement.length > KEPT_LIMIT) this.#unread = true
    else this.#kept += `${statement.trim()};`
  }
}

function match(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : -1
}
