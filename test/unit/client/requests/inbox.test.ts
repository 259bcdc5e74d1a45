/** Batches that wait: each is given back once, whatever becomes of its client. */
import t from 'tap'
import { Inbox } from '../../../../lib/client/requests/inbox.ts'
import { Batch } from '../../../../lib/protocol/batch.ts'

function batches(): Batch[] {
  return ['a', 'bc', 'def'].map((text) => Batch.take(Buffer.from(text)))
}

function filled(list: Batch[]): Inbox {
  const inbox = new Inbox()
  for (const batch of list) inbox.push(batch)
  return inbox
}

/** A batch that was given back cannot be given back again. */
function givenBack(batch: Batch): boolean {
  try {
    batch.release()
    return false
  } catch {
    return true
  }
}

t.test('in order, each given back when it is handled', async (t) => {
  const list = batches()
  const inbox = filled(list)
  for (const batch of list) {
    t.equal(inbox.first, batch)
    inbox.shift()
  }
  t.equal(inbox.first, undefined)
  inbox.shift()
  t.strictSame(list.map(givenBack), [true, true, true])
})

t.test('all are given back when nobody handles one', async (t) => {
  const list = batches()
  filled(list).clear(false)
  t.strictSame(list.map(givenBack), [true, true, true])
})

t.test('the one that is being handled is not, until that is over', async (t) => {
  const list = batches()
  const inbox = filled(list)
  inbox.clear(true)
  t.equal(inbox.first, list[0])
  t.equal(list[0]!.chunk.toString(), 'a', 'its bytes are still there')
  inbox.shift()
  t.equal(inbox.first, undefined)
  t.strictSame(list.map(givenBack), [true, true, true])
})

t.test('full is told by bytes', async (t) => {
  const inbox = new Inbox()
  inbox.push(Batch.take(Buffer.alloc(200_000)))
  t.notOk(inbox.full)
  inbox.push(Batch.take(Buffer.alloc(200_000)))
  t.ok(inbox.full)
  inbox.clear(true)
  t.notOk(inbox.full)
  inbox.shift()
  inbox.push(Batch.take(Buffer.alloc(200_000)))
  t.notOk(inbox.full)
})
