/**
 * What may stand behind a SHOW: conditions, an order and a limit, over columns of the result. Small and safe: no functions,
 * no joins, no arithmetic. Pure.
 */

import { type Cell, type Column, type ColumnType, ConsoleError } from '../client/lifecycle/console-backend.ts'
import { nearestNames } from '../config/nearest-name.ts'
import { likePattern } from './like-pattern.ts'
import type { TokenReader } from './tokens.ts'

type Row = readonly Cell[]
type Parameters = readonly (string | null)[]
type Test = (row: Row, parameters: Parameters) => boolean
type Value = (parameters: Parameters) => string | null

/** What a query makes of rows. */
export interface RowQuery {
  readonly columns: readonly Column[]
  /** Types of $1, $2 … */
  readonly parameters: readonly ColumnType[]
  apply(rows: readonly Row[], parameters: Parameters): Row[]
}

/** So deep may conditions be nested. */
const DEPTH = 50
/** So many parameters may there be. */
const PARAMETER_LIMIT = 100
/** Length of patterns of LIKE: what is compared with them may be long. */
const PATTERN_LIMIT = 1000

/** Reads one query over the columns of a table. */
export class RowQueryReader {
  readonly #reader: TokenReader
  readonly #all: readonly Column[]
  readonly #parameters: ColumnType[] = []
  #depth = 0

  constructor(reader: TokenReader, columns: readonly Column[]) {
    this.#reader = reader
    this.#all = columns
  }

  /** Names separated by commas, up to what is no name. */
  columnList(): Column[] {
    const columns = [this.#all[this.#column()]!]
    while (this.#reader.takesSymbol(',')) columns.push(this.#all[this.#column()]!)
    return columns
  }

  /** WHERE, ORDER BY, LIMIT and OFFSET, as far as they are there, and the end of the statement. */
  rest(selected: readonly Column[] | 'count'): RowQuery {
    const reader = this.#reader
    const test = reader.takes('where') ? this.#or() : undefined
    const order = reader.takes('order') ? this.#order() : undefined
    let limit: Value | undefined
    let offset: Value | undefined
    for (;;) {
      if (limit === undefined && reader.takes('limit')) limit = this.#value('int8')
      else if (offset === undefined && reader.takes('offset')) offset = this.#value('int8')
      else break
    }
    reader.end()
    const indexes = selected === 'count' ? [] : selected.map((column) => this.#all.indexOf(column))
    return {
      columns: selected === 'count' ? [{ name: 'count', type: 'int8' }] : selected,
      parameters: this.#parameters,
      apply: (rows, parameters) => {
        let found = test === undefined ? [...rows] : rows.filter((row) => test(row, parameters))
        if (selected === 'count') found = [[found.length]]
        else if (order !== undefined) found.sort(order)
        const from = offset === undefined ? 0 : amount(offset(parameters))
        const until = limit === undefined ? undefined : from + amount(limit(parameters))
        found = found.slice(from, until)
        return selected === 'count' ? found : found.map((row) => indexes.map((i) => row[i]!))
      },
    }
  }

  #column(): number {
    const token = this.#reader.take()
    if (token.kind !== 'word' && token.kind !== 'name') throw this.#reader.error()
    const name = token.kind === 'word' ? token.text.toLowerCase() : token.text
    const index = this.#all.findIndex((column) => column.name === name)
    if (index >= 0) return index
    const names = this.#all.map((column) => column.name)
    const [nearest] = nearestNames(name, names)
    throw new ConsoleError('console_unknown', {
      args: { what: `column "${name}" does not exist` },
      hint: nearest === undefined ? `The columns are ${names.join(', ')}.` : `Perhaps you meant "${nearest}".`,
    })
  }

  #or(): Test {
    if (++this.#depth > DEPTH)
      throw new ConsoleError('console_syntax', { args: { what: 'conditions are nested too deeply' } })
    const tests = [this.#and()]
    while (this.#reader.takes('or')) tests.push(this.#and())
    this.#depth--
    return (row, parameters) => tests.some((test) => test(row, parameters))
  }

  #and(): Test {
    const tests = [this.#not()]
    while (this.#reader.takes('and')) tests.push(this.#not())
    return (row, parameters) => tests.every((test) => test(row, parameters))
  }

  #not(): Test {
    const reader = this.#reader
    let negated = false
    while (reader.takes('not')) negated = !negated
    let test: Test
    if (reader.takesSymbol('(')) {
      test = this.#or()
      reader.expectSymbol(')')
    } else test = this.#comparison()
    return negated ? (row, parameters) => !test(row, parameters) : test
  }

  #comparison(): Test {
    const reader = this.#reader
    const index = this.#column()
    const { type } = this.#all[index]!
    if (reader.takes('is')) {
      const negated = reader.takes('not')
      reader.expect('null')
      return (row) => (row[index] === null) !== negated
    }
    const negated = reader.takes('not')
    const among = this.#among(index, type)
    if (among !== undefined)
      return negated ? (row, parameters) => isThere(row[index]) && !among(row, parameters) : among
    if (negated) throw reader.error()
    const symbol = reader.take().text
    const compare = COMPARISONS.get(symbol)
    if (compare === undefined) throw reader.error()
    const value = this.#value(type)
    return (row, parameters) => {
      const order = compared(row[index], value(parameters), type)
      return order !== undefined && compare(order)
    }
  }

  /** IN, BETWEEN, LIKE and ILIKE. */
  #among(index: number, type: ColumnType): Test | undefined {
    const reader = this.#reader
    if (reader.takes('in')) {
      reader.expectSymbol('(')
      const values = [this.#value(type)]
      while (reader.takesSymbol(',')) values.push(this.#value(type))
      reader.expectSymbol(')')
      return (row, parameters) => values.some((value) => compared(row[index], value(parameters), type) === 0)
    }
    if (reader.takes('between')) {
      const low = this.#value(type)
      reader.expect('and')
      const high = this.#value(type)
      return (row, parameters) => {
        const above = compared(row[index], low(parameters), type)
        const below = compared(row[index], high(parameters), type)
        return above !== undefined && below !== undefined && above >= 0 && below <= 0
      }
    }
    const exact = reader.takes('like')
    if (!exact && !reader.takes('ilike')) return undefined
    const value = this.#value('text')
    return (row, parameters) => {
      const pattern = value(parameters)
      if (pattern === null || !isThere(row[index])) return false
      return likePattern(String(row[index]), bounded(pattern), exact)
    }
  }

  #value(type: ColumnType): Value {
    const reader = this.#reader
    const token = reader.take()
    if (token.kind === 'string') return constant(checked(token.text, type))
    if (token.kind !== 'word') throw reader.error()
    const { text } = token
    if (text.startsWith('$')) return this.#parameter(text, type)
    if (text.toLowerCase() === 'null') return constant(null)
    if (!/^[+-]?\d/.test(text) && !/^(true|false)$/i.test(text)) throw reader.error()
    return constant(checked(text, type))
  }

  #parameter(text: string, type: ColumnType): Value {
    const number = /^\$\d{1,3}$/.test(text) ? Number(text.slice(1)) : 0
    if (number < 1 || number > PARAMETER_LIMIT) {
      throw new ConsoleError('console_syntax', { args: { what: `there is no parameter ${text}` } })
    }
    for (let i = this.#parameters.length; i < number; i++) this.#parameters.push('text')
    this.#parameters[number - 1] = isNumeric(type) ? 'int8' : 'text'
    return (parameters) => {
      const value = parameters[number - 1] ?? null
      return value === null ? null : checked(value, type)
    }
  }

  #order(): (a: Row, b: Row) => number {
    const reader = this.#reader
    reader.expect('by')
    const keys: { index: number; type: ColumnType; sign: number }[] = []
    do {
      const index = this.#column()
      const sign = reader.takes('desc') ? -1 : 1
      if (sign === 1) reader.takes('asc')
      keys.push({ index, type: this.#all[index]!.type, sign })
    } while (reader.takesSymbol(','))
    return (a, b) => {
      for (const { index, type, sign } of keys) {
        const order = sorted(a[index]!, b[index]!, type) * sign
        if (order !== 0) return order
      }
      return 0
    }
  }
}

const COMPARISONS = new Map<string, (order: number) => boolean>([
  ['=', (order) => order === 0],
  ['<>', (order) => order !== 0],
  ['!=', (order) => order !== 0],
  ['<', (order) => order < 0],
  ['<=', (order) => order <= 0],
  ['>', (order) => order > 0],
  ['>=', (order) => order >= 0],
])

function constant(value: string | null): Value {
  return () => value
}

function isNumeric(type: ColumnType): boolean {
  return type === 'int4' || type === 'int8' || type === 'numeric'
}

function isThere(cell: Cell | undefined): boolean {
  return cell !== null && cell !== undefined
}

/** @throws ConsoleError where `value` is compared with numbers and is none */
function checked(value: string, type: ColumnType): string {
  if (isNumeric(type) && (value.trim() === '' || !Number.isFinite(Number(value)))) {
    throw new ConsoleError('console_value', { args: { what: `"${value}" is no number` } })
  }
  return value
}

/** @throws ConsoleError where `pattern` is so long that comparing with it takes time */
function bounded(pattern: string): string {
  if (pattern.length <= PATTERN_LIMIT) return pattern
  throw new ConsoleError('console_value', { args: { what: `a pattern may have ${PATTERN_LIMIT} characters` } })
}

/** How many rows LIMIT and OFFSET mean; NULL is no limit. */
function amount(value: string | null): number {
  if (value === null) return Number.POSITIVE_INFINITY
  const count = Number(value)
  if (count < 0) throw new ConsoleError('console_value', { args: { what: 'LIMIT and OFFSET must not be negative' } })
  return Math.round(count)
}

/** Below 0, 0 or above 0; undefined where one of them is NULL. */
function compared(cell: Cell | undefined, value: string | null, type: ColumnType): number | undefined {
  if (cell === null || cell === undefined || value === null) return undefined
  if (isNumeric(type)) return Number(cell) - Number(value)
  return order(String(cell), value)
}

/** As PostgreSQL sorts: NULL behind all others. */
function sorted(a: Cell, b: Cell, type: ColumnType): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null)
  return isNumeric(type) ? Number(a) - Number(b) : order(String(a), String(b))
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
