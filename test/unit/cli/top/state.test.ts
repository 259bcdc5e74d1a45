/** What the keys of `pgbun top` do. */
import t from 'tap'
import { FIRST_STATE, type TopState, takeKey } from '../../../../lib/cli/top/state.ts'

const EXTENT = { columns: 3, rows: 30, page: 10 }

function press(keys: string[], state: TopState = FIRST_STATE): TopState {
  return keys.reduce((before, key) => {
    const next = takeKey(before, key, EXTENT)
    if (typeof next === 'string') throw new Error(next)
    return next
  }, state)
}

t.test('quit and suspend, whatever else is going on', async (t) => {
  t.equal(takeKey(FIRST_STATE, 'q', EXTENT), 'quit')
  for (const state of [FIRST_STATE, press(['/']), press(['?']), press([' '])]) {
    t.equal(takeKey(state, 'interrupt', EXTENT), 'quit')
    t.equal(takeKey(state, 'suspend', EXTENT), 'suspend')
  }
  t.equal(takeKey(press(['?']), 'q', EXTENT), 'quit')
})

t.test('views, pause and help', async (t) => {
  t.match(press(['4']), { view: 3 })
  t.match(press(['page-down', 'right', '2']), { view: 1, top: 0, left: 0 })
  t.match(press([' ']), { paused: true })
  t.match(press([' ', ' ']), { paused: false })
  t.match(press(['?']), { help: true })
  t.match(press(['?', '3']), { help: false, view: 0 }, 'any key leaves the help')
  t.equal(press(['x']), FIRST_STATE)
})

t.test('the order is that of a view', async (t) => {
  t.strictSame(press(['s']).orders[0], { column: 0, reversed: false })
  t.strictSame(press(['s', 's', 'r']).orders[0], { column: 1, reversed: true })
  t.strictSame(press(['s', 's', 's', 's']).orders[0], { column: -1, reversed: false }, 'round again')
  const other = press(['s', '2', 'r'])
  t.strictSame(other.orders.slice(0, 2), [
    { column: 0, reversed: false },
    { column: -1, reversed: true },
  ])
})

t.test('the filter', async (t) => {
  t.match(press(['/', 'a', 'q', '1', ' ']), { filter: 'aq1 ', typing: true, view: 0, paused: false })
  t.match(press(['/', 'a', 'b', 'backspace', 'enter']), { filter: 'a', typing: false })
  t.match(press(['/', '日', '🐘', 'backspace']), { filter: '日' })
  t.match(press(['/', 'a', 'erase-line', 'up']), { filter: '', typing: true })
  t.match(press(['/', 'a', 'escape']), { filter: '', typing: false })
  t.match(press(['/', 'a', 'enter', 'escape']), { filter: '' })
  t.equal(press(['/', ...Array(300).fill('x')]).filter.length, 200)
})

t.test('scrolling stays within what there is', async (t) => {
  t.match(press(['up', 'left']), { top: 0, left: 0 })
  t.match(press(['down', 'j', 'k']), { top: 1 })
  t.match(press(['page-down', 'page-down', 'page-down']), { top: 20 })
  t.match(press(['end', 'page-up', 'up']), { top: 9 })
  t.match(press(['end', 'home']), { top: 0 })
  t.match(press(['right', 'right', 'right']), { left: 1 })
  t.match(press(['end', '/', 'a']), { top: 0 })
})
