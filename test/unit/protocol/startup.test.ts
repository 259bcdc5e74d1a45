/** Startup packets: every kind, and no bytes that do more than a ProtocolError. */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { ProtocolError } from '../../../lib/protocol/reader.ts'
import {
  PROTOCOL_3_0,
  PROTOCOL_3_2,
  readStartup,
  writeCancelRequest,
  writePassedCancel,
  writeStartup,
} from '../../../lib/protocol/startup.ts'
import { frontend, int32 } from '../../fixtures/messages.ts'

const body = (packet: Buffer): Buffer => packet.subarray(4)

t.test('a startup message', async (t) => {
  const packet = frontend.startup({ user: 'jörg', database: 'd', options: '', application_name: 'x y' })
  t.strictSame(readStartup(body(packet)), {
    kind: 'startup',
    version: PROTOCOL_3_0,
    parameters: new Map([
      ['user', 'jörg'],
      ['database', 'd'],
      ['options', ''],
      ['application_name', 'x y'],
    ]),
  })
})

t.test('the minor version is kept, whatever it is', async (t) => {
  for (const minor of [0, 2, 9999, 65535]) {
    t.match(readStartup(body(frontend.startup({ user: 'u' }, 0x30000 + minor))), { version: 0x30000 + minor })
  }
})

t.test('requests in the place of a version', async (t) => {
  t.strictSame(readStartup(body(frontend.sslRequest())), { kind: 'ssl' })
  t.strictSame(readStartup(body(frontend.gssEncRequest())), { kind: 'gssenc' })
})

t.test('versions other than 3', async (t) => {
  t.strictSame(readStartup(int32(0x20000)), { kind: 'unsupported', major: 2, minor: 0 })
  t.strictSame(readStartup(int32(0x40001)), { kind: 'unsupported', major: 4, minor: 1 })
  t.strictSame(readStartup(int32(-1)), { kind: 'unsupported', major: 65535, minor: 65535 })
  t.strictSame(readStartup(int32(0)), { kind: 'unsupported', major: 0, minor: 0 })
})

t.test('cancel requests with secrets of 4 to 256 bytes', async (t) => {
  for (const length of [4, 32, 256]) {
    const secret = randomBytes(length)
    t.strictSame(readStartup(body(frontend.cancelRequest(123, secret))), { kind: 'cancel', pid: 123, secret, hops: 0 })
    t.strictSame(readStartup(writePassedCancel(123, secret, 2).subarray(4)), {
      kind: 'cancel',
      pid: 123,
      secret,
      hops: 2,
    })
    t.strictSame(writeCancelRequest(123, secret), frontend.cancelRequest(123, secret))
  }
  t.throws(() => readStartup(body(frontend.cancelRequest(1, Buffer.alloc(3)))), ProtocolError)
  t.throws(() => readStartup(body(frontend.cancelRequest(1, Buffer.alloc(257)))), ProtocolError)
  t.throws(() => readStartup(int32(80877102)), ProtocolError)
  t.throws(() => readStartup(writePassedCancel(1, Buffer.alloc(4), -1).subarray(4)), ProtocolError)
  t.throws(() => readStartup(writePassedCancel(1, Buffer.alloc(3), 1).subarray(4)), ProtocolError)
})

t.test('a secret is copied: the packet it came in is gone when it is compared', async (t) => {
  const packet = body(frontend.cancelRequest(1, Buffer.from('abcd')))
  const read = readStartup(packet)
  packet.fill(0)
  t.match(read, { secret: Buffer.from('abcd') })
})

t.test('layouts PostgreSQL refuses', async (t) => {
  const version = int32(PROTOCOL_3_0)
  const message = 'invalid startup packet layout: expected terminator as last byte'
  for (const rest of [
    '',
    'user\0',
    'user\0me\0',
    'user\0me\0database',
    'user\0me\0\0x',
    '\0\0',
    'user\0me\0role\0\0',
  ]) {
    t.throws(() => readStartup(Buffer.concat([version, Buffer.from(rest)])), { name: 'ProtocolError', message }, rest)
  }
  t.throws(() => readStartup(Buffer.alloc(3)), ProtocolError)
})

t.test('what is written is what is read', async (t) => {
  const parameters = [
    ['user', 'u'],
    ['database', 'ü'],
  ] as const
  const packet = writeStartup(PROTOCOL_3_2, parameters)
  t.equal(packet.readInt32BE(0), packet.length)
  t.strictSame(readStartup(body(packet)), { kind: 'startup', version: PROTOCOL_3_2, parameters: new Map(parameters) })
})

t.test('random bytes and damaged packets: a packet or a ProtocolError, nothing else', async (t) => {
  const good = [
    frontend.startup({ user: 'me', database: 'd', options: '-c a=b' }),
    frontend.cancelRequest(5, randomBytes(32)),
    frontend.sslRequest(),
  ].map(body)
  const kinds = new Set<string>()
  let seed = 99
  const random = (below: number): number => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff
    return Math.floor((seed / 0x80000000) * below)
  }
  for (let round = 0; round < 20_000; round++) {
    let bytes: Buffer
    if (round % 2) bytes = Buffer.from(Array.from({ length: random(40) }, () => random(256)))
    else {
      bytes = Buffer.from(good[random(good.length)]!)
      for (let i = random(4); i >= 0; i--) bytes[random(bytes.length)] = random(256)
      bytes = bytes.subarray(0, random(bytes.length + 1))
    }
    try {
      kinds.add(readStartup(bytes).kind)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw new Error(`${bytes.toString('hex')} threw ${error}`)
      kinds.add('refused')
    }
  }
  t.ok(kinds.size >= 4, [...kinds].join())
})
