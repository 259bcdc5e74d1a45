/** The scanner finds the same messages however the stream is cut, and judges every length before it keeps a byte. */
import t from 'tap'
import { Batch, FIRST, IN_HEAD, LAST, RUN } from '../../../lib/protocol/batch.ts'
import { Scanner } from '../../../lib/protocol/scanner.ts'
import {
  BACKEND_TABLE,
  backendName,
  FRONTEND_TABLE,
  frontendName,
  LARGE,
  type MessageTable,
} from '../../../lib/protocol/types.ts'
import { backend, frontend, int32, message } from '../../fixtures/messages.ts'
import { cutAt, scanAll } from './segments.ts'

/** Every message a client sends after its startup packet. */
const fromClient = [
  frontend.query('select 1'),
  frontend.query(`select '${'x'.repeat(300)}'`),
  frontend.parse('select $1', 'name', [23]),
  frontend.bind(['7', null, 'y'.repeat(1500)], 'name', 'portal'),
  frontend.describe('S', 'name'),
  frontend.execute(10, 'portal'),
  frontend.close('P', 'portal'),
  frontend.flush(),
  frontend.sync(),
  frontend.functionCall(1598, ['1']),
  frontend.copyData('a\tb\n'),
  frontend.copyData(''),
  frontend.copyDone(),
  frontend.copyFail('no'),
  frontend.password('secret'),
  frontend.terminate(),
]

/** Every message a server sends. */
const fromServer = [
  backend.authentication(10, Buffer.from('SCRAM-SHA-256\0\0')),
  backend.parameterStatus('TimeZone', 'UTC'),
  backend.keyData(7, Buffer.alloc(32, 1)),
  backend.negotiateProtocolVersion(0x30002, ['_pq_.x']),
  backend.ready('T'),
  backend.rowDescription('a', 'b'),
  backend.dataRow('1', null),
  backend.dataRow('z'.repeat(400)),
  backend.dataRow(),
  backend.commandComplete('SELECT 3'),
  backend.emptyQuery(),
  backend.parseComplete(),
  backend.bindComplete(),
  backend.closeComplete(),
  backend.noData(),
  backend.parameterDescription(23, 25),
  backend.portalSuspended(),
  backend.error('22012', 'division by zero'),
  backend.notice('look'),
  backend.notification(7, 'channel', 'payload'),
  backend.copyIn(),
  backend.copyOut(),
  backend.copyData('row'),
  backend.copyDone(),
  backend.functionResult('1'),
  message('W', Buffer.alloc(3)),
]

for (const [name, table, messages] of [
  ['client', FRONTEND_TABLE, fromClient],
  ['server', BACKEND_TABLE, fromServer],
] as [string, MessageTable, Buffer[]][]) {
  t.test(`a ${name}'s stream cut anywhere gives the same messages`, async (t) => {
    const stream = Buffer.concat(messages)
    const whole = scanAll(new Scanner(table), [stream])
    t.strictSame(Buffer.concat(whole.pieces.map((piece) => piece.bytes)), stream, 'nothing is lost or added')
    const seen = whole.pieces.filter((piece) => piece.type !== 'run')
    const looked = messages.filter((bytes) => table[bytes[0]!]!.pass === false)
    t.strictSame(
      seen.map((piece) => piece.bytes),
      looked,
      'each message that is looked at is a piece of its own',
    )
    for (let place = 1; place < stream.length; place++) {
      const cut = scanAll(new Scanner(table), cutAt(stream, place))
      if (JSON.stringify(cut) !== JSON.stringify(whole)) t.strictSame(cut, whole, `cut at ${place}`)
    }
    const bytewise = scanAll(new Scanner(table), cutAt(stream, ...stream.keys()))
    t.strictSame(bytewise, whole, 'byte by byte')
  })
}

t.test('a stream cut at random places, many times', async (t) => {
  const stream = Buffer.concat([...fromServer, ...fromServer, ...fromServer])
  const whole = scanAll(new Scanner(BACKEND_TABLE), [stream])
  let seed = 12345
  const random = (below: number): number => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff
    return seed % below
  }
  for (let round = 0; round < 300; round++) {
    const places = Array.from({ length: 1 + random(40) }, () => random(stream.length)).sort((a, b) => a - b)
    const cut = scanAll(new Scanner(BACKEND_TABLE), cutAt(stream, ...places))
    if (JSON.stringify(cut) !== JSON.stringify(whole)) t.strictSame(cut, whole, `cut at ${places}`)
  }
  t.equal(Buffer.concat(whole.pieces.map((piece) => piece.bytes)).length, stream.length)
})

t.test('neighbours nobody looks at are one segment', async (t) => {
  const rows = Array.from({ length: 500 }, (_, i) => backend.dataRow(String(i)))
  const chunk = Buffer.concat([backend.rowDescription('a'), ...rows, backend.commandComplete('SELECT 500')])
  const batch = Batch.take(chunk)
  new Scanner(BACKEND_TABLE).scan(chunk, batch)
  t.equal(batch.count, 3)
  t.equal(batch.type(1), RUN)
  t.equal(batch.flags(1), FIRST | LAST)
  t.strictSame(batch.bytesOf(1), Buffer.concat(rows))
  batch.release()
})

t.test('a message is shown as soon as as much of it is there as its rule asks for', async (t) => {
  const table: MessageTable = Array.from({ length: 256 }, (_, type) =>
    type === 0x41 ? { pass: false, need: 8, cap: 1000 } : undefined,
  )
  const bytes = message('A', Buffer.alloc(100, 0x2e))
  for (let have = 1; have < bytes.length; have++) {
    const scanner = new Scanner(table)
    const first = bytes.subarray(0, have)
    const batch = Batch.take(first)
    scanner.scan(first, batch)
    t.equal(batch.count, have >= 5 + 8 ? 1 : 0, `${have} bytes`)
    t.notOk(endsWhole(batch))
    batch.release()
    const rest = bytes.subarray(have)
    const next = Batch.take(rest)
    scanner.scan(rest, next)
    t.ok(next.count > 0)
    // What had to be kept comes back as a head that holds no more than the rule asks for.
    if (have < 13) {
      t.equal(next.flags(0) & IN_HEAD, IN_HEAD)
      t.equal(next.bytesOf(0).length, 13)
    }
    t.ok(endsWhole(next))
    next.release()
  }
})

t.test('a message shorter than what its rule asks for is shown whole', async (t) => {
  const { pieces } = scanAll(new Scanner(FRONTEND_TABLE), cutAt(frontend.parse('select 1'), 7))
  t.strictSame(
    pieces.map((piece) => piece.bytes),
    [frontend.parse('select 1')],
  )
})

t.test('a length is judged before a byte of the body is kept', async (t) => {
  for (const length of [0, 1, 2, 3, -1, -4, -(2 ** 31), 2 ** 31 - 1]) {
    for (const type of ['Q', 'P', 'd', 'S']) {
      const header = Buffer.concat([Buffer.from(type), int32(length), Buffer.alloc(100)])
      for (const chunks of [[header], cutAt(header, 3), cutAt(header, 1, 2, 3, 4, 5)]) {
        const { pieces, violation } = scanAll(new Scanner(FRONTEND_TABLE, { name: frontendName }), chunks)
        t.strictSame(pieces, [], `${type} of length ${length}`)
        t.equal(violation, `invalid length ${length >>> 0} of message ${frontendName(type.charCodeAt(0))}`)
      }
    }
  }
})

t.test('every type has its own bound', async (t) => {
  const tooLong = (type: string, body: number): string | undefined => {
    return scanAll(new Scanner(FRONTEND_TABLE), [Buffer.concat([Buffer.from(type), int32(body + 4)])]).violation
  }
  t.equal(tooLong('Q', LARGE), undefined)
  t.ok(tooLong('Q', LARGE + 1))
  t.equal(tooLong('S', 9996), undefined)
  t.ok(tooLong('S', 9997), 'PostgreSQL counts the length word')
  t.ok(tooLong('p', 65_537), 'a password cannot be used to fill memory')
  t.ok(
    scanAll(new Scanner(BACKEND_TABLE), [Buffer.concat([Buffer.from('Z'), int32(6)])]).violation,
    'ReadyForQuery has one byte',
  )
})

t.test('max_packet_size bounds all of them', async (t) => {
  const scan = (sql: string) => scanAll(new Scanner(FRONTEND_TABLE, { cap: 100 }), [frontend.query(sql)])
  t.equal(scan('x'.repeat(99)).violation, undefined)
  t.match(scan('x'.repeat(100)).violation, /invalid length 105/)
})

t.test('a type that does not exist in that direction', async (t) => {
  for (let type = 0; type < 256; type++) {
    const bytes = Buffer.concat([Buffer.from([type]), int32(4)])
    for (const [table, name] of [
      [FRONTEND_TABLE, frontendName],
      [BACKEND_TABLE, backendName],
    ] as const) {
      const { violation } = scanAll(new Scanner(table, { name }), [bytes])
      if (table[type] === undefined) t.equal(violation, `invalid message type ${type}`)
      else t.not(violation, `invalid message type ${type}`)
    }
  }
})

t.test('after a violation nothing more is taken, and what came before it stands', async (t) => {
  const scanner = new Scanner(FRONTEND_TABLE)
  const bad = Buffer.concat([frontend.sync(), Buffer.from([0, 0, 0, 0, 4]), frontend.query('drop table t')])
  const { pieces, violation } = scanAll(scanner, [bad])
  t.equal(violation, 'invalid message type 0')
  t.strictSame(
    pieces.map((piece) => piece.bytes),
    [frontend.sync()],
  )
  t.strictSame(scanAll(scanner, [frontend.query('drop table t')]), { pieces: [] })
})

t.test('the startup packet has no type', async (t) => {
  const startup = frontend.startup({ user: 'u', database: 'd' })
  const stream = Buffer.concat([startup, frontend.query('select 1')])
  for (let place = 1; place < stream.length; place++) {
    const { pieces } = scanAll(new Scanner(FRONTEND_TABLE, { startup: true }), cutAt(stream, place))
    if (pieces[0]?.type !== 'startup' || !pieces[0].bytes.equals(startup) || pieces[1]?.type !== 'Q') {
      t.fail(`cut at ${place}`, { pieces })
    }
  }
  const { pieces } = scanAll(new Scanner(FRONTEND_TABLE, { startup: true }), cutAt(stream, ...stream.keys()))
  t.strictSame(
    pieces.map(({ type, bytes }) => [type, bytes]),
    [
      ['startup', startup],
      ['Q', frontend.query('select 1')],
    ],
  )
})

t.test('a startup packet is 8 to 10 004 bytes long', async (t) => {
  for (const length of [0, 4, 7, 10_005, 100_000, -1, 2 ** 31 - 1]) {
    const bytes = Buffer.concat([int32(length), Buffer.alloc(200)])
    for (const chunks of [[bytes], cutAt(bytes, 1, 2, 3)]) {
      const { pieces, violation } = scanAll(new Scanner(FRONTEND_TABLE, { startup: true }), chunks)
      t.strictSame(pieces, [])
      t.equal(violation, `invalid length ${length >>> 0} of startup packet`)
    }
  }
  const longest = Buffer.concat([int32(10_004), Buffer.alloc(10_000)])
  const { pieces } = scanAll(new Scanner(FRONTEND_TABLE, { startup: true }), cutAt(longest, 5000))
  t.strictSame(pieces[0]!.bytes, longest)
})

t.test('memory follows what came, not what was announced', async (t) => {
  const scanners: Scanner[] = []
  const before = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 2000; i++) {
    const scanner = new Scanner(FRONTEND_TABLE)
    // A Parse of a gigabyte, of which ten bytes are here.
    const bytes = Buffer.concat([Buffer.from('P'), int32(LARGE), Buffer.alloc(10)])
    const batch = Batch.take(bytes)
    scanner.scan(bytes, batch)
    t.equal(batch.count, 0)
    batch.release()
    scanners.push(scanner)
  }
  const perScanner = (process.memoryUsage().arrayBuffers - before) / scanners.length
  t.ok(perScanner < 2048, `${Math.round(perScanner)} bytes per connection`)
})

t.test('what is kept does not pin its chunk', async (t) => {
  const chunk = Buffer.concat([frontend.sync(), frontend.query('select 1').subarray(0, 3)])
  const scanner = new Scanner(FRONTEND_TABLE)
  const batch = Batch.take(chunk)
  scanner.scan(chunk, batch)
  batch.release()
  // The chunk is overwritten: a scanner that kept a view would now see other bytes.
  chunk.fill(0xff)
  const { pieces } = scanAll(scanner, [frontend.query('select 1').subarray(3)])
  t.strictSame(pieces[0]!.bytes, frontend.query('select 1'))
})

/** The last message of `batch` is there to its end. */
function endsWhole(batch: Batch): boolean {
  return batch.count > 0 && (batch.flags(batch.count - 1) & LAST) !== 0
}
