/** What is read of a text that streams by: the same however it is cut. */
import t from 'tap'
import { LongText } from '../../../lib/sql/long-text.ts'
import { ANY, effectsOf, SETTINGS, TEMPORARY } from '../../../lib/sql/state-effects.ts'

const LONG = 'x'.repeat(5000)
const set = "SET app.x = 'a'"

/** Effects, the text that is kept, whether something is unread, whether it is in doubt. */
const TEXTS: readonly (readonly [string, number, string, boolean, boolean])[] = [
  [`INSERT INTO t VALUES ('${LONG} set create call; do; set_config(')`, 0, '', false, false],
  [`INSERT INTO t (call, load, "set", "do") VALUES ('${LONG}') ON CONFLICT DO UPDATE SET a = 1`, 0, '', false, false],
  [`${set}; INSERT INTO t VALUES ('${LONG}')`, SETTINGS, `${set};`, false, false],
  [`INSERT INTO t VALUES ('${LONG}'); ${set}`, SETTINGS, `${set};`, false, false],
  [`/* ${LONG} /* nested */ */ ${set} -- ${LONG}`, SETTINGS, `${set};`, false, false],
  [`-- ${LONG}\n${set}`, SETTINGS, `${set};`, false, false],
  [`SET app.x = '${LONG}'`, SETTINGS, "SET app.x = '';", false, false],
  [`SET SESSION "App" . "x" TO '${LONG}'`, SETTINGS, `SET "App" . "x" = '';`, false, false],
  [`SELECT set_config('app.x', '${LONG}', false)`, SETTINGS, '', true, false],
  [`SELECT "set_config"('app.x', '${LONG}', false)`, SETTINGS, '', true, false],
  [`SELECT U&"set\\005fconfig"('app.x', '${LONG}', false)`, ANY, '', true, true],
  [`DO $$ BEGIN PERFORM '${LONG}'; END $$`, ANY, '', true, false],
  [`DO $a$ ; $b$ ; ' $a $a$; SELECT '${LONG}'`, ANY, "DO $a$ ; $b$ ; ' $a $a$;", false, false],
  [`SELECT $1, $2, a$b$c, '${LONG}'; ${set}`, SETTINGS, `${set};`, false, false],
  [`SELECT E'it\\'s; ', '${LONG}'; ${set}`, SETTINGS, `${set};`, false, false],
  [`SELECT E'\\\\', 'a''b', "a""b;", B'01', '${LONG}'; ${set}`, SETTINGS, `${set};`, false, false],
  [`SELECT 'a\\', '${LONG}'; ${set}`, ANY, '', true, true],
  [`SELECT '${LONG}; ${set}`, ANY, '', true, true],
  [`CREATE TABLE t (a text DEFAULT '${LONG}')`, effectsOf('create'), '', false, false],
  [`SELECT '${LONG}' INTO t`, effectsOf('into'), '', false, false],
  [`CREATE TEMP TABLE t (a text DEFAULT '${LONG}')`, effectsOf('create temp') | TEMPORARY, '', false, false],
  [`UPDATE pg_settings SET setting = '${LONG}'`, SETTINGS, '', true, false],
  [`CREATE RULE r AS ON INSERT TO t DO ALSO (${set}; SELECT '${LONG}')`, effectsOf('create'), '', false, false],
  ["SET app.x = 'a'; ".repeat(9000), SETTINGS, "SET app.x = 'a';".repeat(4096), true, false],
]

for (const [text, effects, kept, unread, doubtful] of TEXTS) {
  t.test(text.replaceAll(LONG, '…').slice(0, 80), async (t) => {
    for (const size of [1, 2, 3, 7, 64, 4096, text.length]) {
      if (size < 7 && text.length > 100_000) continue
      const long = new LongText()
      const bytes = Buffer.from(text, 'latin1')
      for (let at = 0; at < bytes.length; at += size) long.add(bytes.subarray(at, at + size))
      long.add(Buffer.from([0]))
      long.end()
      t.equal(long.doubtful, doubtful, `in pieces of ${size}`)
      t.equal(long.unread, unread)
      if (doubtful) t.equal(long.effects & effects, effects)
      else t.equal(long.effects, effects)
      if (!doubtful) t.equal(long.text, kept)
    }
  })
}

t.test('words outside of strings are there for who looks for functions', async (t) => {
  const long = new LongText()
  long.add(Buffer.from(`SELECT "My function"(a), other_one('hidden', $$ hidden $$), '${LONG}'`))
  long.end()
  t.equal(long.words, 'select My function a other_one')
})
