/**
 * What a client gets that begins with something else than a startup packet, with one in the wrong place, or with several
 * at once, is what it gets from PostgreSQL: an error where it is told one, silence where it is not. Nothing sent in the
 * clear counts for what came through TLS. Protocol chapters "Start-up" and "SSL Session Encryption".
 */
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import t, { type Test } from 'tap'
import { makeCertificates, writeCertificates } from '../fixtures/certificates.ts'
import { cstring, frontend, int32, parse, untyped } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { type Address, connectRaw } from '../fixtures/raw-client.ts'

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

t.test('first packets', async (t) => {
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
