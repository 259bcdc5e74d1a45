/**
 * A table of any length: only the rows that can be seen are elements, and they are used again. Sorted by its head, walked
 * through by arrow keys, read by screen readers as a table of its true length.
 */

import { button, element, setText } from './elements.ts'
import { rowAfterKey, visibleRows } from './virtual-rows.ts'

/** As `--row` of page.css, in pixels. */
const ROW_HEIGHT = 36

/** One column. */
export interface TableColumn<Row> {
  readonly name: string
  /** At least so wide, in rem, and its share of the room that is left. */
  readonly width: number
  readonly grow?: number
  readonly numeric?: boolean
  text(row: Row): string
  /** What is sorted by; the text where it is missing. */
  value?(row: Row): number | string
  /** The row should be looked at because of it. */
  warns?(row: Row): boolean
  /** A button in the cell instead of its text; the same for all rows. */
  press?(row: Row): void
}

/** What is shown. */
export interface TableOptions<Row> {
  readonly label: string
  readonly columns: readonly TableColumn<Row>[]
  /** The name of the column that is sorted by first, descending. */
  readonly order: string
  /** Said where there are no rows. */
  readonly empty: string
}

interface DrawnRow<Row> {
  readonly root: HTMLElement
  readonly cells: readonly HTMLElement[]
  row: Row | undefined
}

/** One table. */
export class VirtualTable<Row> {
  readonly root: HTMLElement
  readonly #columns: readonly TableColumn<Row>[]
  readonly #body: HTMLElement
  readonly #empty: HTMLElement
  readonly #heads = new Map<TableColumn<Row>, HTMLElement>()
  readonly #drawn: DrawnRow<Row>[] = []
  readonly #tracks: string
  #rows: readonly Row[] = []
  #order: TableColumn<Row>
  #descending = true
  #focused = 0
  #asked = false

  constructor({ label, columns, order, empty }: TableOptions<Row>) {
    this.#columns = columns
    this.#order = columns.find(({ name }) => name === order)!
    this.#tracks = columns.map(({ width, grow }) => (grow ? `minmax(${width}rem, ${grow}fr)` : `${width}rem`)).join(' ')
    const head = element('div', { class: 'row', role: 'row', 'aria-rowindex': '1' })
    head.style.gridTemplateColumns = this.#tracks
    for (const column of columns) {
      const cell = element('div', { role: 'columnheader', ...(column.numeric && { class: 'number' }) })
      cell.append(column.press ? column.name : button(column.name, () => this.#orderBy(column)))
      this.#heads.set(column, cell)
      head.append(cell)
    }
    this.#body = element('div', { class: 'rows', role: 'rowgroup' })
    this.#empty = element('p', { class: 'empty', hidden: '' }, empty)
    const top = element('div', { class: 'head', role: 'rowgroup' }, head)
    this.root = element('div', { class: 'table', role: 'table', 'aria-label': label }, top, this.#body, this.#empty)
    // Head and rows are grids of their own: where there is too little room, both are as wide.
    const least = columns.reduce((sum, { width }) => sum + width, 1)
    for (const part of [top, this.#body]) part.style.minWidth = `${least}rem`
    this.root.addEventListener('scroll', () => this.#drawSoon(), { passive: true })
    this.#body.addEventListener('keydown', (event) => this.#walk(event))
    this.#body.addEventListener('focusin', ({ target }) => this.#noteFocus(target as Node))
    new ResizeObserver(() => this.#drawSoon()).observe(this.root)
    this.#markOrder()
  }

  /** Show `rows`. */
  show(rows: readonly Row[]): void {
    this.#rows = rows
    this.#sort()
    this.#empty.hidden = rows.length > 0
    this.root.setAttribute('aria-rowcount', String(rows.length + 1))
    this.#body.style.height = `${rows.length * ROW_HEIGHT}px`
    this.#focused = Math.max(0, Math.min(this.#focused, rows.length - 1))
    this.#drawSoon()
  }

  /** Sort by the column of that name, descending. */
  orderBy(name: string): void {
    const column = this.#columns.find((one) => one.name === name)
    if (column === undefined || column === this.#order) return
    this.#descending = true
    this.#order = column
    this.#markOrder()
  }

  #orderBy(column: TableColumn<Row>): void {
    this.#descending = this.#order === column ? !this.#descending : column.numeric === true
    this.#order = column
    this.#markOrder()
    this.#sort()
    this.#drawSoon()
  }

  #markOrder(): void {
    for (const [column, head] of this.#heads) {
      if (column === this.#order) head.setAttribute('aria-sort', this.#descending ? 'descending' : 'ascending')
      else head.removeAttribute('aria-sort')
    }
  }

  #sort(): void {
    const { value, text } = this.#order
    const of = value ?? text
    const sign = this.#descending ? -1 : 1
    const keyed = this.#rows.map((row) => ({ row, key: of(row) }))
    keyed.sort((a, b) => (a.key < b.key ? -sign : a.key > b.key ? sign : 0))
    this.#rows = keyed.map(({ row }) => row)
  }

  #drawSoon(): void {
    if (this.#asked) return
    this.#asked = true
    requestAnimationFrame(() => {
      this.#asked = false
      this.#draw()
    })
  }

  #draw(): void {
    const { first, end } = visibleRows(this.#rows.length, ROW_HEIGHT, this.root.scrollTop, this.root.clientHeight)
    while (this.#drawn.length < end - first) this.#drawn.push(this.#makeRow())
    // A row keeps its element while it is seen, and the focus with it.
    for (const [at, drawn] of this.#drawn.entries()) {
      const size = this.#drawn.length
      const index = first + ((((at - first) % size) + size) % size)
      drawn.row = index < end ? this.#rows[index] : undefined
      drawn.root.hidden = drawn.row === undefined
      if (drawn.row !== undefined) this.#fill(drawn, drawn.row, index)
    }
  }

  #makeRow(): DrawnRow<Row> {
    const root = element('div', { class: 'row', role: 'row', tabindex: '-1' })
    root.style.gridTemplateColumns = this.#tracks
    const drawn: DrawnRow<Row> = {
      root,
      row: undefined,
      cells: this.#columns.map(({ numeric, press, name }) => {
        const cell = element('div', { role: 'cell', class: numeric ? 'cell number' : 'cell' })
        if (press) cell.append(button(name, () => drawn.row !== undefined && press(drawn.row)))
        root.append(cell)
        return cell
      }),
    }
    this.#body.append(root)
    return drawn
  }

  #fill({ root, cells }: DrawnRow<Row>, row: Row, index: number): void {
    root.style.transform = `translateY(${index * ROW_HEIGHT}px)`
    root.setAttribute('aria-rowindex', String(index + 2))
    root.classList.toggle('odd', index % 2 === 1)
    root.tabIndex = index === this.#focused ? 0 : -1
    for (const [at, column] of this.#columns.entries()) {
      const cell = cells[at]!
      if (column.press) {
        setText(cell.firstElementChild as HTMLElement, column.text(row))
        continue
      }
      const text = column.text(row)
      if (cell.textContent !== text) cell.title = text
      setText(cell, text)
      if (column.warns) cell.classList.toggle('warn', column.warns(row))
    }
  }

  #walk(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.root.clientHeight / ROW_HEIGHT) - 2)
    const to = rowAfterKey(event.key, this.#focused, this.#rows.length, page)
    if (to === undefined) return
    event.preventDefault()
    this.#focused = to
    const top = to * ROW_HEIGHT
    const room = this.root.clientHeight - 2 * ROW_HEIGHT
    if (top < this.root.scrollTop) this.root.scrollTop = top
    else if (top > this.root.scrollTop + room) this.root.scrollTop = top - room
    this.#draw()
    this.#drawn.find(({ row }) => row === this.#rows[to])?.root.focus({ preventScroll: true })
  }

  #noteFocus(target: Node): void {
    const drawn = this.#drawn.find(({ root }) => root.contains(target))
    if (drawn?.row !== undefined) this.#focused = this.#rows.indexOf(drawn.row)
  }
}
