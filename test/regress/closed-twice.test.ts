/** A program that wants to end at once, having begun to close its pooler patiently, had to wait all the same. */
import t from 'tap'
import { withDeadline } from '../fixtures/wait.ts'
import { startLab } from '../wire/lab.ts'

t.test('the shortest time of several calls of close counts', async (t) => {
  const lab = await startLab(t)
  const client = await lab.client()
  await client.query('begin')
  const first = lab.pooler.close({ timeoutMs: 600_000 })
  await withDeadline(lab.pooler.close({ timeoutMs: 0 }), 'the end')
  await first
  t.match(await client.expectFatal(), { C: '57P01' })
})
