/** Answers are read wherever the network cuts them, and what is no answer is refused. */
import t from 'tap'
import { QueryResults } from '../../../../lib/cli/console/query-results.ts'
import { cstring, int16, int32, message } from '../../../fixtures/messages.ts'

const column = (name: string, type: number) =>
  Buffer.concat([cstring(name), int32(0), int16(0), int32(type), int16(-1), int32(-1), int16(0)])
const description = (...columns: Buffer[]) => message('T', Buffer.concat([int16(columns.length), ...columns]))
const row = (...values: (string | null)[]) =>
  message(
    'D',
    Buffer.concat([
      int16(values.length),
      ...values.map((value) =>
        value === null ? int32(-1) : Buffer.concat([int32(Buffer.byteLength(value)), Buffer.from(value)]),
      ),
    ]),
  )
const complete = (tag: string) => message('C', cstring(tag))
const READY = message('Z', Buffer.from('I'))
const error = (type: string, text: string) => message(type, Buffer.from(`SERROR\0C57P01\0M${text}\0\0`))

const ANSWER = Buffer.concat([
  error('N', 'a note'),
  description(column('name', 25), column('n', 23)),
  row('ü', '1'),
  row(null, ''),
  complete('SHOW'),
  complete('PAUSE'),
  error('E', 'too bad'),
  READY,
  error('E', 'good bye'),
])

t.test('cut at every byte', async (t) => {
  for (let size = 1; size <= ANSWER.length; size++) {
    const results = new QueryResults()
    for (let at = 0; at < ANSWER.length; at += size) results.add(ANSWER.subarray(at, at + size))
    const { complete, notices, results: found, error } = results
    t.strictSame(
      { complete, notes: notices.map(({ message }) => message), found, error: error?.message },
      {
        complete: true,
        notes: ['a note'],
        found: [
          {
            columns: [
              { name: 'name', type: 25 },
              { name: 'n', type: 23 },
            ],
            rows: [
              ['ü', '1'],
              [null, ''],
            ],
            tag: 'SHOW',
          },
          { columns: [], rows: [], tag: 'PAUSE' },
        ],
        error: 'too bad',
      },
      `pieces of ${size}`,
    )
  }
})

t.test('what it is given is copied', async (t) => {
  const results = new QueryResults()
  const chunk = Buffer.concat([description(column('a', 25)), row('first').subarray(0, 9)])
  results.add(chunk)
  chunk.fill(0)
  results.add(Buffer.concat([row('first').subarray(9), complete('SHOW'), READY]))
  t.strictSame(results.results[0]?.rows, [['first']])
})

t.test('what is no answer', async (t) => {
  const refused = (bytes: Buffer, message: RegExp) => t.throws(() => new QueryResults().add(bytes), { message })
  refused(row('x'), /a row without a description/)
  refused(Buffer.concat([description(column('a', 25)), row('x', 'y')]), /does not fit its description/)
  refused(message('T', int16(3)), /unterminated string/)
  refused(
    Buffer.concat([description(column('a', 25)), message('D', Buffer.concat([int16(1), int32(99)]))]),
    /too short/,
  )
})
