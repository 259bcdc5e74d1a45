/** How pgbun connects to a server, against servers that behave and servers that do not. */

import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type DialOptions, dial, type ServerTls, sendAndWaitClose } from '../../../lib/net/dial.ts'
import { DialError, type DialTarget } from '../../../lib/net/dial-error.ts'
import { Resolver } from '../../../lib/net/resolve.ts'
import type { TlsContext } from '../../../lib/net/tls-context.ts'
import { certificates, clientSide, DEADLINE, Peer, type Scope, serverSide, within } from './scope.ts'

const PLAIN: DialOptions = { timeoutMs: DEADLINE, keepAlive: true, keepIdleMs: 60_000 }

function withTls(context: TlsContext, more: Partial<ServerTls> = {}): DialOptions {
  return { ...PLAIN, tls: { context, negotiation: 'postgres', ...more } }
}

async function failure(scope: Scope, target: DialTarget, options: DialOptions): Promise<DialError> {
  try {
    const { socket } = await dial(target, options)
    scope.add(() => socket.destroy())
  } catch (error) {
    if (error instanceof DialError) return error
    throw error
  }
  throw new Error('the connection came about')
}

/** A server that answers the first 8 bytes of each connection with the next answer, and the rest with an echo. */
async function answering(scope: Scope, answers: Buffer[]) {
  const connections: Socket[] = []
  const { port } = await scope.listen((socket) => {
    const answer = answers[connections.length]
    connections.push(socket)
    let seen = 0
    socket.on('data', (chunk) => {
      const asked = seen === 0 && chunk.length === 8
      seen += chunk.length
      if (asked && answer) socket.write(answer)
      else socket.write(chunk)
    })
    socket.on('end', () => socket.end())
  })
  return { port, connections }
}

async function echoes(scope: Scope, socket: Socket): Promise<void> {
  scope.add(() => socket.destroy())
  assert.equal(socket.listenerCount('data'), 0, 'no data listener is left behind')
  const peer = new Peer(socket)
  await peer.write('a startup packet')
  assert.equal((await peer.read(16)).toString(), 'a startup packet')
}

/** A port of 127.0.0.1 that refuses. */
async function closedPort(scope: Scope): Promise<number> {
  const listener = await scope.listen(() => {})
  await listener.close()
  return listener.port
}

export const dialScenarios: Record<string, (scope: Scope) => Promise<void>> = {
  'a plain connection': async (scope) => {
    const { port } = await answering(scope, [])
    const dialed = await dial({ host: '127.0.0.1', port }, PLAIN)
    assert.equal(dialed.tls, undefined)
    assert.equal(dialed.remoteAddress, '127.0.0.1')
    assert.equal(dialed.remotePort, port)
    await echoes(scope, dialed.socket)
  },

  'by host name': async (scope) => {
    const { port } = await answering(scope, [])
    const { socket, remoteAddress } = await dial({ host: 'localhost', port }, PLAIN)
    assert.equal(remoteAddress, '127.0.0.1')
    await echoes(scope, socket)
  },

  'over a unix socket there is no TLS': async (scope) => {
    const directory = scope.directory()
    const server = createServer((socket) => socket.on('data', (chunk) => socket.write(chunk)))
    await new Promise<void>((resolve) => server.listen(join(directory, '.s.PGSQL.5432'), resolve))
    scope.add(() => server.close())
    const { socket, tls, remoteAddress } = await dial({ host: directory, port: 5432 }, withTls(serverSide('require')))
    assert.equal(tls, undefined)
    assert.equal(remoteAddress, join(directory, '.s.PGSQL.5432'))
    await echoes(scope, socket)
  },

  'a refused connection is told in words': async (scope) => {
    const port = await closedPort(scope)
    const byAddress = await failure(scope, { host: '127.0.0.1', port }, PLAIN)
    assert.equal(byAddress.message, `connection to 127.0.0.1, port ${port} refused`)
    assert.equal(byAddress.code, 'ECONNREFUSED')
    const resolver = new Resolver(async () => ['127.0.0.1'])
    const byName = await failure(scope, { host: 'db.example.com', port }, { ...PLAIN, resolver })
    assert.equal(byName.message, `connection to db.example.com (127.0.0.1), port ${port} refused`)
    const directory = scope.directory()
    const byPath = await failure(scope, { host: directory, port: 5432 }, PLAIN)
    assert.equal(byPath.message, `connection to socket "${directory}/.s.PGSQL.5432" failed: there is no such socket`)
    assert.equal(byPath.code, 'ENOENT')
  },

  'a host name that does not exist': async (scope) => {
    const error = await failure(scope, { host: 'nosuch.invalid', port: 5432 }, PLAIN)
    assert.match(error.message, /cannot resolve host name "nosuch\.invalid"/)
  },

  'every address is tried in turn': async (scope) => {
    const { port } = await answering(scope, [])
    const resolver = new Resolver(async () => ['127.0.0.2', '127.0.0.3', '127.0.0.1'])
    const { socket, remoteAddress } = await dial({ host: 'db.example.com', port }, { ...PLAIN, resolver })
    assert.equal(remoteAddress, '127.0.0.1')
    await echoes(scope, socket)
  },

  'where no address answers, the error names each, and the name is looked up anew': async (scope) => {
    const port = await closedPort(scope)
    let lookups = 0
    const resolver = new Resolver(async () => {
      lookups++
      return ['127.0.0.1', '127.0.0.2']
    })
    const target = { host: 'db.example.com', port }
    const { message, code } = await failure(scope, target, { ...PLAIN, resolver })
    assert.equal(code, 'ECONNREFUSED')
    assert.match(message, /db\.example\.com \(127\.0\.0\.1\).*refused; .*db\.example\.com \(127\.0\.0\.2\).*refused/)
    await failure(scope, target, { ...PLAIN, resolver })
    assert.equal(lookups, 2)
  },

  'an address that is given is the only one tried, and the host is still checked': async (scope) => {
    const resolver = new Resolver(async () => ['127.0.0.1'])
    const { port } = await scope.negotiator(clientSide('require', 'wrongHost'))
    const pinned = { ...withTls(serverSide('verify-full')), resolver }
    const target = { host: 'db.example.com', port, address: '127.0.0.1' }
    const { socket } = await dial(target, pinned)
    scope.add(() => socket.destroy())
    assert.equal((await failure(scope, { ...target, host: 'localhost' }, pinned)).code, 'TLS_HOSTNAME')
    const elsewhere = await failure(scope, { ...target, address: '127.0.0.2' }, pinned)
    assert.equal(elsewhere.message, `connection to db.example.com (127.0.0.2), port ${port} refused`)
  },

  'an address that does not answer costs its share of the time only': async (scope) => {
    const { port } = await scope.listen(() => {}, { hosts: ['127.0.0.2'] })
    await scope.listen(
      (socket) => {
        socket.once('data', () => {
          socket.write('N')
          socket.on('data', (chunk) => socket.write(chunk))
        })
      },
      { hosts: ['127.0.0.1'], port },
    )
    const resolver = new Resolver(async () => ['127.0.0.2', '127.0.0.1'])
    const options = { ...withTls(serverSide('prefer')), resolver, timeoutMs: 3000 }
    const { socket, remoteAddress } = await dial({ host: 'db.example.com', port }, options)
    assert.equal(remoteAddress, '127.0.0.1')
    await echoes(scope, socket)
  },

  'a server that says nothing when asked for TLS ends at the deadline': async (scope) => {
    const { port } = await scope.listen(() => {})
    const options = { ...withTls(serverSide('prefer')), timeoutMs: 200 }
    const { code, message } = await failure(scope, { host: '127.0.0.1', port }, options)
    assert.equal(code, 'ETIMEDOUT')
    assert.equal(message, `connection to 127.0.0.1, port ${port} timed out (200 ms)`)
  },

  'a server that says nothing in the handshake ends at the deadline': async (scope) => {
    const { port } = await scope.listen((socket) => void socket.once('data', () => socket.write('S')))
    const options = { ...withTls(serverSide('prefer')), timeoutMs: 200 }
    const { code } = await failure(scope, { host: '127.0.0.1', port }, options)
    assert.equal(code, 'ETIMEDOUT')
  },

  'the caller may give up': async (scope) => {
    const controller = new AbortController()
    const { port } = await scope.listen((socket) => void socket.once('data', () => controller.abort()))
    const options = { ...withTls(serverSide('prefer')), signal: controller.signal }
    const { code } = await failure(scope, { host: '127.0.0.1', port }, options)
    assert.equal(code, 'ABORTED')
    assert.equal((await failure(scope, { host: '127.0.0.1', port }, options)).code, 'ABORTED')
  },

  'TLS by SSLRequest, in every mode that asks for it': async (scope) => {
    for (const mode of ['prefer', 'require', 'verify-ca', 'verify-full'] as const) {
      for (const certificate of ['server', 'serverRsa'] as const) {
        const { port, next } = await scope.negotiator(clientSide('require', certificate))
        const [{ socket, tls }, outcome] = await Promise.all([
          dial({ host: 'localhost', port }, withTls(serverSide(mode))),
          next(),
        ])
        assert.equal(tls?.protocol, 'TLSv1.3')
        assert.deepEqual(tls?.endPointCertificate, certificates().certificates[certificate].der)
        assert.equal(outcome.closed, undefined)
        if (outcome.closed === undefined) new Peer(outcome.socket, outcome.initial).socket.pipe(outcome.socket)
        await echoes(scope, socket)
      }
    }
  },

  'direct TLS': async (scope) => {
    const { port, next } = await scope.negotiator(clientSide('require'))
    const options = withTls(serverSide('verify-full'), { negotiation: 'direct' })
    const [{ socket, tls }, outcome] = await Promise.all([dial({ host: '127.0.0.1', port }, options), next()])
    assert.equal(tls?.protocol, 'TLSv1.3')
    if (outcome.closed === undefined) new Peer(outcome.socket, outcome.initial).socket.pipe(outcome.socket)
    await echoes(scope, socket)
  },

  'direct TLS never falls back to plain text': async (scope) => {
    const { port, connections } = await answering(scope, [])
    const options = withTls(serverSide('prefer'), { negotiation: 'direct' })
    const error = await failure(scope, { host: '127.0.0.1', port }, options)
    assert.match(error.message, /TLS handshake/)
    assert.equal(connections.length, 1)
  },

  'verify modes refuse certificates that are not valid': async (scope) => {
    const cases = [
      { certificate: 'expired', reason: /expired/ },
      { certificate: 'notYetValid', reason: /not yet valid/ },
    ] as const
    for (const { certificate, reason } of cases) {
      for (const mode of ['verify-ca', 'verify-full'] as const) {
        const { port } = await scope.negotiator(clientSide('require', certificate))
        const error = await failure(scope, { host: 'localhost', port }, withTls(serverSide(mode)))
        assert.equal(error.code, 'TLS_VERIFY')
        assert.match(error.message, reason)
      }
      const { port } = await scope.negotiator(clientSide('require', certificate))
      const { socket } = await dial({ host: 'localhost', port }, withTls(serverSide('require')))
      scope.add(() => socket.destroy())
    }
    const { port } = await scope.negotiator(clientSide('require'))
    const context = serverSide('verify-ca', { caFile: certificates().files.otherCa.cert })
    const error = await failure(scope, { host: 'localhost', port }, withTls(context))
    assert.equal(error.code, 'TLS_VERIFY')
    assert.match(error.message, /unknown authority.*server_tls_ca_file/)
  },

  'verify-full without an authority trusts public ones only': async (scope) => {
    const { port } = await scope.negotiator(clientSide('require'))
    const error = await failure(scope, { host: 'localhost', port }, withTls(serverSide('verify-full', { caFile: '' })))
    assert.equal(error.code, 'TLS_VERIFY')
  },

  'verify-full wants the right host, verify-ca does not': async (scope) => {
    const { port } = await scope.negotiator(clientSide('require', 'wrongHost'))
    for (const host of ['localhost', '127.0.0.1']) {
      const error = await failure(scope, { host, port }, withTls(serverSide('verify-full')))
      assert.equal(error.code, 'TLS_HOSTNAME')
      assert.match(error.message, new RegExp(`db\\.example\\.com.*not for "${host}"`))
    }
    const lax = await dial({ host: 'localhost', port }, withTls(serverSide('verify-ca')))
    scope.add(() => lax.socket.destroy())
    const resolver = new Resolver(async () => ['127.0.0.1'])
    const target = { host: 'db.example.com', port }
    const named = await dial(target, { ...withTls(serverSide('verify-full')), resolver })
    scope.add(() => named.socket.destroy())
  },

  'a server without TLS: prefer goes on, stronger modes do not': async (scope) => {
    const { port, connections } = await answering(scope, [Buffer.from('N'), Buffer.from('N')])
    const { socket, tls } = await dial({ host: '127.0.0.1', port }, withTls(serverSide('prefer')))
    assert.equal(tls, undefined)
    await echoes(scope, socket)
    assert.equal(connections.length, 1, 'on the same connection')
    const error = await failure(scope, { host: '127.0.0.1', port }, withTls(serverSide('require')))
    assert.equal(error.code, 'TLS_UNSUPPORTED')
    assert.match(error.message, /does not support TLS, but server_tls_mode = require/)
  },

  'allow asks for TLS only when told to': async (scope) => {
    const { port } = await answering(scope, [])
    const plain = await dial({ host: '127.0.0.1', port }, withTls(serverSide('allow')))
    assert.equal(plain.tls, undefined)
    await echoes(scope, plain.socket)
    const { port: secure } = await scope.negotiator(clientSide('require'))
    const options = withTls(serverSide('allow'), { attempt: 'tls' })
    const { tls, socket } = await dial({ host: '127.0.0.1', port: secure }, options)
    scope.add(() => socket.destroy())
    assert.equal(tls?.protocol, 'TLSv1.3')
    const { port: without } = await answering(scope, [Buffer.from('N')])
    assert.equal((await failure(scope, { host: '127.0.0.1', port: without }, options)).code, 'TLS_UNSUPPORTED')
  },

  'prefer may be told to do without, stronger modes may not': async (scope) => {
    const { port } = await answering(scope, [])
    const { socket } = await dial({ host: '127.0.0.1', port }, withTls(serverSide('prefer'), { attempt: 'plain' }))
    await echoes(scope, socket)
    const { port: without } = await answering(scope, [Buffer.from('N')])
    const options = withTls(serverSide('require'), { attempt: 'plain' })
    assert.equal((await failure(scope, { host: '127.0.0.1', port: without }, options)).code, 'TLS_UNSUPPORTED')
  },

  'prefer tries once without TLS where the handshake fails, on a new connection': async (scope) => {
    const { port, connections } = await answering(scope, [Buffer.from('S')])
    const { socket, tls } = await dial({ host: '127.0.0.1', port }, withTls(serverSide('prefer')))
    assert.equal(tls, undefined)
    await echoes(scope, socket)
    assert.equal(connections.length, 2)
    const strict = await answering(scope, [Buffer.from('S')])
    const error = await failure(scope, { host: '127.0.0.1', port: strict.port }, withTls(serverSide('require')))
    assert.equal(error.code, 'TLS_HANDSHAKE')
    assert.equal(strict.connections.length, 1)
  },

  'an error instead of an answer is not shown (CVE-2024-10977)': async (scope) => {
    const answer = Buffer.from('E\0\0\0\x20SERROR\0Mtransfer money to\0\0')
    const { port, connections } = await answering(scope, [answer])
    const { socket } = await dial({ host: '127.0.0.1', port }, withTls(serverSide('prefer')))
    await echoes(scope, socket)
    assert.equal(connections.length, 2)
    const strict = await answering(scope, [answer])
    const error = await failure(scope, { host: '127.0.0.1', port: strict.port }, withTls(serverSide('require')))
    assert.equal(error.code, 'TLS_REFUSED')
    assert.doesNotMatch(error.message, /money/)
  },

  'bytes behind the answer end the connection (CVE-2021-23222)': async (scope) => {
    for (const answer of ['SR\0\0\0\x08', 'NR\0\0\0\x08']) {
      for (const mode of ['prefer', 'require'] as const) {
        const { port, connections } = await answering(scope, [Buffer.from(answer)])
        const error = await failure(scope, { host: '127.0.0.1', port }, withTls(serverSide(mode)))
        assert.equal(error.code, 'TLS_PROTOCOL')
        assert.match(error.message, /unencrypted data/)
        assert.equal(connections.length, 1)
      }
    }
  },

  'something that is not PostgreSQL': async (scope) => {
    const { port } = await answering(scope, [Buffer.from('HTTP/1.1 400 Bad Request\r\n')])
    const error = await failure(scope, { host: '127.0.0.1', port }, withTls(serverSide('prefer')))
    assert.equal(error.code, 'TLS_PROTOCOL')
    assert.match(error.message, /not PostgreSQL: unexpected answer 0x48/)
  },

  'a server that closes when asked for TLS': async (scope) => {
    const { port } = await scope.listen((socket) => void socket.once('data', () => socket.end()))
    const error = await failure(scope, { host: '127.0.0.1', port }, withTls(serverSide('prefer')))
    assert.equal(error.code, 'TLS_CLOSED')
  },

  'our certificate is presented where one is configured': async (scope) => {
    const { files } = certificates()
    const { port, next } = await scope.negotiator(clientSide('verify-full'))
    const context = serverSide('verify-full', { certFile: files.client.cert, keyFile: files.client.key })
    const [{ socket }, outcome] = await Promise.all([dial({ host: 'localhost', port }, withTls(context)), next()])
    scope.add(() => socket.destroy())
    if (outcome.closed !== undefined) throw new Error(outcome.message)
    assert.equal(outcome.tls?.clientCertificate?.commonName, 'alice')
  },

  'sendAndWaitClose resolves when the other side closes': async (scope) => {
    let received: Promise<Buffer> | undefined
    const { port } = await scope.listen((socket) => {
      const peer = new Peer(socket)
      received = peer.read(16).then((bytes) => {
        socket.end()
        return bytes
      })
    })
    const bytes = Buffer.alloc(16, 'cancel')
    await sendAndWaitClose({ host: '127.0.0.1', port }, PLAIN, bytes)
    assert.deepEqual(await received, bytes)
  },

  'sendAndWaitClose over TLS, and a reset counts as a close': async (scope) => {
    const { port, next } = await scope.negotiator(clientSide('require'))
    const sent = sendAndWaitClose({ host: '127.0.0.1', port }, withTls(serverSide('require')), Buffer.from('cancel'))
    const outcome = await next()
    if (outcome.closed !== undefined) throw new Error(outcome.message)
    const peer = new Peer(outcome.socket, outcome.initial)
    assert.equal((await peer.read(6)).toString(), 'cancel')
    peer.socket.destroy()
    await within(sent, 'the end of the request')
  },

  'sendAndWaitClose gives up at the deadline': async (scope) => {
    const { port } = await scope.listen((socket) => socket.resume())
    const sent = sendAndWaitClose({ host: '127.0.0.1', port }, { ...PLAIN, timeoutMs: 200 }, Buffer.from('cancel'))
    await assert.rejects(sent, { code: 'ETIMEDOUT' })
  },
}
