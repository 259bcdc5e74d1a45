/** What a text may leave in a session, by its words. */
import t from 'tap'
import { ANY, effectsOf } from '../../../lib/sql/state-effects.ts'

const all = (text: string): boolean => (effectsOf(text) & ANY) === ANY

t.test('DO runs code, ON CONFLICT DO and rules do not', async (t) => {
  for (const text of [
    'DO $$ BEGIN END $$',
    'SELECT 1; do language plpgsql $$ BEGIN END $$',
    "DO 'BEGIN END'",
    'DO/* nothing */$$ BEGIN END $$',
    'DO $$ nothing $$',
  ]) {
    t.ok(all(text), text)
  }
  for (const text of [
    'INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING',
    'CREATE TABLE t (a int); INSERT INTO t VALUES (1) ON CONFLICT (a) do\n  nothing',
    'SELECT 1; INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 1',
    'CREATE TABLE t (a int); CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING; CREATE RULE s AS ON UPDATE TO t DO ALSO NOTHING',
  ]) {
    t.notOk(all(text), text)
  }
})
