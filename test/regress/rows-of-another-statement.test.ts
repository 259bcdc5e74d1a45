/**
 * Rows that do not fit their description: `EXECUTE name` and `FETCH … FROM name` were described as what the server had
 * under that name, which was nothing, or another client's.
 */
import t from 'tap'
import { type Case, playCases, run } from '../fixtures/changed-tables.ts'
import { frontend } from '../fixtures/messages.ts'

const { parse, describe, execute, close } = frontend
const EXAMPLE = 'CREATE TABLE m.t (a int)'
const CASES: Case[] = [
  {
    what: 'executed by SQL',
    setup: [EXAMPLE],
    async run(play) {
      await play.say('A', parse('SELECT $1::int + 1', 's'), describe('S', 's'))
      await play.elsewhere()
      await play.query('A', 'EXECUTE s(41)')
      for (const name of ['', 'e']) {
        await play.elsewhere()
        await play.say('A', parse('EXECUTE s(41)', name), describe('S', name), ...run(name))
        await play.say('A', ...run(name))
        await play.elsewhere()
        await play.say('A', frontend.bind([], name), describe('P'), execute())
        await play.say('A', parse('/* no. 1 */ EXECUTE s (1)', `${name}1`))
        await play.say('A', describe('S', `${name}1`))
        await play.say('A', parse('EXECUTE missing', `${name}2`), describe('S', `${name}2`))
        await play.say('A', ...run(`${name}2`))
      }
      // What the name stands for is the client's own, and of now.
      await play.say('B', parse("SELECT 'b' AS b, 2", 's'))
      await play.say('B', parse('EXECUTE s', 'e'), describe('S', 'e'), ...run('e'))
      await play.say('A', parse('EXECUTE s(1)', 'f'), describe('S', 'f'), ...run('f'))
      await play.say(
        'B',
        close('S', 's'),
        parse("SELECT 'c' AS c", 's'),
        parse('EXECUTE s', 'f'),
        describe('S', 'f'),
        ...run('f'),
      )
    },
  },
  {
    what: 'fetched from a cursor',
    async run(play) {
      for (const [who, columns] of [
        ['A', '1 AS one'],
        ['B', '2 AS two, 3 AS three'],
      ] as const) {
        await play.query(who, 'BEGIN')
        await play.query(who, `DECLARE c CURSOR FOR SELECT ${columns}`)
        await play.say(who, parse('FETCH 1 FROM c', 'f'), describe('S', 'f'), ...run('f'))
        await play.query(who, 'COMMIT')
        await play.elsewhere()
        await play.query(who, 'BEGIN')
        await play.query(who, `DECLARE c CURSOR FOR SELECT ${columns}`)
        await play.say(who, frontend.bind([], 'f'), describe('P'), execute())
        await play.query(who, 'COMMIT')
      }
    },
  },
]

t.test('rows of another statement', (t) => playCases(t, CASES))
