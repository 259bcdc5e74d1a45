/** What is forgotten first. */
import t from 'tap'
import { BoundedMap } from '../../../lib/util/bounded-map.ts'

function filled(...keys: string[]): BoundedMap<number> {
  const map = new BoundedMap<number>(3)
  for (const [i, key] of keys.entries()) map.set(key, i)
  return map
}

t.test('the one unused for longest goes', async (t) => {
  const map = filled('a', 'b', 'c')
  t.equal(map.get('a'), 0)
  map.set('d', 3)
  t.equal(map.get('b'), undefined)
  t.strictSame([map.get('c'), map.get('a'), map.get('d'), map.size], [2, 0, 3, 3])
})

t.test('who is asked for again and again is the newest when another has been asked for', async (t) => {
  const map = filled('a', 'b', 'c')
  map.get('a')
  map.get('a')
  map.get('b')
  map.get('a')
  map.set('d', 3)
  map.set('e', 4)
  t.strictSame([map.get('a'), map.get('b'), map.get('c')], [0, undefined, undefined])
})

t.test('one that was deleted is nobody, and is the newest when it comes back', async (t) => {
  const map = filled('a', 'b')
  t.ok(map.delete('b'))
  t.equal(map.get('b'), undefined)
  map.set('c', 2)
  map.set('b', 1)
  map.set('d', 3)
  t.strictSame([map.get('a'), map.get('b')], [undefined, 1])
  map.clear()
  t.strictSame([map.get('b'), map.size], [undefined, 0])
})

t.test('a limit below one is one', async (t) => {
  const map = new BoundedMap<number>(0)
  map.set('a', 1)
  map.set('b', 2)
  t.strictSame([map.get('a'), map.get('b')], [undefined, 2])
})
