/** A batch lists the segments of one chunk, grows as needed, and is used again. */
import t from 'tap'
import { Batch, FIRST, IN_HEAD, LAST, RUN, STARTUP } from '../../../lib/protocol/batch.ts'

t.test('segments are read back as they were added', async (t) => {
  const batch = Batch.take(Buffer.from('0123456789'))
  batch.head = Buffer.from('head')
  batch.add(0x51, 0, 4, FIRST | IN_HEAD)
  batch.add(0x51, 0, 6, LAST)
  t.equal(batch.count, 2)
  t.equal(batch.bytes, 14)
  t.equal(batch.bytesOf(0).toString(), 'head')
  t.equal(batch.bytesOf(1).toString(), '012345')
  t.equal(batch.buffer(0), batch.head)
  t.equal(batch.buffer(1), batch.chunk)
  batch.release()
})

t.test('a body lies behind type and length, that of a startup packet behind the length', async (t) => {
  const batch = Batch.take(Buffer.from('Q....body'))
  batch.add(0x51, 0, 9, FIRST | LAST)
  batch.add(STARTUP, 1, 9, FIRST | LAST)
  t.equal(batch.bodyOf(0).toString(), 'body')
  t.equal(batch.bodyOf(1).toString(), 'body')
  batch.release()
})

t.test('runs grow together, but not across another segment or out of the head', async (t) => {
  const batch = Batch.take(Buffer.alloc(100))
  batch.addRun(0, 10, IN_HEAD | FIRST)
  batch.addRun(0, 10, LAST)
  batch.addRun(10, 20, FIRST | LAST)
  batch.addRun(20, 30, FIRST)
  batch.add(0x43, 30, 40, FIRST | LAST)
  batch.addRun(40, 50, FIRST | LAST)
  t.equal(batch.count, 4)
  t.strictSame([batch.type(1), batch.start(1), batch.end(1), batch.flags(1)], [RUN, 0, 30, 0], 'its message goes on')
  t.strictSame([batch.type(3), batch.flags(3)], [RUN, FIRST | LAST])
  batch.release()
})

t.test('thousands of segments', async (t) => {
  const batch = Batch.take(Buffer.alloc(1))
  for (let i = 0; i < 10_000; i++) batch.add(i & 255, i, i + 1, FIRST | LAST)
  t.equal(batch.count, 10_000)
  let wrong = 0
  for (let i = 0; i < 10_000; i++) if (batch.type(i) !== (i & 255) || batch.start(i) !== i) wrong++
  t.equal(wrong, 0)
  batch.release()
})

t.test('a batch that comes back is empty', async (t) => {
  const first = Batch.take(Buffer.from('abc'))
  first.add(0x51, 0, 3, FIRST)
  first.cursor = 1
  first.violation = 'bad'
  first.head = Buffer.from('x')
  first.release()
  const second = Batch.take(Buffer.from('d'))
  t.equal(second, first, 'it is the same object')
  t.strictSame([second.count, second.cursor, second.violation, second.bytes], [0, 0, undefined, 1])
  second.release()
})

t.test('giving a batch back twice is an error, or two connections would share it', async (t) => {
  const batch = Batch.take(Buffer.from('abc'))
  batch.release()
  t.throws(() => batch.release(), /released twice/)
  const [one, other] = [Batch.take(Buffer.from('a')), Batch.take(Buffer.from('b'))]
  t.not(one, other)
})

t.test('what is noted of a segment is its own, and goes with the batch', (t) => {
  const batch = Batch.take(Buffer.alloc(20))
  const [first, second] = [{}, {}]
  t.equal(batch.noteOf(0), undefined)
  batch.note(0, first)
  t.equal(batch.noteOf(0), first)
  t.equal(batch.noteOf(1), undefined)
  batch.note(1, second)
  t.equal(batch.noteOf(1), second)
  t.equal(batch.noteOf(0), undefined, 'there is room for one')
  batch.note(0, first)
  batch.release()
  const next = Batch.take(Buffer.alloc(20))
  t.equal(next, batch, 'it is used again')
  t.equal(next.noteOf(0), undefined)
  next.release()
  t.end()
})
