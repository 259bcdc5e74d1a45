/** Pieces of URLs, as servers and consoles are named by. Pure. */

/** `text` up to the first `separator`, and what is behind it; '' where there is none. */
export function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

/** `text` without its percent code; undefined where that is none. */
export function decodePercent(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
