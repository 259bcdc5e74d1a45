/** Cancel keys that say whose they are, and who is asked about a key. */
import { createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { resolveConfig } from '../../../lib/config/load.ts'
import type { Config } from '../../../lib/config/options.ts'
import { MOST_HOPS, peerOfKey, pidOfPeer } from '../../../lib/daemon/cancel-keys.ts'
import { Peers } from '../../../lib/daemon/peers.ts'
import { Resolver } from '../../../lib/net/resolve.ts'
import { readStartup } from '../../../lib/protocol/startup.ts'
import { createLogger } from '../../../lib/util/logger.ts'
import { waitFor } from '../../fixtures/wait.ts'

const SECRET = Buffer.from('abcd')

t.test('keys', async (t) => {
  for (const id of [1, 2, 8191, 16_383]) {
    for (const random of [0, 1, 2 ** 17 - 1, 2 ** 31 - 1]) {
      const pid = pidOfPeer(id, random)
      t.equal(peerOfKey(pid), id)
      t.ok(pid > 0 && pid < 2 ** 31, 'a positive int4, as drivers expect')
    }
  }
  t.equal(pidOfPeer(0, 2 ** 31 - 1), 2 ** 31 - 1, 'without an id all of it is random')
})

/** Somebody who keeps what is sent; `hold` leaves connections open. */
async function listener(t: Test, hold = false, host = '127.0.0.1', port = 0) {
  const got: { pid: number; hops: number }[] = []
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket
      .on('error', () => {})
      .on('data', (chunk: Buffer) => {
        const packet = readStartup(chunk.subarray(4))
        if (packet.kind === 'cancel') got.push({ pid: packet.pid, hops: packet.hops })
        if (!hold) socket.end()
      })
  })
  await new Promise<void>((resolve) => server.listen(port, host, resolve))
  t.teardown(() => {
    server.close()
    for (const socket of open) socket.destroy()
  })
  const { port: actual } = server.address() as { port: number }
  const release = (): void => {
    for (const socket of open) socket.destroy()
  }
  return { port: actual, got, release }
}

/** Two at different addresses and the same port. */
async function neighbours(t: Test) {
  const one = await listener(t)
  return [one, await listener(t, false, '127.0.0.2', one.port)] as const
}

function makePeers(values: Partial<Config>, port = 1) {
  const logs: string[] = []
  const log = createLogger({ write: (line) => void logs.push(line) })
  const config = { ...resolveConfig({ env: {} }).config, ...values }
  const resolver = new Resolver(async (host) => {
    if (host === 'both') return ['127.0.0.1', '127.0.0.2']
    if (host !== 'all') throw new Error('no such host')
    return ['127.0.0.1']
  })
  return { peers: new Peers({ config: () => config, resolver, port: () => port, log }), logs, config }
}

t.test('the peer whose key it is, and nobody else', async (t) => {
  const [one, two] = [await listener(t), await listener(t)]
  const entries = [`1=127.0.0.1:${one.port}`, `2=127.0.0.1:${two.port}`]
  const { peers } = makePeers({ peerId: 3, peers: entries })
  const pid = pidOfPeer(2, 99)
  await peers.passOn(pid, SECRET, 0)
  await peers.passOn(pid, SECRET, 1)
  await peers.passOn(pid, SECRET, MOST_HOPS)
  t.same(two.got, [
    { pid, hops: 1 },
    { pid, hops: 2 },
  ])
  await peers.passOn(pidOfPeer(3, 99), SECRET, 0)
  await peers.passOn(pidOfPeer(4, 99), SECRET, 0)
  t.same(one.got, [], 'a client of its own that has left, and a peer that there is not')
})

t.test('all of a name, once', async (t) => {
  const there = await listener(t)
  const { peers } = makePeers({ peers: [`all:${there.port}`, `none:${there.port}`] })
  await peers.passOn(5, SECRET, 0)
  t.same(there.got, [{ pid: 5, hops: MOST_HOPS }], 'who gets it passes it on no more')
  const self = makePeers({ peers: [`all:${there.port}`] }, there.port)
  await self.peers.passOn(5, SECRET, 0)
  t.equal(there.got.length, 1, 'this process is not asked by itself')
})

const skip = process.platform === 'linux' ? false : 'only Linux has other addresses on loopback'
t.test('each address of a name, as those of a headless service', { skip }, async (t) => {
  const [one, two] = await neighbours(t)
  const { peers } = makePeers({ peers: [`both:${one.port}`] })
  await peers.passOn(5, SECRET, 0)
  const expected = [{ pid: 5, hops: MOST_HOPS }]
  t.same([one.got, two.got], [expected, expected])
})

t.test('no more than pool_size at a time', async (t) => {
  const slow = await listener(t, true)
  const { peers } = makePeers({ peerId: 1, peers: [`2=127.0.0.1:${slow.port}`], poolSize: 2 })
  const pid = pidOfPeer(2, 1)
  const all = Promise.all([1, 2, 3].map(() => peers.passOn(pid, SECRET, 0)))
  await waitFor(() => slow.got.length === 2)
  const address = { id: 2, host: '127.0.0.1', port: slow.port, poolSize: 2 }
  t.same(peers.snapshot(), [{ ...address, active: 2, waiting: 1 }])
  slow.release()
  await waitFor(() => slow.got.length === 3)
  slow.release()
  await all
  t.same(peers.snapshot(), [{ ...address, active: 0, waiting: 0 }])
})

t.test('no more than its own pool_size, where it has one', async (t) => {
  const slow = await listener(t, true)
  const { peers } = makePeers({ peerId: 1, peers: [`2=127.0.0.1:${slow.port} pool_size=1`], poolSize: 9 })
  const all = Promise.all([1, 2].map(() => peers.passOn(pidOfPeer(2, 1), SECRET, 0)))
  await waitFor(() => slow.got.length === 1)
  t.same(peers.snapshot(), [{ id: 2, host: '127.0.0.1', port: slow.port, poolSize: 1, active: 1, waiting: 1 }])
  slow.release()
  await waitFor(() => slow.got.length === 2)
  slow.release()
  await all
})

t.test('what waits for longer than cancel_wait_timeout is not sent: it could hit what is run by then', async (t) => {
  const slow = await listener(t, true)
  const values = { peers: [`all:${slow.port}`], poolSize: 1, cancelWaitTimeout: 30_000 }
  const { peers, config } = makePeers(values)
  const first = peers.passOn(1, SECRET, 0)
  await waitFor(() => slow.got.length === 1)
  config.cancelWaitTimeout = 1000
  const late = Promise.all([2, 3].map((pid) => peers.passOn(pid, SECRET, 0)))
  await waitFor(() => peers.snapshot()[0]?.waiting === 2)
  const entry = { id: 0, host: 'all', port: slow.port, poolSize: 1 }
  t.same(peers.snapshot(), [{ ...entry, active: 1, waiting: 2 }], 'counted for the name')
  await late
  t.same(peers.snapshot(), [{ ...entry, active: 1, waiting: 0 }], 'those that wait leave by themselves')
  slow.release()
  await first
  t.equal(slow.got.length, 1)
  t.same(peers.snapshot(), [{ ...entry, active: 0, waiting: 0 }])
})

t.test('a peer that is not there', async (t) => {
  const { peers, logs } = makePeers({ peerId: 1, peers: ['2=127.0.0.1:1'] })
  await peers.passOn(pidOfPeer(2, 1), SECRET, 0)
  t.match(logs.join(''), /a cancel request could not be passed on to a peer.*127\.0\.0\.1:1/)
})
