/** Tables and JSON of results; nothing in a name reaches the terminal as a command. */
import t from 'tap'
import { jsonText, tableText } from '../../../../lib/cli/console/result-text.ts'

const result = (columns: [string, number][], ...rows: (string | null)[][]) => ({
  columns: columns.map(([name, type]) => ({ name, type })),
  rows,
  tag: 'SHOW',
})

t.test('a table', async (t) => {
  const table = tableText(
    result(
      [
        ['name', 25],
        ['count', 23],
        ['x', 25],
      ],
      ['日本', '5', 'end'],
      ['a', null, ''],
      ['long one', '12345678', 'b'],
    ),
  )
  t.equal(
    table,
    [
      ' name     | count    | x',
      '----------+----------+-----',
      ' 日本     |        5 | end',
      ' a        |          |',
      ' long one | 12345678 | b',
      '(3 rows)',
      '',
    ].join('\n'),
  )
  t.match(tableText(result([['a', 25]], ['x'])), /\n\(1 row\)\n$/)
  t.equal(tableText({ columns: [], rows: [], tag: 'PAUSE' }), 'PAUSE\n')
  t.equal(tableText({ columns: [], rows: [], tag: '' }), '')
  const hostile = tableText(result([['a\x1b]0;x\x07', 25]], ['\x1b[2J\r\n\u202e\u{e0001}']))
  t.match(hostile, '\\u001b[2J\\u000d\\u000a\\u202e')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be there
  t.notMatch(hostile.replaceAll('\n', ''), /[\x00-\x1f\x7f-\x9f\u202e]|\u{e0001}/u)
})

t.test('JSON', async (t) => {
  const some = result(
    [
      ['id', 20],
      ['id', 25],
      ['ok', 16],
      ['n', 1700],
    ],
    ['9007199254740993', '"\x1b\u2028', 't', '1.50'],
    [null, null, 'f', 'NaN'],
  )
  const text = jsonText(some, false)
  t.match(text, /^\[\n {2}\{"id":9007199254740993,"id_2":"/)
  t.match(text, '"n":1.50}')
  t.strictSame(JSON.parse(text)[1], { id: null, id_2: null, ok: false, n: 'NaN' })
  t.equal(JSON.parse(text)[0].id_2, '"\x1b\u2028')
  const line = jsonText(some, true)
  t.equal(line.split('\n').length, 2, 'one line')
  t.strictSame(JSON.parse(line), JSON.parse(text))
  t.notMatch(line, '\u2028')
  t.equal(jsonText(result([['a', 25]]), false), '[]\n')
})
