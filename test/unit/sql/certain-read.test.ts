/** Which texts a standby may run in the place of the primary: only what is certainly a read. */
import t from 'tap'
import { choiceOf, isCertainRead, type ReadWords } from '../../../lib/sql/certain-read.ts'
import { readWords } from '../../../lib/sql/read-words.ts'

const WORDS: ReadWords = {
  called: new Set([
    'count',
    'lower',
    'generate_series',
    'select',
    'values',
    'in',
    'coalesce',
    'and',
    'from',
    'numeric',
    'cast',
    'as',
    'union',
  ]),
  avoided: new Set(['audit_view', 'make_id', 'scratch']),
}

const READS = [
  'SELECT 1',
  'select * from t where id = $1;',
  'SELECT \'INSERT INTO t\', $$ FOR UPDATE $$, "insert" FROM t -- delete',
  'VALUES (1), (2)',
  'TABLE t',
  '(SELECT 1) UNION (SELECT 2)',
  'WITH x AS (SELECT 1) SELECT * FROM x',
  'WITH x AS MATERIALIZED (SELECT 1) SELECT * FROM x',
  'SELECT count(*), lower(name) FROM t WHERE id IN (1, 2)',
  'SELECT count (*) OVER (ORDER BY id), count(*) FILTER (WHERE a) FROM t',
  'SELECT * FROM generate_series(1, 3) AS g(n)',
  'SELECT CAST(a AS numeric(10, 2)), x::numeric(3) FROM t',
  '/* a comment */ SELECT 1',
  "SELECT 'żółw'",
]
const NO_READ_TEXTS = [
  '',
  'SELECT 1; SELECT 2',
  'BEGIN',
  'SHOW datestyle',
  'INSERT INTO t VALUES (1)',
  'UPDATE t SET a = 1',
  'EXPLAIN ANALYZE DELETE FROM t',
  'COPY t TO STDOUT',
  'WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone',
  'SELECT * INTO copy FROM t',
  'SELECT * FROM t FOR UPDATE',
  'SELECT * FROM t FOR NO KEY UPDATE',
  'SELECT * FROM t FOR SHARE',
  'SELECT * FROM t FOR KEY SHARE',
  "SELECT nextval('s')",
  'SELECT "nextval"(\'s\')',
  'SELECT pg_catalog.count(*) FROM t',
  'SELECT unknown_function()',
  'SELECT "Lower"(name) FROM t',
  'SELECT pg_advisory_lock(1)',
  'SELECT txid_current()',
  `SELECT U&"nextv!0061l" UESCAPE '!' ('s')`,
  'SELECT * FROM pg_stat_activity',
  'SELECT * FROM "pg_locks"',
  'SELECT * FROM audit_view',
  'SELECT * FROM "AUDIT_VIEW"',
  'SELECT (t).make_id FROM t',
  'SELECT * FROM scratch',
  'SELECT żółw FROM t',
  "SELECT 'it\\'s' FROM t",
  "SELECT 'never ends",
  `SELECT ${'1,'.repeat(10_000)}1`,
]

t.test('reads', async (t) => {
  for (const text of READS) t.ok(isCertainRead(Buffer.from(text).toString('latin1'), WORDS), text)
})

t.test('what is none, or may be none', async (t) => {
  for (const text of NO_READ_TEXTS) {
    t.notOk(isCertainRead(Buffer.from(text).toString('latin1'), WORDS), text.slice(0, 80))
  }
})

t.test('what the client says of it', async (t) => {
  t.equal(choiceOf('/* pgbun: primary */ SELECT 1'), 'primary')
  t.equal(choiceOf(' \n/*pgbun:replica*/SELECT 1'), 'replica')
  for (const text of [
    'SELECT 1',
    'SELECT 1 /* pgbun: primary */',
    '/* pgbun: both */ SELECT 1',
    '/* primary */ SELECT 1',
  ])
    t.equal(choiceOf(text), undefined, text)
})

t.test('the answer of PostgreSQL', async (t) => {
  const rows = [
    ['called', 'lower'],
    ['avoided', 'v'],
  ]
  const { called, avoided } = readWords(rows)
  t.same([[...called], [...avoided]], [['lower'], ['v']])
  t.throws(() => readWords([...rows, ['all', '']]), /an operator/)
  t.throws(() => readWords(Array.from({ length: 100_001 }, () => ['called', 'x'])), /too many/)
  t.throws(() => readWords([['else', 'x']]))
  t.throws(() => readWords([['called', null]]))
})
