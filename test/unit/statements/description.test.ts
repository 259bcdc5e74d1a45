/** What a Describe says of a statement: read from its messages, compared as PostgreSQL compares. */
import t from 'tap'
import { Batch } from '../../../lib/protocol/batch.ts'
import { Scanner } from '../../../lib/protocol/scanner.ts'
import { BACKEND_TABLE } from '../../../lib/protocol/types.ts'
import { Description, DescriptionReader, typedBody } from '../../../lib/statements/description.ts'
import { backend, cstring, frontend, int16, int32 } from '../../fixtures/messages.ts'

interface Column {
  name?: string
  table?: number
  number?: number
  type?: number
  length?: number
  modifier?: number
}

const rowBody = (...columns: Column[]): Buffer =>
  Buffer.concat([
    int16(columns.length),
    ...columns.flatMap(({ name = 'a', table = 0, number = 0, type = 23, length = 4, modifier = -1 }) => [
      cstring(name),
      int32(table),
      int16(number),
      int32(type),
      int16(length),
      int32(modifier),
      int16(0),
    ]),
  ])
const types = (...oids: number[]): Buffer => Buffer.concat([int16(oids.length), ...oids.map(int32)])
const described = (...columns: Column[]): Description => new Description(types(23), rowBody(...columns))

t.test('what counts is what PostgreSQL compares', async (t) => {
  const one = described({}, { name: 'b', type: 25 })
  const same = (other: Description): boolean => one.equals(other) && other.equals(one)
  t.ok(same(described({ table: 9, number: 3 }, { name: 'b', type: 25, table: 9 })), 'not the table')
  for (const [what, column] of Object.entries({
    name: { name: 'c' },
    type: { type: 20 },
    length: { length: 8 },
    modifier: { modifier: 14 },
  })) {
    t.notOk(same(described(column, { name: 'b', type: 25 })), what)
  }
  t.notOk(same(described({ name: 'b', type: 25 }, {})), 'order')
  t.notOk(same(described({})), 'number')
  t.notOk(same(new Description(types(20), rowBody({}, { name: 'b', type: 25 }))), 'types of parameters')
  const nothing = new Description(types(), undefined)
  t.ok(nothing.equals(new Description(types(), undefined)))
  t.notOk(nothing.equals(new Description(types(), rowBody())), 'no columns are not nothing')
})

t.test('read in pieces of any size', async (t) => {
  const bytes = Buffer.concat([backend.parameterDescription(23, 25), backend.rowDescription('one', 'two')])
  for (let size = 1; size <= bytes.length; size++) {
    const scanner = new Scanner(BACKEND_TABLE)
    const reader = new DescriptionReader()
    let found: Description | undefined
    for (let at = 0; at < bytes.length; at += size) {
      const batch = Batch.take(bytes.subarray(at, at + size))
      scanner.scan(batch.chunk, batch)
      for (let i = 0; i < batch.count; i++)
        found = reader.take(batch.type(i), batch.bytesOf(i), batch.flags(i)) ?? found
      batch.release()
    }
    const row = rowBody({ name: 'one', type: 25, length: -1 }, { name: 'two', type: 25, length: -1 })
    t.ok(found?.equals(new Description(types(23, 25), row)), `${size} bytes`)
  }
})

t.test('a row that is no row, or endless, is something else than any other', async (t) => {
  const cut = rowBody({}).subarray(0, 9)
  t.notOk(new Description(types(), cut).equals(new Description(types(), rowBody({}))))
  const reader = new DescriptionReader()
  reader.take(0x54, Buffer.alloc(3 << 20), 1)
  t.ok(reader.take(0x54, Buffer.alloc(10), 2), 'and kept in part only')
})

t.test('a Parse gets the types it had', async (t) => {
  const body = (...given: number[]): Buffer => frontend.parse('SELECT $1, $2', '', given).subarray(6)
  t.strictSame(typedBody(body(), new Description(types(23, 25), undefined)), body(23, 25))
  t.strictSame(typedBody(body(0, 25), new Description(types(23, 25), undefined)), body(23, 25))
  const full = body(23, 25)
  t.equal(typedBody(full, new Description(types(23, 25), undefined)), full, 'itself where it has them')
})
