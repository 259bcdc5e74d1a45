/** The tables of the page: what their columns are. */

import type { OptionView } from '../../admin/view.ts'
import type { PoolGauges } from '../../observe/activity-delta.ts'
import type { PageClient, PageQuery } from '../page-data.ts'
import { duration, NOTHING, number } from './format.ts'
import { type TableColumn, VirtualTable } from './virtual-table.ts'

/** A column of text. */
function text<Row>(name: string, width: number, grow: number, of: (row: Row) => string): TableColumn<Row> {
  return { name, width, grow, text: of }
}

/** A column of counts, or of what `format` makes of numbers. */
function count<Row>(
  name: string,
  of: (row: Row) => number,
  format: (value: number) => string = number,
  warns?: (row: Row) => boolean,
): TableColumn<Row> {
  const shown = (row: Row): string => format(of(row))
  return { name, width: 5.7, numeric: true, text: shown, value: of, ...(warns && { warns }) }
}

/** A time: nothing where there is none. */
function time<Row>(name: string, of: (row: Row) => number, warns?: (row: Row) => boolean): TableColumn<Row> {
  return count(name, of, (ms) => (ms === 0 ? NOTHING : duration(ms)), warns)
}

/** Columns of numbers with short names, of a table that has many. */
function narrow<Row>(columns: TableColumn<Row>[]): TableColumn<Row>[] {
  return columns.map((column) => (column.numeric ? { ...column, width: 5.3 } : column))
}

export function poolTable(): VirtualTable<PoolGauges> {
  const waits = ({ waiting }: PoolGauges): boolean => waiting > 0
  return new VirtualTable<PoolGauges>({
    label: 'Pools',
    order: 'waiting',
    empty: 'No client has connected to a database yet.',
    columns: narrow([
      text('database', 9, 2, ({ database }) => database),
      text('user', 7, 1, ({ user, reads }) => (reads ? `${user} (reads)` : user)),
      text('mode', 7, 0, ({ mode }) => mode),
      count('clients', ({ clients }) => clients),
      count('waiting', ({ waiting }) => waiting, number, waits),
      time('max wait', ({ maxWait }) => Math.round(maxWait), waits),
      count('active', ({ servers }) => servers.active),
      count('idle', ({ servers }) => servers.idle),
      count('other', ({ servers, opening }) => servers.busy + servers.draining + servers.beingCanceled + opening),
      count('size', ({ size }) => size),
      count('pinned', ({ pinned }) => pinned),
      count('shared', ({ shared }) => shared),
    ]),
  })
}

/** What can be done to a client. */
export interface ClientActions {
  cancel(client: PageClient): void
  disconnect(client: PageClient): void
}

export function clientTable(actions: ClientActions | undefined): VirtualTable<PageClient> {
  const button = (name: string, press: (client: PageClient) => void): TableColumn<PageClient> => {
    return { name, width: 7.5, text: () => `${name}…`, press }
  }
  return new VirtualTable<PageClient>({
    label: 'Clients',
    order: 'waited',
    empty: 'No client holds a server or waits for one.',
    columns: [
      count(
        'id',
        ({ id }) => id,
        (id) => String(id),
      ),
      text('database', 7, 1, ({ database }) => database),
      text('user', 6, 1, ({ user }) => user),
      text('application', 8, 1.5, ({ applicationName }) => applicationName),
      text('address', 9, 1, ({ address }) => address),
      text('why', 10, 1.5, ({ why, state }) => why || state),
      time(
        'waited',
        ({ waited }) => waited,
        ({ waited }) => waited > 0,
      ),
      time('transaction', ({ transaction }) => transaction),
      time('pinned for', ({ pinnedFor }) => pinnedFor),
      time('request', ({ request }) => request),
      count(
        'backend pid',
        ({ pid }) => pid,
        (pid) => (pid === 0 ? NOTHING : String(pid)),
      ),
      ...(actions === undefined
        ? []
        : [
            button('Cancel', (client) => actions.cancel(client)),
            button('Disconnect', (client) => actions.disconnect(client)),
          ]),
    ],
  })
}

export function queryTable(): VirtualTable<PageQuery> {
  return new VirtualTable<PageQuery>({
    label: 'Queries',
    order: 'total',
    empty: 'No statement has ended yet, or query_stats_max is 0.',
    columns: narrow([
      text('query', 16, 4, ({ text, id }) => text ?? `${id} (stats_show_queries is off)`),
      text('database', 7, 1, ({ database }) => database),
      text('user', 6, 1, ({ user }) => user),
      count('calls', ({ calls }) => calls),
      count('total', ({ total }) => total, duration),
      count('mean', ({ mean }) => mean, duration),
      count('p99', ({ p99 }) => p99, duration),
      count('max', ({ max }) => max, duration),
      count('wait', ({ wait }) => wait, duration),
      count('rows', ({ rows }) => rows),
      count(
        'errors',
        ({ errors }) => errors,
        number,
        ({ errors }) => errors > 0,
      ),
      count('shared', ({ shared }) => shared),
    ]),
  })
}

/** How often something went wrong. */
export interface ErrorRow {
  readonly database: string
  readonly what: string
  readonly count: number
}

export function errorTable(label: string, empty: string, what: string): VirtualTable<ErrorRow> {
  return new VirtualTable<ErrorRow>({
    ...{ label, empty, order: 'count' },
    columns: [
      text(what, 10, 2, (row) => row.what),
      text('database', 8, 1, ({ database }) => database),
      count('count', (row) => row.count),
    ],
  })
}

export function optionTable(): VirtualTable<OptionView> {
  return new VirtualTable<OptionView>({
    ...{ label: 'Configuration', empty: 'There are no options.', order: 'set by' },
    columns: [
      text('option', 14, 1, ({ name }) => name),
      text('value', 14, 2, ({ value }) => value),
      text('set by', 12, 2, ({ source }) => source),
      text('default', 10, 1, ({ default: usual }) => usual),
      text('reloadable', 7, 0, ({ changeable }) => (changeable ? 'yes' : 'no')),
    ],
  })
}
