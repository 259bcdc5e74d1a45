/** What a text sets for its transaction is read where there is no doubt about it, and nowhere else. */
import t from 'tap'
import { localSteps } from '../../../lib/sql/local-steps.ts'

const sql = (text: string): string[] | undefined => localSteps(text)?.steps.map((step) => step.sql)

t.test('constants', async (t) => {
  const cases: Record<string, string[]> = {
    "SET LOCAL TimeZone = 'UTC'": ["SET LOCAL timezone = 'UTC'"],
    'set local datestyle to SQL, DMY;': ['SET LOCAL datestyle = sql, dmy'],
    "/* a */ BEGIN READ ONLY; SET app.tenant TO 'it''s'": ["SET LOCAL app.tenant = 'it''s'"],
    'SET LOCAL search_path = "Tenant-1", public': ['SET LOCAL search_path = "Tenant-1", public'],
    'SET SESSION extra_float_digits = 0': ['SET LOCAL extra_float_digits = 0'],
    "SET LOCAL TIME ZONE 'UTC'": ["SET LOCAL timezone = 'UTC'"],
    "SELECT set_config('App.Tenant', 'a', true), pg_catalog.set_config('b.c', '', false)": [
      "SELECT pg_catalog.set_config('app.tenant', 'a', true)",
      "SELECT pg_catalog.set_config('b.c', '', true)",
    ],
    'SET session.x = 1': ['SET LOCAL session.x = 1'],
  }
  for (const [text, steps] of Object.entries(cases)) t.same(sql(text), steps, text)
  t.equal(localSteps("BEGIN; SET LOCAL a.b = 1; SELECT set_config('a.b', '2', true); SET a.b = 3")?.tags, 2)
})

t.test('what may be anything else', async (t) => {
  const texts = [
    '',
    'BEGIN',
    'SELECT 1',
    'SET LOCAL a.b = 1; SELECT 1',
    'SET LOCAL a.b = 1; COMMIT',
    'SET LOCAL a.b TO DEFAULT',
    'SET TIME ZONE LOCAL',
    'SET TIME ZONE INTERVAL',
    'RESET a.b',
    'SET ROLE other',
    "SET LOCAL role = 'other'",
    "SET LOCAL client_encoding = 'LATIN1'",
    'SET LOCAL transaction_isolation = serializable',
    'SET LOCAL a.b = -1',
    'SET LOCAL a.b =',
    'SET LOCAL a.b = 1,',
    'SET LOCAL a.b = 1 2',
    "SET LOCAL a.b = E'\\x41'",
    'SET LOCAL a.b = $$a$$',
    "SET LOCAL a.b = 'ż'",
    "SET LOCAL a.b = 'open",
    'SET CONSTRAINTS ALL DEFERRED',
    "SELECT set_config('a.b', $1, true)",
    "SELECT set_config('a.b', 'c', 1 = 1)",
    "SELECT set_config('a.b', 'c', true) FROM t",
    "SELECT set_config('a.b', 'c', true) AS d",
    "SELECT set_config('a' || 'b', 'c', true)",
    "SELECT other.set_config('a.b', 'c', true)",
    "SELECT set_config('a.b', 'c')",
    `SET LOCAL a.b = '${'x'.repeat(500)}'`,
  ]
  for (const text of texts) t.equal(localSteps(text), undefined, text)
})
