/** A reader never reads beyond its body: what is missing is a ProtocolError. */
import t from 'tap'
import { ProtocolError, Reader } from '../../../lib/protocol/reader.ts'

t.test('fields in order', async (t) => {
  const reader = new Reader(Buffer.from('\xff\xfe\x80\x00\x00\x00grüße\0rest', 'latin1'))
  t.equal(reader.int16(), -2)
  t.equal(reader.int32(), -(2 ** 31))
  t.equal(reader.cstring(), Buffer.from('grüße', 'latin1').toString('utf8'))
  t.equal(reader.left, 4)
  t.equal(reader.bytes(2).toString(), 're')
  t.equal(reader.rest().toString(), 'st')
  t.equal(reader.left, 0)
  t.equal(reader.rest().length, 0)
})

t.test('a body that is too short', async (t) => {
  for (const read of [
    (reader: Reader) => reader.int32(),
    (reader: Reader) => reader.bytes(4),
    (reader: Reader) => reader.bytes(-1),
    (reader: Reader) => reader.cstring(),
  ]) {
    const reader = new Reader(Buffer.from('abc'))
    t.throws(() => read(reader), ProtocolError)
    t.equal(reader.left, 3, 'nothing was taken')
  }
  t.throws(() => new Reader(Buffer.alloc(1)).int16(), ProtocolError)
})

t.test('a view of a larger buffer is not read past its end', async (t) => {
  const view = Buffer.from('name\0secret\0').subarray(0, 4)
  t.throws(() => new Reader(view).cstring(), { message: 'unterminated string' })
})
