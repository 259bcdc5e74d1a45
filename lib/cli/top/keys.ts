/** What a terminal in raw mode sends -> keys. Pure. */

/** A key by its name, or the character that it types. */
export type Key = string

const NAMED: Readonly<Record<string, Key>> = {
  '\x1b[A': 'up',
  '\x1b[B': 'down',
  '\x1b[C': 'right',
  '\x1b[D': 'left',
  '\x1bOA': 'up',
  '\x1bOB': 'down',
  '\x1bOC': 'right',
  '\x1bOD': 'left',
  '\x1b[5~': 'page-up',
  '\x1b[6~': 'page-down',
  '\x1b[H': 'home',
  '\x1b[F': 'end',
  '\x1b[1~': 'home',
  '\x1b[4~': 'end',
  '\x1bOH': 'home',
  '\x1bOF': 'end',
  '\x1b': 'escape',
  '\r': 'enter',
  '\n': 'enter',
  '\x7f': 'backspace',
  '\b': 'backspace',
  '\x03': 'interrupt',
  '\x0c': 'redraw',
  '\x15': 'erase-line',
  '\x1a': 'suspend',
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: keys send them
const ONE = /\x1b(?:\[[0-9;?]*[@-~]|O.)|[\s\S]/gu

/** The keys in what came at once. Those without a meaning are left out. */
export function keysOf(typed: string): Key[] {
  const found: Key[] = []
  for (const [part] of typed.matchAll(ONE)) {
    const name = Object.hasOwn(NAMED, part) ? NAMED[part] : undefined
    if (name !== undefined) found.push(name)
    else if (!/^\p{Cc}/u.test(part)) found.push(part)
  }
  return found
}
