/**
 * The text of a TOML file -> its tables, whatever their keys are called.
 *
 * The library's parser keeps tables in ordinary objects and takes what these inherit for keys of the file: it puts the
 * settings of a user named `constructor` into the runtime's own function of that name. Keys are therefore marked before
 * the parser sees them, and unmarked in tables that inherit nothing.
 */
import TomlParser from '@iarna/toml/lib/toml-parser.js'
import type { Steps } from '../util/steps.ts'

/** No object of the runtime has a key that begins with it. */
const MARK = '='

class MarkingParser extends TomlParser {
  override recordAssignKeyword(key: string): unknown {
    return super.recordAssignKeyword(MARK + key)
  }

  override parseTableMore(key: string): unknown {
    return super.parseTableMore(MARK + key)
  }

  override parseListMore(key: string): unknown {
    return super.parseListMore(MARK + key)
  }
}

/** Characters that are parsed in one step. */
const PIECE = 8192

/** The tables in `text`, without a prototype. @throws an Error with the number of its `line`, counted from 0 */
export function* parseToml(text: string): Steps<Record<string, unknown>> {
  const parser = new MarkingParser()
  for (let at = 0; at < text.length; ) {
    let end = at + PIECE
    // A character of two units is not divided.
    if (((text.codePointAt(end - 1) ?? 0) & ~0xffff) !== 0) end++
    parser.parse(text.slice(at, end))
    at = end
    yield
  }
  return unmark(parser.finish()) as Record<string, unknown>
}

function unmark(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unmark)
  if (!isTable(value)) return value
  const table: Record<string, unknown> = Object.create(null)
  for (const [key, inner] of Object.entries(value)) table[key.slice(MARK.length)] = unmark(inner)
  return table
}

/** A table of the parser; dates are objects of other kinds. */
function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}
