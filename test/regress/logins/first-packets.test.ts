import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import type { TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { makeCertificates, writeCertificates } from '../../fixtures/certificates.ts'
import { cstring, frontend, int32, parse, untyped } from '../../fixtures/messages.ts'
import { startPgbun } from '../../fixtures/pgbun.ts'
import { startPostgres } from '../../fixtures/postgres.ts'
import { type Address, connectRaw, type RawClient } from '../../fixtures/raw-client.ts'
import { pgbunRuntime } from '../../fixtures/runtimes.ts'
import { waitFor, withDeadline } from '../../fixtures/wait.ts'
import { startLab } from '../../wire/lab.ts'

// A client may begin with something else than a startup packet, send one in the wrong place, or several at once. It
// gets what PostgreSQL gives it: an error where that tells one, silence where it does not. Nothing that was sent in
// the clear counts as sent through TLS. Protocol chapters "Start-up" and "SSL Session Encryption".
t.test('whatever a client sends first, it gets the answer that PostgreSQL itself gives', async (t) => {
  /** Bytes sent, TLS begun, the answer to a request (one byte) or a message read, the end of what the client sends. */
  type Step = Buffer | 'tls' | 'answer' | 'message' | 'fin'

  const ssl = frontend.sslRequest()

  const gss = frontend.gssEncRequest()

  const cancel = frontend.cancelRequest(1, Buffer.alloc(4))

  const exit = frontend.terminate()

  const startup = frontend.startup({ user: 'postgres', database: 'postgres' })

  const nobody = frontend.startup({ database: 'postgres' })

  const withLength = (length: number): Buffer => Buffer.concat([int32(length), Buffer.alloc(12)])

  const of = (...parts: Buffer[]): Buffer => Buffer.concat(parts)

  const begin = (request: Buffer): Step[] => [request, 'answer']

  const hello = Buffer.from('16030100a5010000a10303', 'hex')

  /** In the clear. */
  const plain: Record<string, Step[]> = {
    'nothing at all': ['fin'],
    HTTP: [Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
    'a line of text': [Buffer.from('hello\r\n')],
    'the beginning of a TLS handshake without ALPN': [hello, 'fin'],
    Terminate: [exit],
    'Terminate, and the end': [exit, 'fin'],
    Query: [frontend.query('SELECT 1')],
    PasswordMessage: [frontend.password('x')],
    ...Object.fromEntries(
      [0, 1, 3, 4, 5, 7, 8, 9, 12, 10_000, 10_001, 10_004, 10_005, 65_536, 0x7fffffff, -1, -(2 ** 31)].map((length) => [
        `a length of ${length}`,
        [withLength(length), 'fin'],
      ]),
    ),
    ...Object.fromEntries(
      [1, 2, 3, 4, 5, 7].map((length) => [`${length} bytes of a request for TLS`, [ssl.subarray(0, length), 'fin']]),
    ),
    'a part of a startup packet': [startup.subarray(0, 20), 'fin'],
    ...Object.fromEntries(
      [0, 0x40000, 0xffff0000, 80877100, 80877105].map((version) => [
        `version ${version >>> 16}.${version & 0xffff}`,
        [untyped(int32(version), cstring('user'), cstring('postgres'), Buffer.alloc(1))],
      ]),
    ),
    'no user': [nobody],
    'no terminator': [untyped(int32(0x30000), cstring('user'), cstring('postgres'))],
    'no value': [untyped(int32(0x30000), cstring('user'))],
    'bytes behind the terminator': [untyped(int32(0x30000), cstring('user'), cstring('postgres'), Buffer.alloc(2))],
    'a key of no bytes': [untyped(int32(80877102), int32(1))],
    'a cancel request without a process': [untyped(int32(80877102))],
    'a key of three bytes': [untyped(int32(80877102), int32(1), Buffer.alloc(3))],
    'a key of 300 bytes': [untyped(int32(80877102), int32(1), Buffer.alloc(300))],
    'a cancel request': [cancel],
    'a cancel request and a startup packet at once': [of(cancel, startup)],
    'a startup packet, then a request for TLS': [startup, 'message', ssl],
    'a startup packet, then a Query': [startup, 'message', frontend.query('SELECT 1')],
  }

  /** Requests for encryption, and what follows; `yes` where TLS is offered. */
  const requests = (yes: boolean): Record<string, Step[]> => ({
    'asked for TLS, then nothing': [...begin(ssl), 'fin'],
    'asked for TLS, then Terminate': [...begin(ssl), exit],
    'asked for TLS, then Terminate in the same segment': [of(ssl, exit), 'fin'],
    'asked for TLS, a startup packet in the same segment': [of(ssl, startup), 'fin'],
    ...(yes
      ? { 'asked for TLS, a startup packet in the same segment, then TLS': [of(ssl, startup), 'answer', 'tls'] }
      : {}),
    'asked for TLS, a byte in the same segment': [of(ssl, Buffer.alloc(1)), 'fin'],
    'asked for TLS, a cancel request in the same segment': [of(ssl, cancel), 'fin'],
    'asked for TLS twice in the same segment': [of(ssl, ssl), 'fin'],
    'asked for TLS and GSS in the same segment': [of(ssl, gss), 'fin'],
    'asked for GSS and TLS in the same segment': [of(gss, ssl), 'fin'],
    'asked for GSS, a startup packet in the same segment': [of(gss, startup), 'fin'],
    'asked for GSS, a byte in the same segment': [of(gss, Buffer.alloc(1)), 'fin'],
    'asked for GSS twice': [...begin(gss), gss],
    'asked for GSS, then Terminate': [...begin(gss), exit],
    'asked for GSS, then a wrong length': [...begin(gss), withLength(3)],
    'asked for GSS, then for nothing known': [...begin(gss), untyped(int32(80877105))],
    'asked for GSS, then a cancel request': [...begin(gss), cancel],
    'asked for GSS, then no user': [...begin(gss), nobody],
    'asked for GSS, then for TLS and GSS': yes
      ? [...begin(gss), ...begin(ssl), gss]
      : [...begin(gss), ...begin(ssl), gss, 'fin'],
    'asked for GSS, then for TLS with a startup packet behind it': [...begin(gss), of(ssl, startup), 'fin'],
    'asked for TLS, then sent a startup packet of no user': [...begin(ssl), nobody],
    'asked for TLS, then for GSS': [...begin(ssl), gss, 'fin'],
    'asked for TLS twice': [...begin(ssl), ssl, 'fin'],
    'asked for TLS, then sent a cancel request': [...begin(ssl), cancel],
  })

  /** Through TLS. */
  const inside: Record<string, Step[]> = {
    'nothing at all': ['fin'],
    Terminate: [exit],
    'no user': [nobody],
    'another request for TLS': [ssl],
    'a request for GSS': [gss],
    'a request for GSS and a startup packet at once': [of(gss, nobody)],
    'a cancel request': [cancel],
    'a wrong length': [withLength(3)],
    HTTP: [Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    'version 4.0': [untyped(int32(0x40000), Buffer.alloc(8))],
  }

  const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-first-'))

  t.teardown(() => rmSync(dir, { recursive: true, force: true }))

  const certificates = makeCertificates()

  const files = writeCertificates(dir, certificates)

  /** All that comes until the other side closes. */
  async function play(t: Test, address: Address, steps: Step[]): Promise<string[]> {
    const client = await connectRaw(t, address)
    const said: string[] = []
    for (const step of steps) {
      if (step === 'fin') client.socket.end()
      else if (step === 'tls') await client.upgrade().catch(() => said.push('no TLS'))
      else if (step === 'answer') said.push(await client.readBytes(1))
      else if (step === 'message') said.push((await client.readMessage()).type)
      else client.send(step)
    }
    client.record()
    try {
      await client.expectClosed(3000)
    } catch (error) {
      if (!/closed within/.test(String(error))) said.push(String(error).slice(0, 100))
    }
    const bytes = client.recorded()
    for (let at = 0; at < bytes.length; ) {
      const type = String.fromCharCode(bytes[at]!)
      // An alert of TLS, which not every runtime sends.
      if (type === '\x15') break
      // A refusal is one byte; so is a consent, behind which nothing is in the clear.
      if (type === 'N' && bytes.length - at < 5) {
        said.push('N')
        at++
        continue
      }
      if (type === 'S' || (type === 'N' && bytes[at + 1] !== 0)) {
        said.push(type)
        at++
        continue
      }
      const end = at + 1 + (bytes.length >= at + 5 ? bytes.readInt32BE(at + 1) : bytes.length)
      const body = bytes.subarray(at + 5, end)
      const fields = type === 'E' ? parse.fields(body) : undefined
      said.push(fields ? `${fields.S} ${fields.C}` : type)
      at = end
    }
    return said
  }

  for (const offered of [false, true]) {
    await t.test(offered ? 'TLS is offered' : 'TLS is not offered', async (t) => {
      const { certificate: cert, key } = certificates.server
      const server = await startPostgres(t, offered ? { tls: { cert, key } } : {})
      const flags = [
        '--client-tls-mode',
        'allow',
        '--client-tls-key-file',
        files.server.key,
        '--client-tls-cert-file',
        files.server.cert,
      ]
      const pgbun = await startPgbun(t, { target: server, args: offered ? flags : [] })
      const cases = Object.entries({ ...plain, ...requests(offered) })
      if (offered)
        for (const [name, steps] of Object.entries(inside))
          cases.push([`${name}, through TLS`, [...begin(ssl), 'tls', ...steps]])
      for (const [name, steps] of cases) {
        t.strictSame(await play(t, pgbun, steps), await play(t, server, steps), name)
      }
    })
  }
})

// A client could ask for as many more handshakes as it liked, each at the cost of pgbun, and a record that cannot be
// deciphered left a connection open that heard nothing any more. PostgreSQL refuses the one and ends the other.
t.test('a client behind its TLS handshake gets no other one, and a broken record ends its connection', async (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-tls-'))

  t.teardown(() => rmSync(dir, { recursive: true, force: true }))

  const certificates = makeCertificates()

  const files = writeCertificates(dir, certificates)

  const { client: own, server: offered } = certificates

  /** What becomes of a client that asks for another handshake. */
  async function renegotiate(t: Test, address: Address): Promise<string> {
    const client = await connectRaw(t, address)
    await client.startTls({ maxVersion: 'TLSv1.2', cert: own.certificate, key: own.key })
    await client.login()
    const socket = client.socket as TLSSocket
    const ended = new Promise<string>((resolve) => {
      socket.on('error', (error) => resolve(error.message))
      socket.renegotiate({ rejectUnauthorized: false }, (error) => resolve(error ? error.message : 'done'))
    })
    return withDeadline(ended, 'the handshake to be done or refused')
  }

  /** Sends what is no TLS record into the connection of a client, and waits for its end. */
  async function spoil(t: Test, address: Address, maxVersion: 'TLSv1.2' | 'TLSv1.3', record: Buffer): Promise<void> {
    const outside = net.connect(address.port!, '127.0.0.1')
    t.teardown(() => outside.destroy())
    const relay = net.createServer((inside) => {
      inside.on('error', () => {})
      inside.pipe(outside, { end: false })
      outside.pipe(inside)
    })
    t.teardown(() => relay.close())
    relay.listen(0, '127.0.0.1')
    await once(relay, 'listening')
    const client = await connectRaw(t, { port: (relay.address() as net.AddressInfo).port })
    await client.startTls({ maxVersion, cert: own.certificate, key: own.key })
    await client.login()
    client.send(frontend.query('BEGIN'))
    await client.readUntil('Z')
    const ended = new Promise((resolve) => outside.on('end', resolve).on('close', resolve).on('error', resolve))
    outside.write(record)
    await withDeadline(ended, `the end behind a broken record of ${maxVersion}`)
    client.destroy()
  }

  const header = (type: number, length: number): Buffer => Buffer.from([type, 3, 3, length >> 8, length & 0xff])

  const broken: Record<string, Buffer> = {
    'a record that cannot be deciphered': Buffer.concat([header(0x17, 32), Buffer.alloc(32, 7)]),
    'a record of no type': Buffer.concat([header(0x77, 32), Buffer.alloc(32, 7)]),
    'a record that is too long': header(0x17, 0xffff),
    'a message in the clear': Buffer.concat([frontend.query('SELECT 1'), frontend.query('SELECT 1')]),
  }

  const server = await startPostgres(t, { tls: { cert: offered.certificate, key: offered.key } })
  const ports: Record<string, Address> = { 'PostgreSQL itself': server }
  const modes = { node: ['allow', 'prefer', 'require', 'verify-ca'], bun: ['require', 'verify-ca'] }
  for (const runtime of ['node', 'bun'] as const) {
    for (const mode of modes[runtime]) {
      const args = ['--client-tls-mode', mode, '--client-tls-key-file', files.server.key]
      args.push('--client-tls-cert-file', files.server.cert, '--client-tls-ca-file', files.ca.cert)
      ports[`mode ${mode} on ${runtime}`] = await startPgbun(t, {
        target: server,
        args,
        runtime: pgbunRuntime(runtime),
      })
    }
  }
  for (const [name, address] of Object.entries(ports)) {
    await t.test(name, async (t) => {
      t.match(await renegotiate(t, address), /no renegotiation/)
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
        for (const [what, record] of Object.entries(broken)) {
          await spoil(t, address, version, record)
          t.pass(`${version}: ${what}`)
        }
      }
    })
  }
  const left = "SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction'"
  await waitFor(async () => (await server.query(left)).length === 0, { what: 'the end of all transactions' })
})

// Such connections counted nowhere: a stranger could take all file descriptors with them, and newcomers were reset
// without a line in the log.
t.test('connections that send no startup packet keep nobody out', async (t) => {
  const startup = frontend.startup({ user: 'postgres', database: 'postgres' })

  for (const [name, bytes] of [
    ['nothing', undefined],
    ['a part of a request for TLS', frontend.sslRequest().subarray(0, 5)],
    ['a part of a startup packet', startup.subarray(0, 12)],
  ] as const) {
    await t.test(`the oldest of the connections that sent ${name} is closed`, async (t) => {
      const lab = await startLab(t, { maxSilentConnections: 3 })
      const member = await lab.client()
      const silent: RawClient[] = []
      for (let at = 0; at < 8; at++) {
        const client = await lab.connect()
        if (bytes) client.send(bytes)
        silent.push(client)
        // One after the other: the order is what this is about.
        await waitFor(() => silent.filter(({ closed }) => closed).length === Math.max(0, at - 2), {
          what: 'the oldest to go',
        })
      }
      t.strictSame(
        silent.map(({ closed }) => closed),
        [true, true, true, true, true, false, false, false],
      )
      const next = await lab.client()
      t.strictSame(await next.rows('select 1'), [['select 1']], 'whoever is in earnest gets in')
      t.strictSame(await member.rows('select 2'), [['select 2']], 'and who was in stays')
      t.equal(lab.log.filter((line) => line.includes('too many have sent no startup packet')).length, 1, 'said once')
    })
  }

  await t.test('a client that was let in is not counted among them', async (t) => {
    const lab = await startLab(t, { maxSilentConnections: 1 })
    const members = []
    for (let at = 0; at < 5; at++) members.push(await lab.client())
    for (const member of members) t.strictSame(await member.rows('select 1'), [['select 1']])
  })
})
