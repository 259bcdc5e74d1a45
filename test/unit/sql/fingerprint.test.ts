/** Fingerprints of texts: what makes a statement another one, what does not, and that nothing of a literal is kept. */
import t from 'tap'
import { type Fingerprint, fingerprintOf } from '../../../lib/sql/fingerprint.ts'
import { Random } from '../../fuzz/random.ts'

const of = (text: string): Fingerprint => fingerprintOf(Buffer.from(text))
const latin1 = (text: string): Fingerprint => fingerprintOf(Buffer.from(text, 'latin1'))

const SHOWN: [text: string, shown: string][] = [
  ['SELECT 1', 'select $1'],
  ['  select\n\t1 ;  ', 'select $1'],
  [';; select 1;;', 'select $1'],
  ['SELECT 1; select 2;', 'select $1; select $2'],
  ['/* a /* b */ c */ SELECT -- d\n1 -- e', 'select $1'],
  ['SELECT a /* open', 'select a'],
  ["SELECT 'it''s', E'a\\'b', N'c', B'101', X'1F'", 'select $1, $2, $3, $4, $5'],
  ["SELECT 'two'\n  'parts'", 'select $1'],
  ["SELECT U&'d\\0061t' UESCAPE '!'", 'select u&$1 uescape $2'],
  ['SELECT $$a$$, $tag$ $$ $tag$, $1, $2', 'select $3, $4, $1, $2'],
  ['SELECT a$b$c FROM "T""x" WHERE "A b" = 1', 'select a$b$c from "T""x" where "A b" = $1'],
  ['SELECT 1.5e-10, .5, 1_000, 0x1F, 1e+5, 10', 'select $1, $2, $3, $4, $5, $6'],
  ['SELECT 1--2\n+3', 'select $1 +$2'],
  ['UPDATE t SET a = a + -5, b = -1 WHERE c = +2', 'update t set a = a + $1, b = $2 where c = $3'],
  ['SELECT a-1, a - 1, a*-1, f(-1, - 1), (1)-1', 'select a-$1, a - $2, a*$3, f($4, $5), ($6)-$7'],
  ['SELECT a @- 1', 'select a @- $1'],
  ["SELECT '{}'::jsonb ? 'a' AND b::text LIKE '%'", 'select $1::jsonb ? $2 and b::text like $3'],
  ['SELECT ŻÓŁW, "Żółw" FROM t', 'select ŻÓŁw, "Żółw" from t'],
  [
    'SELECT * FROM t WHERE a IS NULL AND b = NULL AND c = true',
    'select * from t where a is null and b = $1 and c = $2',
  ],
  ['SELECT a FROM t WHERE b IN (1)', 'select a from t where b in ($1)'],
  ['SELECT a FROM t WHERE b IN (1,2, 3)', 'select a from t where b in ($1 /*, ... */)'],
  ['SELECT a FROM t WHERE b IN ($1, $2, $3) AND c = 5', 'select a from t where b in ($1 /*, ... */) and c = $4'],
  ["SELECT a FROM t WHERE b IN ('a'::text, NULL, 'b'::text)", 'select a from t where b in ($1::text, $2 /*, ... */)'],
  ['SELECT a FROM t WHERE (b, c) IN ((1,2),(3,4))', 'select a from t where (b, c) in (($1,$2) /*, ... */)'],
  [
    'SELECT a FROM t WHERE b IN (x, y) OR b = ANY(ARRAY[1, 2])',
    'select a from t where b in (x, y) or b = any(array[$1 /*, ... */])',
  ],
  ['SELECT f(1, 2), g[1]', 'select f($1, $2), g[$3]'],
  ["INSERT INTO t (a, b) VALUES (1, 'x')", 'insert into t (a, b) values ($1, $2)'],
  [
    "INSERT INTO t VALUES (1, 'x', now()), (2, NULL, now()), (DEFAULT, '', now()) ON CONFLICT DO NOTHING",
    'insert into t values ($1, $2, now()) /*, ... */ on conflict do nothing',
  ],
  [
    'WITH x AS (VALUES (1), (2)), y AS (SELECT 3) SELECT 4',
    'with x as (values ($1) /*, ... */), y as (select $2) select $3',
  ],
  ["ALTER ROLE a PASSWORD 'secret'", 'alter role a password $1'],
  ['SELECT "a\nb\u0001"', 'select "a?b?"'],
  ['', ''],
  [' -- nothing', ''],
]

t.test('what is shown of a text', async (t) => {
  for (const [text, shown] of SHOWN) {
    t.equal(of(text).text, shown, text)
    t.match(of(text).id, /^[0-9a-f]{16}$/)
  }
})

t.test('the end of a text is left out where settings decide what is a literal', async (t) => {
  const cut: [string, string][] = [
    ["SELECT 'a\\', 'secret', b", 'select $1 ...'],
    ["SELECT 'a\\\\', b", 'select $1, b'],
    ["SELECT E'a\\\\', b, E'\\\\\\'', c", 'select $1, b, $2, c'],
    ['SELECT a, "secret', 'select a, ...'],
    ["SELECT a, 'secret", 'select a, $1'],
    ['SELECT a, $x$secret$y$', 'select a, $1'],
  ]
  for (const [text, shown] of cut) t.equal(of(text).text, shown, text)
  // 0x83 0x5c is one letter in SJIS: its second byte is no backslash.
  t.equal(latin1("SELECT E'\x83\\', 'secret'").text, 'select $1 ...')
  t.equal(latin1("SELECT '\x83\\\\', 'secret'").text, 'select $1 ...')
  t.notOk(of("SELECT 'a\\', 'secret', b").single)
})

t.test('what makes no other statement of a text', async (t) => {
  const same = [
    ['select a from t where b=1 and c>=2', "SELECT  a\nFROM t -- x\nWHERE b = 'x' AND c >= $1;"],
    ['select a from t where b in (1, 2)', "select a from t where b in ('a', 'b', 'c', null, $1)"],
    ['insert into t values (1, 2), (3, 4)', `insert into t values ${'(5, null), '.repeat(500)}(1, 1)`],
    [
      'insert into t values (1, now()), (2, 3), (4, 5)',
      `insert into t values ${'(1, now()), (1, 2), '.repeat(99)}(1, now())`,
    ],
    ['select a + 1', 'select a + -1'],
  ]
  for (const [one, other] of same) t.equal(of(one!).id, of(other!).id, other!.slice(0, 80))
  t.equal(of('select 1'), of('SELECT 2'), 'a known statement is one object')
})

t.test('what makes another statement of a text', async (t) => {
  const texts = [
    'select a from t',
    'selecta from t',
    'select a from "T"',
    'select a from "t"',
    'select a from t;select a from t',
    'select a.b from t',
    'select a, b from t',
    'select a >= b',
    'select a > = b',
    'select a from t where b in (1)',
    'select a from t where b in (1, 2)',
    'select a from t where b in (1, x)',
    'insert into t values (1, 2)',
    'insert into t values (1, 2), (3, 4)',
    `select ${'a, '.repeat(1000)}a`,
    `select ${'a, '.repeat(1000)}b`,
    'select 1',
    "select 'x\\', y",
    'select 1 y',
  ]
  t.equal(new Set(texts.map((text) => of(text).id)).size, texts.length)
})

t.test('a single command that reads or writes tables', async (t) => {
  const single = [
    ...['select 1', 'SELECT 1;', '-- a\nInsert into t values (1)', 'update t set a = 1', 'delete from t', 'table t'],
    ...['merge into t using u on a', 'values (1)', 'with x as (select \';\') select ";" from x'],
  ]
  const others = [
    ...['', 'begin', 'select 1; select 2', ';', 'create table t ()', '(select 1)', 'selectx', '"select"', "'select'"],
    ...["select 'a\\' from t", 'select "a'],
  ]
  for (const text of single) t.ok(of(text).single, text)
  for (const text of others) t.notOk(of(text).single, text)
})

t.test('texts are bounded', async (t) => {
  const long = of(`select ${'abc, '.repeat(50_000)}d`)
  t.equal(long.text.length, 1000)
  t.match(long.text, /^select abc, .* \.\.\.$/)
  t.ok(of(`select ${'1, '.repeat(1000)}2`).text.length <= 1000)
  t.ok(of(`select "${'\ud83d\ude00'.repeat(1000)}"`).text.length <= 1000)
  const many = of(`select a in (${Array.from({ length: 40_000 }, (_, i) => `a${i}`).join(', ')})`)
  t.match(many.text, /^select a in \(a0, a1, .*, a15 \/\*, \.\.\. \*\/\)$/, 'a list is, whatever is in it')
  t.doesNotThrow(() => of('('.repeat(100_000) + ')'.repeat(100_001)))
  t.doesNotThrow(() => of(`${'values (1), '.repeat(50)}${'['.repeat(1000)}1, 2`))
})

/** No letter of a literal, whatever the settings are: texts made of all that can stand around and inside of one. */
t.test('nothing of a literal is kept', async (t) => {
  const random = new Random(20_26)
  const secret = 'zq'
  const pick = (of: readonly string[]): string => of[random.below(of.length)]!
  const inside = (pieces: readonly string[]): string => {
    let text = secret
    for (let n = random.below(6); n > 0; n--) text += pick([...pieces, secret])
    return text
  }
  const ANY = ['--', '/*', '*/', '"', ';', ',', '(', ')', '$$', '$a$', ' ', '\n', "''", '\\\\', '\x83', 'E', '1', '::']
  const literals = (conforming: boolean): (() => string)[] => [
    () => `'${inside(conforming ? [...ANY, '\\'] : [...ANY, "\\'", '\\n'])}'`,
    () => `E'${inside([...ANY, "\\'", '\\n'])}'`,
    () => `e'${inside([...ANY, "\\'"])}'\n'${inside(["\\'", "''"])}'`,
    () => `N'${inside(["''", ' ', '"'])}'`,
    () => `$$${inside(["'", '$ ', "\\'", '--', '"'])}$$`,
    () => `$t$${inside(["'", '$$', "\\'", '/*', '"'])}$t$`,
    () => `X'${secret}'`,
    () => `/*${secret} /*'*/ ${secret}*/`,
    () => `--${secret}'\n`,
    () => `9${secret}`,
  ]
  const around = [
    ...[
      'select ',
      ' from t ',
      ', ',
      ' = ',
      '(',
      ')',
      ' in (',
      'values (',
      '), (',
      '[',
      ']',
      '"a\'b"',
      '"\\"',
      'a$b ',
      '$1 ',
    ],
    ...[' - ', '+', '@- ', '::', ';', '\n', ' e ', 'é', ' null ', '\\', '*', '1.5e'],
  ]
  for (let round = 0; round < 20_000; round++) {
    const kinds = literals(random.below(2) === 0)
    let text = ''
    for (let n = 2 + random.below(8); n > 0; n--) {
      text += pick(around)
      // A letter, or a dollar sign, directly in front would make something else of it.
      if (random.below(2) === 0) text += ` ${kinds[random.below(kinds.length)]!()} `
    }
    const { text: shown } = latin1(text)
    if (shown.includes(secret)) {
      t.fail(`kept of ${JSON.stringify(text)}: ${shown}`)
      return
    }
  }
  t.pass('in 20,000 texts')
})
