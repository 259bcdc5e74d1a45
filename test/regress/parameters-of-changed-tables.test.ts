/**
 * Parameters taken for another type: after a table was changed, a statement was prepared again on another server
 * connection, and its client's values stood for something else.
 */
import t from 'tap'
import { bind, type Case, playCases } from '../fixtures/changed-tables.ts'
import { frontend, int32 } from '../fixtures/messages.ts'

const { parse, describe, execute, close } = frontend
const CASES: Case[] = []

const int8 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return bytes
}

/** Parameters whose types nobody gives: they are what they were when the statement was parsed. */
const PARAMETERS: { what: string; type: string; value: Buffer; change: string; sql?: string }[] = [
  { what: 'int to real', type: 'int', value: int32(5), change: 'real' },
  { what: 'int to bigint', type: 'int', value: int32(5), change: 'bigint' },
  { what: 'int to text', type: 'int', value: int32(5), change: 'text' },
  { what: 'timestamp to timestamptz', type: 'timestamp', value: int8(1_000_000n), change: 'timestamptz' },
  { what: 'text to jsonb', type: 'text', value: Buffer.from('{"a": 1}'), change: 'jsonb USING a::jsonb' },
  {
    what: 'int to bigint, compared',
    type: 'int',
    value: int32(1),
    change: 'bigint',
    sql: 'SELECT count(*) FROM m.p WHERE a = $1',
  },
  {
    what: 'int to text, compared',
    type: 'int',
    value: int32(1),
    change: 'text',
    sql: 'SELECT count(*) FROM m.p WHERE a = $1',
  },
  {
    what: 'int to real, returned',
    type: 'int',
    value: int32(7),
    change: 'real',
    sql: 'UPDATE m.p SET a = $1 RETURNING a',
  },
]
for (const { what, type, value, change, sql = 'INSERT INTO m.p VALUES ($1)' } of PARAMETERS) {
  for (const name of ['s', '']) {
    for (const described of what === PARAMETERS[0]!.what ? [true, false] : [true]) {
      CASES.push({
        what: `a parameter: ${what}, ${name ? 'named' : 'unnamed'}, ${described ? '' : 'not '}described`,
        setup: [`CREATE TABLE m.p (a ${type})`],
        async run(play) {
          const ask = described ? [describe('S', name)] : []
          const send = [bind(name, [value]), execute()]
          for (const who of ['A', 'B']) {
            await play.say(who, parse(sql, name), ...ask)
            await play.say(who, ...send)
          }
          await play.change(`ALTER TABLE m.p ALTER a TYPE ${change}`)
          for (let i = 0; i < 3; i++) {
            for (const who of ['A', 'B']) await play.say(who, ...send)
            await play.elsewhere()
          }
          await play.query('C', 'SELECT a::text FROM m.p ORDER BY 1')
          await play.known(sql)
          if (name) await play.say('A', close('S', name))
          await play.say('A', parse(sql, name), describe('S', name))
          await play.elsewhere()
          await play.say('B', ...send)
          await play.say('A', describe('S', name))
        },
      })
    }
  }
}

t.test('parameters of changed tables', (t) => playCases(t, CASES))
