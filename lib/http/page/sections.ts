/** The sections that are tables: pools, clients, queries, errors. Each asks for what it shows while it is seen. */

import type { PageClient, PageQuery, Overview as ProcessOverview } from '../page-data.ts'
import { button, element } from './elements.ts'
import { ask } from './feed.ts'
import { duration, number } from './format.ts'
import type { PoolBook } from './pool-book.ts'
import { type ClientActions, clientTable, errorTable, poolTable, queryTable } from './tables.ts'

/** A part of the page; one is seen at a time. */
export interface Section {
  readonly root: HTMLElement
  readonly title: string
  /** Between two looks. */
  readonly periodMs: number
  refresh(): Promise<void>
}

/** A look at clients costs pgbun time for each: as many a second. */
const CLIENTS_PER_SECOND = 1000
const LEAST_PERIOD_MS = 2000

/** A field to search by, told of each change. */
function searchField(label: string, search: () => void): HTMLInputElement {
  const field = element('input', { type: 'search', placeholder: label, 'aria-label': label })
  field.addEventListener('input', search)
  return field
}

/** Whether one of the texts has what is searched for. */
export function matches(wanted: string, ...texts: readonly string[]): boolean {
  const needle = wanted.trim().toLowerCase()
  return needle === '' || texts.some((text) => text.toLowerCase().includes(needle))
}

/** Pools, as the stream tells of them. */
export class Pools implements Section {
  readonly root: HTMLElement
  readonly title = 'Pools'
  readonly periodMs = 1000
  readonly #book: PoolBook
  readonly #table = poolTable()
  readonly #field: HTMLInputElement

  constructor(book: PoolBook, controls: readonly HTMLElement[]) {
    this.#book = book
    this.#field = searchField('Database or user', () => void this.refresh())
    this.root = element('div', {}, element('div', { class: 'bar' }, this.#field, ...controls), this.#table.root)
  }

  async refresh(): Promise<void> {
    const wanted = this.#field.value
    this.#table.show(this.#book.all().filter(({ database, user }) => matches(wanted, database, user)))
  }
}

/** Who waits, who holds a server and why. */
export class Clients implements Section {
  readonly root: HTMLElement
  readonly title = 'Clients'
  readonly #book: PoolBook
  readonly #table: ReturnType<typeof clientTable>
  readonly #field: HTMLInputElement
  readonly #all: HTMLButtonElement
  #clients: readonly PageClient[] = []

  constructor(book: PoolBook, actions: ClientActions | undefined) {
    this.#book = book
    this.#table = clientTable(actions)
    this.#field = searchField('Database, user, application, address', () => this.#show())
    this.#all = button('Idle ones, too', () => this.#toggle(), { 'aria-pressed': 'false' })
    this.root = element('div', {}, element('div', { class: 'bar' }, this.#field, this.#all), this.#table.root)
  }

  get periodMs(): number {
    return Math.max(LEAST_PERIOD_MS, (this.#book.clientCount / CLIENTS_PER_SECOND) * 1000)
  }

  async refresh(): Promise<void> {
    const all = this.#all.getAttribute('aria-pressed') === 'true'
    this.#clients = await ask<PageClient[]>(`api/clients${all ? '?all' : ''}`)
    this.#show()
  }

  #toggle(): void {
    const all = this.#all.getAttribute('aria-pressed') === 'true'
    this.#all.setAttribute('aria-pressed', String(!all))
    // What fails is told at the next regular look.
    this.refresh().catch(() => {})
  }

  #show(): void {
    const wanted = this.#field.value
    this.#table.show(
      this.#clients.filter(({ database, user, applicationName, address, why }) =>
        matches(wanted, database, user, applicationName, address, why),
      ),
    )
  }
}

/** The busiest, the slowest, and those that fail. */
export class Queries implements Section {
  readonly root: HTMLElement
  readonly title = 'Queries'
  readonly periodMs = 5000
  readonly #table = queryTable()
  readonly #order: HTMLSelectElement
  readonly #field: HTMLInputElement
  #queries: readonly PageQuery[] = []

  constructor() {
    const orders: Record<string, string> = {
      total: 'most time',
      mean: 'slowest',
      calls: 'most often',
      p99: 'highest p99',
      errors: 'most errors',
    }
    this.#order = element(
      'select',
      { 'aria-label': 'Which queries' },
      ...Object.entries(orders).map(([value, label]) => element('option', { value }, label)),
    )
    // What fails is told at the next regular look.
    this.#order.addEventListener('change', () => void this.refresh().catch(() => {}))
    this.#field = searchField('Text, database, user', () => this.#show())
    this.root = element('div', {}, element('div', { class: 'bar' }, this.#order, this.#field), this.#table.root)
  }

  async refresh(): Promise<void> {
    const order = this.#order.value
    this.#queries = await ask<PageQuery[]>(`api/queries?limit=200&order=${order}`)
    this.#table.orderBy(order)
    this.#show()
  }

  #show(): void {
    const wanted = this.#field.value
    this.#table.show(this.#queries.filter(({ text, database, user }) => matches(wanted, text ?? '', database, user)))
  }
}

/** What PostgreSQL has answered with an error, how sessions have ended, and which hosts fail. */
export class Errors implements Section {
  readonly root: HTMLElement
  readonly title = 'Errors'
  readonly periodMs = 5000
  readonly #errors = errorTable('Errors of PostgreSQL', 'PostgreSQL has answered with no error.', 'SQLSTATE')
  readonly #ends = errorTable('Ends of sessions', 'No session has ended yet.', 'reason')
  readonly #hosts = element('ul', { class: 'note' })

  constructor() {
    this.root = element(
      'div',
      {},
      ...[element('h2', {}, 'Errors of PostgreSQL'), this.#errors.root],
      ...[element('h2', {}, 'Ends of sessions'), this.#ends.root],
      ...[element('h2', {}, 'Hosts'), this.#hosts],
    )
  }

  async refresh(): Promise<void> {
    const { errors, ends, hosts } = await ask<ProcessOverview>('api/overview')
    this.#errors.show(errors.map(({ database, sqlstate, count }) => ({ database, what: sqlstate, count })))
    this.#ends.show(Object.entries(ends).map(([what, count]) => ({ database: '', what, count: count ?? 0 })))
    this.#hosts.replaceChildren(
      ...hosts.map(({ host, port, up, role, connections, latency, lastError, failed }) => {
        const state = `${up ? 'answers' : 'does not answer'}, ${role}, ${number(connections)} connections`
        const trouble = lastError === '' ? '' : `; failed ${duration(failed)} ago: ${lastError}`
        return element('li', {}, `${host}, port ${port}: ${state}, login ${duration(latency)}${trouble}`)
      }),
    )
  }
}
