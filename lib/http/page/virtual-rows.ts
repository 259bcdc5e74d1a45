/** Which rows of a long table are drawn: those that can be seen and a few around them. Pure. */

/** Rows beyond each edge, so that a short way shows no gap. */
const AROUND = 8

/** What is drawn: rows from `first` up to and without `end`. */
export interface RowWindow {
  readonly first: number
  readonly end: number
}

/** The rows to draw of `count` rows of `rowHeight`, seen through `height` at `scrolled` (pixels). */
export function visibleRows(count: number, rowHeight: number, scrolled: number, height: number): RowWindow {
  const top = Math.min(Math.max(0, scrolled), Math.max(0, count * rowHeight - height))
  const first = Math.max(0, Math.floor(top / rowHeight) - AROUND)
  return { first, end: Math.min(count, Math.ceil((top + height) / rowHeight) + AROUND) }
}

/** Where the focus goes from row `from` of `count` by `key`; undefined where the key is for somebody else. */
export function rowAfterKey(key: string, from: number, count: number, page: number): number | undefined {
  const to = { ArrowDown: from + 1, ArrowUp: from - 1, PageDown: from + page, PageUp: from - page, Home: 0, End: count }
  const wanted = Object.hasOwn(to, key) ? to[key as keyof typeof to] : undefined
  return wanted === undefined || count === 0 ? undefined : Math.min(count - 1, Math.max(0, wanted))
}
