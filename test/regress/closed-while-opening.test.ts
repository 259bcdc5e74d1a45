/**
 * A pooler that was closed while a server did not answer went on connecting to it, for up to server_connect_timeout, and
 * kept its process alive for as long.
 */
import { createServer, type Socket } from 'node:net'
import t from 'tap'
import { createPooler, type PoolerOptions } from '../../lib/index.ts'
import { frontend } from '../fixtures/messages.ts'
import type { Teardown } from '../fixtures/postgres.ts'
import { connectRaw } from '../fixtures/raw-client.ts'
import { gate, waitFor } from '../fixtures/wait.ts'
import { startLab } from '../wire/lab.ts'

/** A pooler, one client that wants a server, and the connections a server that says nothing has got. */
async function startSilent(t: Teardown, options: PoolerOptions = {}) {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.resume()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const { port: serverPort } = server.address() as { port: number }
  const pooler = await createPooler(
    { listenHost: '127.0.0.1', listenPort: 0, serverHost: '127.0.0.1', serverPort, authType: 'trust', ...options },
    { logger: false },
  )
  t.teardown(() => pooler.close({ timeoutMs: 0 }))
  const client = await connectRaw(t, { host: '127.0.0.1', port: (pooler.address as { port: number }).port })
  client.send(frontend.startup({ user: 'a', database: 'b' }))
  await waitFor(() => sockets.length === 1, { what: 'a connection' })
  return { pooler, sockets }
}

for (const [what, options] of Object.entries<PoolerOptions>({
  'TLS is negotiated': { serverTlsMode: 'prefer' },
  'it logs in': { serverTlsMode: 'disable' },
  'it logs in to prove a password': { serverTlsMode: 'disable', authType: 'passthrough' },
})) {
  t.test(`a connection is given up while ${what}`, async (t) => {
    const { pooler, sockets } = await startSilent(t, options)
    await pooler.close({ timeoutMs: 0 })
    await waitFor(() => sockets[0]!.readableEnded || sockets[0]!.destroyed, { what: 'its end', timeout: 5000 })
    t.equal(sockets.length, 1, 'and no other is opened')
  })
}

t.test('so is a cancel request', async (t) => {
  const held = gate()
  const lab = await startLab(t, {
    script: {
      onCancel: () => held.opened,
      onMessage(connection, message) {
        if (message.type === 'X') connection.end()
      },
    },
  })
  t.teardown(() => held.open())
  const client = await lab.client()
  client.send(frontend.query('select 1'))
  await waitFor(() => lab.servers().active === 1, { what: 'its query' })
  const canceller = await lab.connect()
  canceller.send(frontend.cancelRequest(client.session.pid, client.session.secret))
  await waitFor(() => lab.server.cancels.length === 1, { what: 'the cancel request' })
  await lab.pooler.close({ timeoutMs: 0 })
  await lab.logged('cancel request not acknowledged by PostgreSQL')
})
