/** Which descriptors of this process listen. */
import { createServer } from 'node:net'
import t from 'tap'
import { inodesOf, listeningDescriptors } from '../../../lib/net/listening-descriptors.ts'

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1920 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:1920 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1
   2: 00000000:1921 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0
`

t.test('the table of the kernel', async (t) => {
  t.same(inodesOf(TABLE, 0x1920), ['4711'], 'no connections, no other ports')
  t.same(inodesOf('', 6432), [])
  t.same(inodesOf('nonsense\n', 6432), [])
})

t.test('this process', { skip: process.platform !== 'linux' && 'only Linux tells' }, async (t) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  t.equal(listeningDescriptors(port).length, 1)
  await new Promise((resolve) => server.close(resolve))
  t.same(listeningDescriptors(port), [])
})
