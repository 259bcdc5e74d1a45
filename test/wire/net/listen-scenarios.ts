/** Where pgbun listens, and what it says where it cannot. */

import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { ConnectionInfo } from '../../../lib/net/listener.ts'
import { Peer, type Scope, within } from './scope.ts'

async function open(scope: Scope, where: { host: string; port: number } | { path: string }): Promise<Peer> {
  const socket = connect(where)
  scope.add(() => socket.destroy())
  await within(new Promise<void>((resolve, reject) => socket.on('connect', resolve).on('error', reject)), 'connect')
  return new Peer(socket)
}

async function refuses(where: { host: string; port: number } | { path: string }): Promise<string> {
  return within(
    new Promise((resolve, reject) => {
      const socket = connect(where)
      socket.on('connect', () => reject(new Error('somebody listens')))
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
    }),
    'a refusal',
  )
}

function greet(infos: ConnectionInfo[] = []) {
  return (socket: Socket, info: ConnectionInfo) => {
    infos.push(info)
    socket.end('hello')
  }
}

async function greeted(peer: Peer): Promise<void> {
  assert.equal((await peer.readAll()).toString(), 'hello')
}

/** A socket file nobody listens on, as a crash leaves it. */
async function leaveStale(directory: string, name: string): Promise<void> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(join(directory, 'temporary'), resolve))
  // Moved aside, so that closing does not find it.
  renameSync(join(directory, 'temporary'), join(directory, name))
  await new Promise((resolve) => server.close(resolve))
  assert.equal(await refuses({ path: join(directory, name) }), 'ECONNREFUSED')
}

export const listenScenarios: Record<string, (scope: Scope) => Promise<void>> = {
  'localhost is both loopback addresses, on one port': async (scope) => {
    const infos: ConnectionInfo[] = []
    const listener = await scope.listen(greet(infos), { hosts: ['localhost'] })
    assert.deepEqual(
      listener.addresses,
      ['127.0.0.1', '::1'].map((host) => ({ host, port: listener.port })),
    )
    for (const host of ['127.0.0.1', '::1']) await greeted(await open(scope, { host, port: listener.port }))
    assert.deepEqual(
      infos.map(({ remoteAddress, unix, loopback }) => ({ remoteAddress, unix, loopback })),
      ['127.0.0.1', '::1'].map((remoteAddress) => ({ remoteAddress, unix: false, loopback: true })),
    )
  },

  '* is every address of both families': async (scope) => {
    const infos: ConnectionInfo[] = []
    const listener = await scope.listen(greet(infos), { hosts: ['*'] })
    for (const host of ['127.0.0.1', '127.0.0.2', '::1'])
      await greeted(await open(scope, { host, port: listener.port }))
    assert.deepEqual(
      infos.map(({ remoteAddress }) => remoteAddress),
      ['127.0.0.1', '127.0.0.1', '::1'],
    )
  },

  'a list, with doubles': async (scope) => {
    const hosts = ['127.0.0.1', ' 127.0.0.2 ', '', '[::1]', '127.0.0.1']
    const listener = await scope.listen(greet(), { hosts })
    assert.deepEqual(
      listener.addresses.map((address) => (typeof address === 'string' ? '' : address.host)),
      ['127.0.0.1', '127.0.0.2', '::1'],
    )
  },

  'a port in use is named, and nothing else stays open': async (scope) => {
    const first = await scope.listen(greet(), { hosts: ['127.0.0.2'] })
    const { port } = first
    await assert.rejects(scope.listen(greet(), { hosts: ['127.0.0.1', '127.0.0.2'], port }), {
      code: 'EADDRINUSE',
      message: `cannot listen on 127.0.0.2, port ${port}: another program listens there: stop it, or choose another listen_port`,
    })
    assert.equal(await refuses({ host: '127.0.0.1', port }), 'ECONNREFUSED')
  },

  'an address this machine does not have': async (scope) => {
    await assert.rejects(scope.listen(greet(), { hosts: ['203.0.113.77'] }), {
      code: 'EADDRNOTAVAIL',
      message: /203\.0\.113\.77.*correct listen_host/,
    })
    await assert.rejects(scope.listen(greet(), { hosts: ['nosuch.invalid'] }), /nosuch\.invalid.*listen_host/)
  },

  'nothing to listen on': async (scope) => {
    await assert.rejects(scope.listen(greet(), { hosts: [' '] }), /both listen_host and unix_socket_dir are empty/)
  },

  'stopAcceptingTcp leaves the unix socket': async (scope) => {
    const directory = scope.directory()
    const listener = await scope.listen(greet(), { unixSocketDir: directory })
    const path = join(directory, `.s.PGSQL.${listener.port}`)
    const client = await open(scope, { host: '127.0.0.1', port: listener.port })
    listener.stopAcceptingTcp()
    await greeted(client)
    assert.equal(await refuses({ host: '127.0.0.1', port: listener.port }), 'ECONNREFUSED')
    await greeted(await open(scope, { path }))
    await within(listener.close(), 'close')
    assert.equal(await refuses({ path }), 'ENOENT')
  },

  'close lets connections live': async (scope) => {
    const sockets: Socket[] = []
    const listener = await scope.listen((socket) => sockets.push(socket))
    const client = await open(scope, { host: '127.0.0.1', port: listener.port })
    await client.write('x')
    await within(listener.close(), 'close')
    assert.equal(await refuses({ host: '127.0.0.1', port: listener.port }), 'ECONNREFUSED')
    sockets[0]!.write('still here')
    assert.equal((await client.read(10)).toString(), 'still here')
    const again = await scope.listen(greet(), { port: listener.port })
    await greeted(await open(scope, { host: '127.0.0.1', port: again.port }))
  },

  'a unix socket, with its mode, removed at the end': async (scope) => {
    const directory = scope.directory()
    const path = join(directory, '.s.PGSQL.6432')
    const infos: ConnectionInfo[] = []
    const unix = { hosts: [], port: 6432, unixSocketDir: `${directory}/` }
    const listener = await scope.listen(greet(infos), { ...unix, unixSocketMode: '0750' })
    assert.deepEqual(listener.addresses, [path])
    assert.equal(statSync(path).mode & 0o777, 0o750)
    await greeted(await open(scope, { path }))
    assert.deepEqual({ ...infos[0] }, { remoteAddress: '', remotePort: 0, unix: true, loopback: false })
    await listener.close()
    assert.deepEqual(readdirSync(directory), [], 'neither socket nor lock stays')
  },

  'a unix socket beside a TCP port has its number': async (scope) => {
    const directory = scope.directory()
    const listener = await scope.listen(greet(), { unixSocketDir: directory })
    await greeted(await open(scope, { path: join(directory, `.s.PGSQL.${listener.port}`) }))
  },

  'a socket that a crash left is replaced, one in use is not': async (scope) => {
    const directory = scope.directory()
    const path = join(directory, '.s.PGSQL.6432')
    const unix = { hosts: [], port: 6432, unixSocketDir: directory }
    await leaveStale(directory, '.s.PGSQL.6432')
    const listener = await scope.listen(greet(), unix)
    await greeted(await open(scope, { path }))
    await assert.rejects(scope.listen(greet(), unix), { code: 'EADDRINUSE', message: /another program listens there/ })
    await greeted(await open(scope, { path }))
    await listener.close()
    const after = await scope.listen(greet(), unix)
    assert.equal(after.addresses.length, 1)
  },

  'of two that start at once, one gets the socket': async (scope) => {
    const directory = scope.directory()
    const unix = { hosts: [], port: 6432, unixSocketDir: directory }
    await leaveStale(directory, '.s.PGSQL.6432')
    const starts = await Promise.allSettled([1, 2, 3].map(() => scope.listen(greet(), unix)))
    assert.equal(starts.filter(({ status }) => status === 'fulfilled').length, 1)
    for (const start of starts) {
      if (start.status === 'rejected') assert.equal(start.reason.code, 'EADDRINUSE')
    }
    await greeted(await open(scope, { path: join(directory, '.s.PGSQL.6432') }))
  },

  'a lock that a crash left is no obstacle': async (scope) => {
    const directory = scope.directory()
    const unix = { hosts: [], port: 6432, unixSocketDir: directory }
    // No process has such a pid.
    writeFileSync(join(directory, '.s.PGSQL.6432.lock-pgbun'), '4194999\n')
    const listener = await scope.listen(greet(), unix)
    await listener.close()
    assert.deepEqual(readdirSync(directory), [])
  },

  'what is no socket is left alone': async (scope) => {
    const directory = scope.directory()
    const path = join(directory, '.s.PGSQL.6432')
    writeFileSync(path, 'precious')
    const unix = { hosts: [], port: 6432, unixSocketDir: directory }
    await assert.rejects(scope.listen(greet(), unix), /not a socket; remove it/)
    assert.ok(existsSync(path))
  },

  'directories that cannot work are named': async (scope) => {
    const directory = scope.directory()
    const unix = (unixSocketDir: string) => ({ hosts: [], port: 6432, unixSocketDir })
    await assert.rejects(
      scope.listen(greet(), unix(join(directory, 'none'))),
      /unix_socket_dir .*does not exist: create it/,
    )
    writeFileSync(join(directory, 'file'), '')
    await assert.rejects(scope.listen(greet(), unix(join(directory, 'file'))), /is not a directory/)
    const long = join(directory, 'x'.repeat(100))
    mkdirSync(long)
    await assert.rejects(scope.listen(greet(), unix(long)), /unix_socket_dir: .* use a shorter directory/)
    if (process.getuid?.() !== 0) {
      const locked = join(directory, 'locked')
      mkdirSync(locked)
      chmodSync(locked, 0o555)
      await assert.rejects(scope.listen(greet(), unix(locked)), /permission denied/)
    }
    await assert.rejects(
      scope.listen(greet(), { ...unix(directory), unixSocketMode: '0999' }),
      /Invalid unix_socket_mode: 0999/,
    )
  },

  'abstract unix sockets, where the runtime can': async (scope) => {
    if (process.platform !== 'linux') return
    const unixSocketDir = `@${scope.directory()}`
    const abstract = { hosts: [], port: 6432, unixSocketDir }
    try {
      await scope.listen(greet(), abstract)
    } catch (error) {
      assert.match((error as Error).message, /abstract unix socket, which this runtime cannot share/)
      assert.ok(process.versions.node.startsWith('20.'), 'only Node 20 may say so')
      return
    }
    await greeted(await open(scope, { path: `\0${unixSocketDir.slice(1)}/.s.PGSQL.6432` }))
    await assert.rejects(scope.listen(greet(), abstract), { code: 'EADDRINUSE' })
  },
}
