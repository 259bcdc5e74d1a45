/** The framer is a Transform that makes one batch of each chunk, in the same turn. */
import { PassThrough } from 'node:stream'
import t, { type Test } from 'tap'
import type { Batch } from '../../../lib/protocol/batch.ts'
import { Framer } from '../../../lib/protocol/framer.ts'
import { Scanner } from '../../../lib/protocol/scanner.ts'
import { FRONTEND_TABLE } from '../../../lib/protocol/types.ts'
import { frontend } from '../../fixtures/messages.ts'

async function flowing(t: Test): Promise<{ framer: Framer; batches: Batch[] }> {
  const framer = new Framer(new Scanner(FRONTEND_TABLE))
  const batches: Batch[] = []
  framer.on('data', (batch: Batch) => batches.push(batch))
  t.teardown(() => framer.destroy())
  // A stream begins to flow in the next tick.
  await new Promise((resolve) => setImmediate(resolve))
  return { framer, batches }
}

t.test('one batch per chunk, before write() returns', async (t) => {
  const { framer, batches } = await flowing(t)
  framer.write(Buffer.concat([frontend.sync(), frontend.sync(), frontend.query('select 1')]))
  t.equal(batches.length, 1)
  t.equal(batches[0]!.count, 3)
  framer.write(frontend.sync())
  t.equal(batches.length, 2)
  t.equal(framer.bytes, 2 * 5 + 14 + 5)
})

t.test('a chunk that completes nothing gives no batch, and its bytes come with the next', async (t) => {
  const { framer, batches } = await flowing(t)
  const bytes = frontend.parse('select 1')
  framer.write(bytes.subarray(0, 8))
  t.equal(batches.length, 0)
  framer.write(bytes.subarray(8))
  t.equal(batches.length, 1)
  t.strictSame(batches[0]!.bytesOf(0), bytes)
})

t.test('a violation is told once', async (t) => {
  const { framer, batches } = await flowing(t)
  framer.write(Buffer.from([1, 2, 3, 4, 5]))
  framer.write(frontend.sync())
  t.strictSame(
    batches.map((batch) => batch.violation),
    ['invalid message type 1'],
  )
})

t.test('in a pipe no chunk is held back and none is lost', async (t) => {
  const { framer, batches } = await flowing(t)
  const socket = new PassThrough()
  socket.pipe(framer)
  const stream = Buffer.concat(Array.from({ length: 2000 }, (_, i) => frontend.query(`select ${i}`)))
  for (let at = 0; at < stream.length; at += 777) socket.write(stream.subarray(at, at + 777))
  socket.end()
  await new Promise((resolve) => framer.on('end', resolve))
  const text = Buffer.concat(
    batches.flatMap((batch) => Array.from({ length: batch.count }, (_, i) => batch.bytesOf(i))),
  )
  t.ok(text.equals(stream))
  t.equal(framer.bytes, stream.length)
})
