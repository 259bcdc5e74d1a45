/** The pure parts of the live page: which rows are drawn, what the stream of events adds up to, how numbers are written. */

import { readFileSync } from 'node:fs'
import t from 'tap'
import { bytes, duration, number } from '../../../../lib/http/page/format.ts'
import { PoolBook } from '../../../../lib/http/page/pool-book.ts'
import { rowAfterKey, visibleRows } from '../../../../lib/http/page/virtual-rows.ts'
import { type Activity, deltaEvent, type PoolGauges, wholeEvent } from '../../../../lib/observe/activity-delta.ts'

t.test('of ten thousand rows a few are drawn', async (t) => {
  for (let scrolled = -50; scrolled < 400_000; scrolled += 777) {
    const { first, end } = visibleRows(10_000, 36, scrolled, 600)
    t.ok(end - first <= 36, `${end - first} at ${scrolled}`)
    const top = Math.min(Math.max(0, scrolled), 10_000 * 36 - 600)
    if (first * 36 > top || end * 36 < Math.min(top + 600, 360_000)) t.fail(`a gap at ${scrolled}`)
  }
  t.same(visibleRows(0, 36, 0, 600), { first: 0, end: 0 })
  t.same(visibleRows(3, 36, 5000, 600), { first: 0, end: 3 }, 'the table became shorter than it was scrolled')
})

t.test('keys lead through rows and stop at the ends', async (t) => {
  t.equal(rowAfterKey('ArrowDown', 0, 3, 10), 1)
  t.equal(rowAfterKey('ArrowDown', 2, 3, 10), 2)
  t.equal(rowAfterKey('ArrowUp', 0, 3, 10), 0)
  t.equal(rowAfterKey('PageDown', 5, 100, 10), 15)
  t.equal(rowAfterKey('PageUp', 5, 100, 10), 0)
  t.equal(rowAfterKey('Home', 5, 100, 10), 0)
  t.equal(rowAfterKey('End', 5, 100, 10), 99)
  t.equal(rowAfterKey('Tab', 5, 100, 10), undefined)
  t.equal(rowAfterKey('constructor', 5, 100, 10), undefined)
  t.equal(rowAfterKey('End', 0, 0, 10), undefined, 'no rows')
})

function activity(clientCount: number, pools: readonly (Partial<PoolGauges> & { user: string })[]): Activity {
  const all = pools.map((pool) => ({ database: '"]', reads: false, waiting: 0, ...pool }) as PoolGauges)
  const byKey = all.map((pool) => [JSON.stringify([pool.database, pool.user, pool.reads]), pool] as const)
  return { at: clientCount, clientCount, databases: new Map(), pools: new Map(byKey) }
}

t.test('a whole picture and what changes add up to the picture of now', async (t) => {
  const [a, b, c] = [
    activity(1, [{ user: 'one' }, { user: 'two' }]),
    activity(2, [
      { user: 'two', waiting: 3 },
      { user: 'two', reads: true },
    ]),
    activity(3, [{ user: 'two', waiting: 3 }]),
  ]
  const book = new PoolBook()
  book.begin(wholeEvent(a))
  for (const [after, before] of [
    [b, a],
    [c, b],
  ] as const) {
    book.change(deltaEvent(after, before))
    t.same(book.all(), [...after.pools.values()])
    t.equal(book.clientCount, after.clientCount)
  }
  book.begin(wholeEvent(a))
  t.same(book.all(), [...a.pools.values()], 'a new picture leaves nothing of the old one')
})

t.test('numbers as people read them', async (t) => {
  t.same([0, 3.44, 12.6, 12_345, null, Number.NaN].map(number), ['0', '3.4', '13', '12,345', '–', '–'])
  t.same(
    [0, 0.256, 9.9949, 9.999, 42.4, 999.6, 1500, 9949, 59_999, 90_000, 7_100_000, 7_200_000, 3e8, null].map(duration),
    [
      '0 ms',
      '0.26 ms',
      '9.99 ms',
      '10 ms',
      '42 ms',
      '1.0 s',
      '1.5 s',
      '9.9 s',
      '60 s',
      '90 s',
      '118 min',
      '2 h',
      '3 d',
      '–',
    ],
  )
  t.same([0, 999, 1000, 9_960, 123_456, 5e9].map(bytes), ['0 B', '999 B', '1.0 kB', '10 kB', '123 kB', '5.0 GB'])
})

t.test('nothing of the page is markup made of text, or a script in it', async (t) => {
  const dir = new URL('../../../../lib/http/page/', import.meta.url)
  const { readdirSync } = await import('node:fs')
  for (const name of readdirSync(dir)) {
    if (!/\.(ts|html)$/.test(name)) continue
    const text = readFileSync(new URL(name, dir), 'utf8')
    t.notMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/, name)
    t.notMatch(text, /<script(?![^>]*\bsrc=)|\son\w+="|\sstyle="|https?:\/\//, name)
  }
})
