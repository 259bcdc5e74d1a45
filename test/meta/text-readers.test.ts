/** Nobody adds a reader of long texts without the test that attacks it (test/regress/hostile-texts.test.ts) knowing. */
import t from 'tap'
import { NO_READERS, READERS, textTakers } from '../fixtures/text-readers.ts'

t.test('what is given texts or bytes is attacked with long ones, or says why it need not be', async (t) => {
  const known = new Set([...Object.keys(READERS), ...Object.keys(NO_READERS)])
  const takers = textTakers()
  t.strictSame(
    takers.filter((name) => !known.has(name)),
    [],
    'add it to test/fixtures/text-readers.ts',
  )
})

t.test('the list has nothing that is not there any more', async (t) => {
  const takers = new Set(textTakers())
  t.strictSame(
    Object.keys(NO_READERS).filter((name) => !takers.has(name)),
    [],
  )
})

t.test('nothing is on both lists', async (t) => {
  t.strictSame(
    Object.keys(READERS).filter((name) => Object.hasOwn(NO_READERS, name)),
    [],
  )
})
