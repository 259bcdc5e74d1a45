/** What a text says is read once, and texts without effects cost no object of their own. */
import t from 'tap'
import { factsOf, NO_FACTS, SqlFacts, UNKNOWN_CODE } from '../../../lib/sql/facts.ts'
import { lastingState } from '../../../lib/sql/lasting-state.ts'
import { ANY, NEXTVAL, SETTINGS } from '../../../lib/sql/state-effects.ts'
import { statementNames } from '../../../lib/sql/statement-names.ts'
import { STATE_SAMPLES } from '../../fixtures/session-state.ts'

t.test('texts without effects have one object together', async (t) => {
  for (const text of [
    'select 1',
    'BEGIN',
    'UPDATE t SET a = 1',
    'FETCH 10 FROM c',
    'INSERT INTO t VALUES (DEFAULT)',
    '',
  ]) {
    t.equal(factsOf(text), NO_FACTS, text)
    // Whoever is given that object must be told of nothing.
    t.strictSame(statementNames(text), NO_FACTS.statements, text)
    t.equal(lastingState(text), NO_FACTS.lasting, text)
  }
  t.equal(NO_FACTS.lasting, undefined)
  t.notOk(NO_FACTS.runsCode)
  t.ok(UNKNOWN_CODE.runsCode)
  t.notOk(UNKNOWN_CODE.settings.complete, 'code may set anything')
})

t.test('a text that comes again is not read again', async (t) => {
  const again = (text: string): boolean => factsOf(text) === factsOf(`${text} `.slice(0, -1))
  t.ok(again("SET work_mem = '1MB'"))
  t.ok(again("SELECT nextval('ids')"))
  t.notOk(again(`SET work_mem = '${' '.repeat(400)}1MB'`), 'long ones are not kept')
  const facts = factsOf('SET work_mem = 1; SET LOCAL work_mem = 2')
  t.equal(facts.settings, facts.settings)
  t.equal(facts.localSteps, facts.localSteps)
  const dropped = factsOf("SELECT nextval('one')")
  factsOf("SELECT nextval('other')")
  t.not(factsOf("SELECT nextval('one')"), dropped, 'of what sets nothing only the last is kept')
})

t.test('what it says', async (t) => {
  t.match(factsOf('RESET ALL'), { effects: SETTINGS, mayReset: true, settings: { resets: 'all' } })
  t.match(factsOf('SET statement_timeout = 5'), { setsShortLimit: true, mayReset: false })
  t.match(factsOf('SET seed = 0.5'), { mayReseed: true })
  for (const name of ['$$seed$$', "'se' || 'ed'"])
    t.match(factsOf(`SELECT set_config(${name}, '0.5', true)`), { mayReseed: true })
  for (const name of ["'app.x'", '$1', "'app.' || $1"])
    t.match(factsOf(`SELECT set_config(${name}, '1', true)`), { mayReseed: false })
  t.match(factsOf("SELECT nextval('ids')"), { effects: NEXTVAL, runsCode: false })
  t.match(factsOf('DO $$ BEGIN END $$'), { effects: ANY, runsCode: true })
  t.match(factsOf('BEGIN; SET LOCAL app.x = 1'), { localSteps: { tags: 1, steps: [{ name: 'app.x' }] } })
  t.equal(factsOf('CREATE TABLE a ()').localSteps, undefined)
  t.match(factsOf('EXECUTE a').statements, { names: [{ name: 'a', does: 'execute' }] })
  for (const { create, kind, refused } of STATE_SAMPLES) t.match(factsOf(create).lasting, { kind, statement: refused })
  t.match(new SqlFacts('SELECT 1', SETTINGS), { effects: SETTINGS, text: 'SELECT 1' }, 'who knows more says so')
})
