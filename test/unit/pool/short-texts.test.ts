/** Which statements are known as short. */
import t from 'tap'
import { createCounters } from '../../../lib/pool/counters.ts'
import { type ShortText, ShortTexts } from '../../../lib/pool/short-texts.ts'
import type { Fingerprint } from '../../../lib/sql/fingerprint.ts'

const SHORT_MS = 50

const fingerprint = (id: string): Fingerprint => ({ id, text: id, single: true })

function run(text: ShortText, times: number, ms = 0.1, behind = false): void {
  for (let i = 0; i < times; i++) text.ran(ms, 100, behind)
}

t.test('after eight runs that were short, others may be sent behind it', async (t) => {
  const texts = new ShortTexts(createCounters(), () => SHORT_MS)
  const text = texts.of(fingerprint('a'))
  run(text, 7)
  t.equal(text.admitted, false)
  run(text, 1)
  t.equal(text.admitted, true)
  t.equal(texts.admitted, 1)
  t.ok(Math.abs(text.cost - 0.1) < 1e-9)
})

t.test('one that is slow, or large, is alone again, each time for longer', async (t) => {
  for (const slow of [
    (text: ShortText) => text.ran(SHORT_MS + 1, 100, true),
    (text: ShortText) => text.ran(0.1, 20_000, true),
    (text: ShortText) => text.wasSlow(),
  ]) {
    const counters = createCounters()
    const texts = new ShortTexts(counters, () => SHORT_MS)
    const text = texts.of(fingerprint('a'))
    run(text, 8)
    for (const again of [1000, 2000, 4000]) {
      slow(text)
      t.equal(text.admitted, false)
      t.equal(texts.admitted, 0)
      run(text, again - 1)
      t.equal(text.admitted, false, `not before ${again} runs`)
      run(text, 1)
      t.equal(text.admitted, true)
    }
    t.equal(counters.expelledTexts, 3)
  }
})

t.test('a slow run on the way there counts from the beginning', async (t) => {
  const text = new ShortTexts(createCounters(), () => SHORT_MS).of(fingerprint('a'))
  run(text, 7)
  text.ran(SHORT_MS + 1, 100, false)
  run(text, 7)
  t.equal(text.admitted, false)
  run(text, 1)
  t.equal(text.admitted, true)
})

t.test('what it takes is what it takes behind others, where that is known', async (t) => {
  const text = new ShortTexts(createCounters(), () => SHORT_MS).of(fingerprint('a'))
  run(text, 8, 3)
  t.equal(text.isNew, true)
  run(text, 8, 0.02, true)
  t.equal(text.isNew, false)
  t.ok(text.cost < 0.03)
  run(text, 500, 3)
  t.ok(text.cost < 0.03, 'the way there and back says nothing of that')
  run(text, 500, 3)
  t.equal(text.isNew, true, 'after a thousand runs alone it is found out again')
})

t.test('a wrong guess is made once', async (t) => {
  const counters = createCounters()
  const text = new ShortTexts(counters, () => SHORT_MS).of(fingerprint('a'))
  run(text, 8)
  text.isWrong()
  run(text, 1_000_000)
  t.equal(text.admitted, false)
  t.equal(counters.wrongGuesses, 1)
})

t.test('a hundred thousand texts take the place of those that nobody uses', async (t) => {
  const texts = new ShortTexts(createCounters(), () => SHORT_MS)
  const used = fingerprint('used')
  run(texts.of(used), 8)
  const forgotten = texts.of(fingerprint('forgotten'))
  run(forgotten, 8)
  t.equal(texts.admitted, 2)
  for (let i = 0; i < 100_000; i++) {
    texts.of(fingerprint(`text ${i}`))
    if (!texts.of(used).admitted) t.fail(`forgotten after ${i}`)
  }
  t.equal(texts.admitted, 1)
  t.equal(forgotten.admitted, false)
})
