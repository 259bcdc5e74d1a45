/** Two reloads of a library's pooler at once: the second one took back what the first had changed. */
import t from 'tap'
import { createPooler } from '../../lib/index.ts'
import { connectRaw } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'
import { startLab } from '../wire/lab.ts'

t.test('reloads at the same time add up', async (t) => {
  const { pooler, client } = await startLab(t, { poolSize: 6 })
  await client()
  const [first, wrong, last] = await Promise.allSettled([
    pooler.reload({ poolSize: 3 }),
    pooler.reload({ poolSize: 0 }),
    pooler.reload({ maxClientConn: 1 }),
  ])
  t.match([first.status, wrong.status, last.status], ['fulfilled', 'rejected', 'fulfilled'])
  t.equal(pooler.snapshot().pools[0]!.size, 3)
  await t.rejects(client(), /too many clients|max_client_conn/)
})

t.test('log_level changes the log of a library, too', async (t) => {
  let written = ''
  const { write } = process.stderr
  process.stderr.write = (text: string | Uint8Array) => {
    written += String(text)
    return true
  }
  t.teardown(() => {
    process.stderr.write = write
  })
  const pooler = await createPooler({ listenHost: '127.0.0.1', listenPort: 0, logLevel: 'error' })
  t.teardown(() => pooler.close({ timeoutMs: 0 }))
  await pooler.reload({ logLevel: 'debug' })
  const client = await connectRaw(t, { host: '127.0.0.1', port: (pooler.address as { port: number }).port })
  client.destroy()
  await waitFor(() => / DEBUG connection closed before its login/.test(written), { what: 'a line of the log' })
})
