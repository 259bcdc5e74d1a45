/** What who watches has chosen: view, order, filter, pause. Keys -> the next state. Pure. */
import type { Key } from './keys.ts'
import { VIEWS } from './views.ts'

/** How the rows of one view are ordered; column -1 is the order in which they come. */
export interface Order {
  column: number
  reversed: boolean
}

export interface TopState {
  /** Index in VIEWS. */
  view: number
  orders: readonly Order[]
  filter: string
  /** The filter is being typed. */
  typing: boolean
  paused: boolean
  help: boolean
  /** Rows and columns that are scrolled away. */
  top: number
  left: number
}

export const FIRST_STATE: TopState = {
  view: 0,
  orders: VIEWS.map(() => ({ column: -1, reversed: false })),
  filter: '',
  typing: false,
  paused: false,
  help: false,
  top: 0,
  left: 0,
}

/** What there is room and data for, as it was drawn last. */
export interface Extent {
  columns: number
  rows: number
  /** Rows of a page. */
  page: number
}

/** What a key does. `quit` and `suspend` are for whoever owns the terminal. */
export function takeKey(state: TopState, key: Key, extent: Extent): TopState | 'quit' | 'suspend' {
  if (key === 'interrupt') return 'quit'
  if (key === 'suspend') return 'suspend'
  if (state.typing) return { ...typed(state, key), top: 0 }
  if (state.help) return key === 'q' ? 'quit' : { ...state, help: false }
  const view = VIEWS.findIndex((one) => one.key === key)
  if (view >= 0) return { ...state, view, top: 0, left: 0 }
  const last = Math.max(0, extent.rows - extent.page)
  const scrolled = (top: number): TopState => ({ ...state, top: Math.min(last, Math.max(0, top)) })
  switch (key) {
    case 'q':
      return 'quit'
    case '?':
    case 'h':
      return { ...state, help: true }
    case ' ':
      return { ...state, paused: !state.paused }
    case '/':
      return { ...state, typing: true }
    case 'escape':
      return { ...state, filter: '', top: 0 }
    case 's':
      return ordered(state, ({ column }) => ({
        column: column + 1 >= extent.columns ? -1 : column + 1,
        reversed: false,
      }))
    case 'r':
      return ordered(state, ({ column, reversed }) => ({ column, reversed: !reversed }))
    case 'up':
    case 'k':
      return scrolled(state.top - 1)
    case 'down':
    case 'j':
      return scrolled(state.top + 1)
    case 'page-up':
      return scrolled(state.top - extent.page)
    case 'page-down':
      return scrolled(state.top + extent.page)
    case 'home':
      return scrolled(0)
    case 'end':
      return scrolled(last)
    case 'left':
      return { ...state, left: Math.max(0, state.left - 1) }
    case 'right':
      return { ...state, left: Math.min(Math.max(0, extent.columns - 2), state.left + 1) }
    default:
      return state
  }
}

function typed(state: TopState, key: Key): TopState {
  switch (key) {
    case 'enter':
      return { ...state, typing: false }
    case 'escape':
      return { ...state, typing: false, filter: '' }
    case 'backspace':
      return { ...state, filter: [...state.filter].slice(0, -1).join('') }
    case 'erase-line':
      return { ...state, filter: '' }
    default:
      // A name of a key is no text.
      return [...key].length === 1 && state.filter.length < LONGEST_FILTER
        ? { ...state, filter: state.filter + key }
        : state
  }
}

const LONGEST_FILTER = 200

function ordered(state: TopState, next: (order: Order) => Order): TopState {
  return { ...state, orders: state.orders.map((order, i) => (i === state.view ? next(order) : order)), top: 0 }
}
