/** How a client of pgbun gets TLS, or does not (protocol chapter "SSL Session Encryption"). */

import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { tlsServerEndPoint } from '../../../lib/auth/cert-hash.ts'
import type { ClientEncryption } from '../../../lib/net/client-encryption.ts'
import { ALPN_PROTOCOL } from '../../../lib/net/starttls.ts'
import { readError } from '../../../lib/protocol/error-response.ts'
import { GSSENC_REQUEST_CODE, PROTOCOL_3_0, SSL_REQUEST_CODE, writeStartup } from '../../../lib/protocol/startup.ts'
import { certificates, clientSide, Peer, type Scope } from './scope.ts'

const STARTUP = writeStartup(PROTOCOL_3_0, [['user', 'alice']])
const SSL_REQUEST = request(SSL_REQUEST_CODE)
const GSSENC_REQUEST = request(GSSENC_REQUEST_CODE)

function request(code: number): Buffer {
  const packet = Buffer.alloc(8)
  packet.writeInt32BE(8, 0)
  packet.writeInt32BE(code, 4)
  return packet
}

type Accepted = Extract<ClientEncryption, { closed: undefined }>

function accepted(outcome: ClientEncryption): Accepted {
  if (outcome.closed !== undefined) throw new Error(`closed: ${outcome.closed}, ${outcome.message}`)
  return outcome
}

function refused(outcome: ClientEncryption): Exclude<ClientEncryption, Accepted> {
  if (outcome.closed === undefined) throw new Error('the negotiation went well')
  return outcome
}

/** The server's end of a negotiation, as the wire would take it over. */
function takeOver(outcome: Accepted): Peer {
  assert.equal(outcome.socket.listenerCount('data'), 0, 'no data listener is left behind')
  return new Peer(outcome.socket, outcome.initial)
}

/** Startup packet in, a large answer out, a large message in: nothing is lost, doubled or reordered. */
async function talk(client: Peer, server: Peer): Promise<void> {
  await client.write(STARTUP)
  assert.deepEqual(await server.read(STARTUP.length), STARTUP)
  const large = Buffer.alloc(1_500_000, 'abcdefghijklmnopqrstuvwxyz0123456789')
  server.socket.write(large)
  assert.ok((await client.read(large.length)).equals(large), 'towards the client')
  client.socket.write(large)
  assert.ok((await server.read(large.length)).equals(large), 'towards the server')
}

export const clientScenarios: Record<string, (scope: Scope) => Promise<void>> = {
  'a plain client is handed over with the bytes read': async (scope) => {
    const { port, next } = await scope.negotiator(undefined)
    const client = await scope.client(port)
    const outcome = next()
    await client.write(STARTUP.subarray(0, 20))
    const { initial, tls, socket } = accepted(await outcome)
    assert.equal(tls, undefined)
    assert.ok(initial.equals(STARTUP.subarray(0, initial.length)))
    assert.ok(socket instanceof Socket)
    const server = takeOver({ closed: undefined, initial, tls, socket })
    await client.write(STARTUP.subarray(20))
    assert.deepEqual(await server.read(STARTUP.length), STARTUP)
  },

  'a startup packet may come byte by byte': async (scope) => {
    const { port, next } = await scope.negotiator(clientSide('prefer'))
    const client = await scope.client(port)
    const outcome = next()
    for (const byte of STARTUP) await client.write(Buffer.from([byte]))
    const server = takeOver(accepted(await outcome))
    assert.deepEqual(await server.read(STARTUP.length), STARTUP)
  },

  'a cancel request is handed over': async (scope) => {
    const { port, next } = await scope.negotiator(clientSide('require'))
    const client = await scope.client(port)
    const cancel = Buffer.alloc(16)
    cancel.writeInt32BE(16, 0)
    cancel.writeInt32BE(80877102, 4)
    await client.write(cancel)
    const server = takeOver(accepted(await next()))
    assert.deepEqual(await server.read(16), cancel)
  },

  'SSLRequest is answered N where TLS is disabled, and the client goes on': async (scope) => {
    const { port, next } = await scope.negotiator(undefined)
    const client = await scope.client(port)
    await client.write(SSL_REQUEST)
    assert.equal((await client.read(1)).toString(), 'N')
    await client.write(STARTUP)
    const outcome = accepted(await next())
    assert.equal(outcome.tls, undefined)
    assert.deepEqual(await takeOver(outcome).read(STARTUP.length), STARTUP)
  },

  'SSLRequest leads to TLS': async (scope) => {
    const { port, next } = await scope.negotiator(clientSide('prefer'))
    const client = await scope.client(port)
    for (const byte of SSL_REQUEST) await client.write(Buffer.from([byte]))
    assert.equal((await client.read(1)).toString(), 'S')
    const [secured, outcome] = await Promise.all([client.secure(), next().then(accepted)])
    assert.equal(outcome.tls?.protocol, 'TLSv1.3')
    assert.match(outcome.tls?.cipher ?? '', /AES|CHACHA/)
    assert.deepEqual(outcome.tls?.endPointHash, tlsServerEndPoint(certificates().certificates.server.der))
    assert.equal(outcome.tls?.clientCertificate, undefined)
    await talk(secured, takeOver(outcome))
  },

  'TLS 1.2 with an RSA certificate': async (scope) => {
    const { port, next } = await scope.negotiator(clientSide('require', 'serverRsa', { protocols: 'tlsv1.2' }))
    const client = await scope.client(port)
    await client.write(SSL_REQUEST)
    await client.read(1)
    const [secured, outcome] = await Promise.all([client.secure(), next().then(accepted)])
    assert.equal(outcome.tls?.protocol, 'TLSv1.2')
    await talk(secured, takeOver(outcome))
  },

  'bytes that follow the handshake at once are kept until somebody reads': async (scope) => {
    const { port, next } = await scope.negotiator(clientSide('prefer'))
    const client = await scope.client(port)
    await client.write(SSL_REQUEST)
    await client.read(1)
    const outcome = next().then(accepted)
    const secured = await client.secure()
    await secured.write(STARTUP)
    const { socket, initial, tls } = await outcome
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
    const server = takeOver({ closed: undefined, socket, initial, tls })
    assert.deepEqual(await server.read(STARTUP.length), STARTUP)
  },

  'TLS by SSLRequest, the handshake byte by byte': async (scope) => {
    const { port, next } = await scope.negotiator(clientSide('prefer'))
    const client = await scope.client(await scope.byteByByte(port, 300))
    await client.write(SSL_REQUEST)
    await client.read(1)
    const [secured, outcome] = await Promise.all([client.secure(), next().then(accepted)])
    await talk(secured, takeOver(outcome))
  },

  'GSSENCRequest is answered N, and SSLRequest may follow': async (scope) => {
    const { port, next } = await scope.negotiator(clientSide('prefer'))
    const client = await scope.client(port)
    await client.write(GSSENC_REQUEST)
    assert.equal((await client.read(1)).toString(), 'N')
    await client.write(SSL_REQUEST)
    assert.equal((await client.read(1)).toString(), 'S')
    const [secured, outcome] = await Promise.all([client.secure(), next().then(accepted)])
    await talk(secured, takeOver(outcome))
  },

  'a request may come once: the second goes on as the startup packet it is not': async (scope) => {
    for (const packet of [SSL_REQUEST, GSSENC_REQUEST]) {
      const { port, next } = await scope.negotiator(undefined)
      const client = await scope.client(port)
      await client.write(packet)
      assert.equal((await client.read(1)).toString(), 'N')
      await client.write(packet)
      const { initial, socket } = accepted(await next())
      assert.deepEqual(initial, packet)
      socket.destroy()
    }
  },

  'bytes behind a request end the connection (CVE-2021-3935)': async (scope) => {
    for (const packet of [SSL_REQUEST, GSSENC_REQUEST]) {
      for (const context of [undefined, clientSide('prefer')]) {
        const { port, next } = await scope.negotiator(context)
        const client = await scope.client(port)
        await client.write(Buffer.concat([packet, STARTUP]))
        const { closed, message } = refused(await next())
        assert.equal(closed, 'protocol')
        assert.match(message, /unencrypted data after/)
        const told = (await client.readAll()).toString()
        if (packet === SSL_REQUEST && context) assert.equal(told, 'S')
        else assert.match(told, /^NE.*unencrypted data after/s)
      }
    }
  },

  'plain text behind the answer to SSLRequest is not read': async (scope) => {
    const { port, next } = await scope.negotiator(clientSide('prefer'))
    const client = await scope.client(port)
    await client.write(SSL_REQUEST)
    await client.read(1)
    await client.write(STARTUP)
    assert.equal(refused(await next()).closed, 'tls')
    await client.readAll()
  },

  'direct TLS, the handshake byte by byte': async (scope) => {
    const { port, next } = await scope.negotiator(clientSide('prefer'))
    const client = await scope.client(await scope.byteByByte(port, 300))
    const [secured, outcome] = await Promise.all([
      client.secure({ ALPNProtocols: [ALPN_PROTOCOL] }),
      next().then(accepted),
    ])
    assert.equal((secured.socket as unknown as { alpnProtocol: string }).alpnProtocol, ALPN_PROTOCOL)
    await talk(secured, takeOver(outcome))
  },

  'direct TLS without ALPN postgresql is refused': async (scope) => {
    for (const ALPNProtocols of [undefined, ['h2', 'http/1.1']]) {
      const { port, next } = await scope.negotiator(clientSide('prefer'))
      const client = await scope.client(port)
      const attempt = client.secure({ ALPNProtocols }).then(
        (peer) => peer.readAll(),
        () => {},
      )
      const { closed, message } = refused(await next())
      assert.equal(closed, 'tls')
      assert.match(message, /ALPN/)
      await attempt
    }
  },

  'direct TLS where TLS is disabled is refused': async (scope) => {
    const { port, next } = await scope.negotiator(undefined)
    const client = await scope.client(port)
    await assert.rejects(client.secure({ ALPNProtocols: [ALPN_PROTOCOL] }))
    const { closed, message } = refused(await next())
    assert.equal(closed, 'protocol')
    assert.match(message, /client_tls_mode = disable/)
  },

  'a made certificate is offered to clients of other machines alone': async (scope) => {
    const context = clientSide('auto', 'server', { keyFile: '', certFile: '' })
    for (const direct of [false, true]) {
      const { port, next } = await scope.negotiator(context, { local: false })
      const client = await scope.client(port)
      const outcome = next()
      if (!direct) {
        await client.write(SSL_REQUEST)
        assert.equal((await client.read(1)).toString(), 'S')
      }
      await client.secure({ ...(direct ? { ALPNProtocols: [ALPN_PROTOCOL] } : {}), rejectUnauthorized: false })
      const { tls } = accepted(await outcome)
      assert.ok(tls?.endPointHash?.equals(context!.leaf!.endPointHash!))
    }
    const { port, next } = await scope.negotiator(context, { local: true })
    const asking = await scope.client(port)
    const outcome = next()
    await asking.write(SSL_REQUEST)
    assert.equal((await asking.read(1)).toString(), 'N')
    await asking.write(STARTUP)
    assert.equal(accepted(await outcome).tls, undefined)
    const direct = await scope.client(port)
    await assert.rejects(direct.secure({ ALPNProtocols: [ALPN_PROTOCOL] }))
    assert.match(refused(await next()).message, /client_tls_cert_file/)
  },

  'a connection that closes without a byte is a probe': async (scope) => {
    const { port, next } = await scope.negotiator(clientSide('prefer'))
    const client = await scope.client(port)
    client.socket.end()
    assert.equal(refused(await next()).closed, 'probe')
    const rude = await scope.client(port)
    rude.socket.destroy()
    assert.equal(refused(await next()).closed, 'probe')
  },

  'a client that leaves in the middle is told apart from a probe': async (scope) => {
    const { port, next } = await scope.negotiator(clientSide('prefer'))
    const early = await scope.client(port)
    early.socket.end(SSL_REQUEST.subarray(0, 5))
    assert.equal(refused(await next()).closed, 'left')
    const late = await scope.client(port)
    await late.write(SSL_REQUEST)
    await late.read(1)
    await late.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]))
    late.socket.destroy()
    assert.equal(refused(await next()).closed, 'left')
    const probe = await scope.client(port)
    await probe.write(SSL_REQUEST)
    probe.socket.end()
    assert.equal(refused(await next()).closed, 'probe', 'as a health check')
  },

  'a silent client ends at the deadline, before and in the handshake': async (scope) => {
    const { port, next } = await scope.negotiator(clientSide('prefer'), { timeoutMs: 600 })
    const silent = await scope.client(port)
    assert.equal(refused(await next()).closed, 'timeout')
    await silent.readAll()
    const slow = await scope.client(port)
    await slow.write(SSL_REQUEST)
    await slow.read(1)
    assert.equal(refused(await next()).closed, 'timeout')
    await slow.readAll()
  },

  'a client that does not trust our certificate is logged in words': async (scope) => {
    const { port, next } = await scope.negotiator(clientSide('prefer'))
    const client = await scope.client(port)
    await client.write(SSL_REQUEST)
    await client.read(1)
    const { otherCa } = certificates().certificates
    await assert.rejects(client.secure({ ca: otherCa.certificate }))
    const { closed, message } = refused(await next())
    // How a client says so is up to it: by an alert, or by leaving.
    assert.match(`${closed} ${message}`, /^tls .*(trust|certificate)|^left /)
  },

  'verify modes take the name from a valid client certificate': async (scope) => {
    for (const mode of ['verify-ca', 'verify-full'] as const) {
      for (const ALPNProtocols of [[ALPN_PROTOCOL], undefined]) {
        const { port, next } = await scope.negotiator(clientSide(mode))
        const client = await scope.client(port)
        if (!ALPNProtocols) {
          await client.write(SSL_REQUEST)
          await client.read(1)
        }
        const { certificate: cert, key, der } = certificates().certificates.client
        const [secured, outcome] = await Promise.all([
          client.secure({ cert, key, ALPNProtocols }),
          next().then(accepted),
        ])
        assert.equal(outcome.tls?.clientCertificate?.commonName, 'alice')
        assert.deepEqual(outcome.tls?.clientCertificate?.der, der)
        await talk(secured, takeOver(outcome))
      }
    }
  },

  'verify modes refuse a missing or bad client certificate, and say so through TLS': async (scope) => {
    const set = certificates().certificates
    const cases = [
      { presented: undefined, reason: /no certificate/ },
      { presented: set.strangerClient, reason: /unknown authority/ },
      { presented: set.expiredClient, reason: /expired/ },
      // Of the right authority, but a server's.
      { presented: set.server, reason: /not meant for this use/ },
    ]
    for (const { presented, reason } of cases) {
      const { port, next } = await scope.negotiator(clientSide('verify-ca'))
      const client = await scope.client(port)
      await client.write(SSL_REQUEST)
      await client.read(1)
      const secured = await client.secure(presented ? { cert: presented.certificate, key: presented.key } : {})
      const { closed, message } = refused(await next())
      assert.equal(closed, 'certificate')
      assert.match(message, reason)
      const answer = await secured.readAll()
      assert.equal(String.fromCharCode(answer[0]!), 'E')
      const error = readError(answer.subarray(5))
      assert.equal(error.severity, 'FATAL')
      assert.equal(error.sqlstate, '28000')
      assert.match(error.message, /valid client certificate/)
      assert.match(error.detail, reason)
    }
  },

  'other modes do not ask for a client certificate': async (scope) => {
    const { port, next } = await scope.negotiator(clientSide('require'))
    const client = await scope.client(port)
    await client.write(SSL_REQUEST)
    await client.read(1)
    const { certificate: cert, key } = certificates().certificates.strangerClient
    const [, outcome] = await Promise.all([client.secure({ cert, key }), next().then(accepted)])
    assert.equal(outcome.tls?.clientCertificate, undefined)
  },

  'simultaneous handshakes never mix up their certificates': async (scope) => {
    const context = clientSide('verify-ca')
    const set = certificates().certificates
    let open = 0
    const verdicts: { asked: string; got: string }[] = []
    const { port, next } = await scope.negotiator(context)
    const visits: Promise<void>[] = []
    for (let i = 0; i < 30; i++) {
      const asked = ['alice', 'stranger', 'none'][i % 3]!
      const chosen = asked === 'alice' ? set.client : asked === 'stranger' ? set.strangerClient : undefined
      const visit = async () => {
        const client = await scope.client(port)
        await client.write(SSL_REQUEST)
        await client.read(1)
        open++
        const secured = await client.secure(chosen ? { cert: chosen.certificate, key: chosen.key } : {})
        await secured.write(asked)
        verdicts.push({ asked, got: (await secured.readAll()).toString('latin1') })
      }
      visits.push(visit())
    }
    const answers = Array.from({ length: 30 }, async () => {
      const outcome = await next()
      if (outcome.closed !== undefined) return
      const server = takeOver(outcome)
      await server.read(5)
      server.socket.end(`welcome ${outcome.tls?.clientCertificate?.commonName}`)
    })
    await Promise.all([...visits, ...answers])
    assert.equal(open, 30)
    for (const { asked, got } of verdicts) {
      if (asked === 'alice') assert.equal(got, 'welcome alice')
      else assert.match(got, asked === 'none' ? /no certificate/ : /unknown authority/)
    }
  },
}
