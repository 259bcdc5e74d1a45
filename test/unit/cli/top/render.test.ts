/** The screen of `pgbun top`: what is seen of samples, at every size, with names that want to do harm. */
import t from 'tap'
import { widthOf } from '../../../../lib/cli/terminal-text.ts'
import { ratesOf } from '../../../../lib/cli/top/rates.ts'
import { render, type Scene } from '../../../../lib/cli/top/render.ts'
import type { Missing, Sample, Table } from '../../../../lib/cli/top/sample.ts'
import { FIRST_STATE, type TopState } from '../../../../lib/cli/top/state.ts'
import { durationText, rateText, VIEWS } from '../../../../lib/cli/top/views.ts'

/** Names of columns that are numbers begin with #. */
function table(names: string, ...rows: (string | null)[][]): Table {
  const columns = names.split(' ')
  return {
    columns: columns.map((name) => name.replace('#', '')),
    numeric: columns.map((name) => name.startsWith('#')),
    rows,
  }
}

const POOLS = 'database user #cl_active #cl_waiting #sv_active #sv_idle #sv_login #maxwait #maxwait_us pool_mode'
const STATS = 'database #total_query_count #total_xact_count #total_query_time'

function sample(at: number, queries: number, more: Record<string, Table | Missing> = {}): Sample {
  return {
    at,
    tables: new Map<string, Table | Missing>(
      Object.entries({
        VERSION: table('version pgbun #uptime_us', ['PgBouncer 1.25.2 (pgbun 9.8.7)', '9.8.7', '3661000000']),
        POOLS: table(
          POOLS,
          ['shop', 'app', '10', '2', '5', '3', '1', '1', '500000', 'transaction'],
          ['blog', 'web', '7', '0', '2', '0', '0', '0', '0', 'session'],
          ['pgbouncer', 'pgbouncer', '1', '0', '0', '0', '0', '0', '0', 'statement'],
        ),
        STATS: table(
          STATS,
          ['shop', String(queries), String(queries / 2), String(queries * 2000)],
          ['pgbouncer', '5', '5', '0'],
        ),
        ...more,
      }),
    ),
  }
}

function scene(more: Partial<Omit<Scene, 'state'>> & { state?: Partial<TopState> } = {}): Scene {
  const { state, ...rest } = more
  return {
    now: sample(3000, 300),
    before: sample(1000, 100),
    where: 'db:6432',
    user: 'boss',
    trouble: undefined,
    columns: 100,
    rows: 12,
    ...rest,
    state: { ...FIRST_STATE, ...state },
  }
}

const lines = (more: Parameters<typeof scene>[0] = {}): string[] =>
  render(scene(more)).lines.map(({ text }) => text.trimEnd())
const ordered = (view: number, column: number, reversed = false): Partial<TopState> => ({
  view,
  orders: VIEWS.map((_, i) => (i === view ? { column, reversed } : { column: -1, reversed: false })),
})

t.test('pools with their rates', async (t) => {
  t.strictSame(lines(), [
    'pgbun 9.8.7   up 1h01m   db:6432 as boss',
    'clients 18, waiting 2   servers 7, idle 3   100 q/s, 50.0 tx/s   2.00 ms/q',
    '[1 pools] 2 waiters  3 queries  4 pins  5 servers  6 errors',
    'database   user       cl  wait  sv  idle  new  maxwait  q/s  tx/s  ms/q  mode',
    'shop       app        10     2   5     3    1     1.5s  100  50.0  2.00  transaction',
    'blog       web         7     0   2     0    0        0                   session',
    'pgbouncer  pgbouncer   1     0   0     0    0        0                   statement',
    '',
    '',
    '',
    '',
    '?: help   s: sort   r: reverse   /: filter   space: pause   q: quit',
  ])
  t.equal(lines({ before: undefined })[1], 'clients 18, waiting 2   servers 7, idle 3', 'one look gives no rates')
  t.equal(lines({ now: undefined, before: undefined })[3], 'not asked for yet')
  t.strictSame(ratesOf(sample(1000, 300), sample(2000, 100)), new Map(), 'counters that began anew')
})

t.test('order and filter', async (t) => {
  const names = (state: Partial<TopState>) =>
    lines({ state })
      .slice(4, 7)
      .map((line) => line.split(' ')[0])
  t.strictSame(names(ordered(0, 0)), ['blog', 'pgbouncer', 'shop'])
  t.strictSame(names(ordered(0, 0, true)), ['shop', 'pgbouncer', 'blog'])
  t.strictSame(names(ordered(0, 2)), ['shop', 'blog', 'pgbouncer'], 'the largest number first')
  t.strictSame(names(ordered(0, 2, true)), ['pgbouncer', 'blog', 'shop'])
  t.strictSame(names(ordered(0, -1, true)), ['pgbouncer', 'blog', 'shop'])
  t.match(lines({ state: ordered(0, 2) })[3], /cl↓/)
  t.match(lines({ state: ordered(0, 0) })[3], /database↑/)
  const filtered = lines({ state: { filter: 'SESSION' } })
  t.match(filtered[4], /^blog/)
  t.equal(filtered[5], '')
  t.match(filtered.at(-1), /^\/SESSION: 1 of 3 /)
  t.equal(lines({ state: { filter: 'x'.repeat(200), typing: true }, columns: 20 }).at(-1), `${'x'.repeat(19)}_`)
})

t.test('pause, trouble, help', async (t) => {
  t.match(lines({ state: { paused: true } }).at(-1), /^PAUSED {3}/)
  const { lines: alert } = render(scene({ trouble: 'no connection: \x1b[2J' }))
  t.match(alert.at(-1), { text: 'no connection: \\u001b[2J', style: 'alert' })
  t.match(lines({ state: { help: true } }), { 3: /^1 to 6 .* pools, waiters/, 11: /^any key: back/ })
})

t.test('waiters, of pgbun and of PgBouncer', async (t) => {
  const QUEUE = table('database role #since_us what', ['shop', 'waits', '2500000', 'a server'])
  t.match(lines({ now: sample(1, 1, { QUEUE }), state: { view: 1 } }), {
    3: /^database {2}role {3}since {2}what$/,
    4: /^shop {6}waits {3}2\.5s {2}a server$/,
  })
  const clients = table(
    'database user state addr #port #wait #wait_us application_name',
    ['shop', 'app', 'active', '10.0.0.1', '1', '0', '0', ''],
    ['shop', 'app', 'waiting', '10.0.0.2', '2', '0', '4000', 'short'],
    ['shop', 'app', 'waiting', '10.0.0.3', '3', '61', '0', 'long'],
  )
  const seen = lines({ now: sample(1, 1, { QUEUE: { missing: 'unknown' }, CLIENTS: clients }), state: { view: 1 } })
  t.match(seen, { 4: /^shop +app +1m01s +10\.0\.0\.3:3 +long$/, 5: /^shop +app +4ms +10\.0\.0\.2:2 +short$/, 6: '' })
  const nobody = lines({ now: sample(1, 1, { QUEUE: table('database role') }), state: { view: 1 } })
  t.equal(nobody[4], 'nobody waits')
})

t.test('what comes is shown as it comes, and what is not there says so', async (t) => {
  const QUERIES = table('query #calls #mean_us odd', ['select 1', '12', '1500', null], ['select 2', null, null, 'x'])
  t.strictSame(lines({ now: sample(1, 1, { QUERIES }), state: { view: 2 } }).slice(3, 6), [
    'query     calls  mean  odd',
    'select 1     12   2ms',
    'select 2               x',
  ])
  const { lines: none } = render(
    scene({ now: sample(1, 1, { PINS: { missing: "invalid command 'SHOW PINS\x07'" } }), state: { view: 3 } }),
  )
  t.equal(none[3]?.text, "this pooler does not show it: invalid command 'SHOW PINS\\u0007'")
  const SERVERS = table('type user database state connect_time', [
    'S',
    'app',
    'shop',
    'idle',
    '2026-11-30 01:02:03 UTC',
  ])
  t.strictSame(lines({ now: sample(1, 1, { SERVERS }), state: { view: 4 } }).slice(3, 5), [
    'database  user  state    connect_time',
    'shop      app   idle   11-30 01:02:03',
  ])
})

t.test('scrolled rows and columns', async (t) => {
  const PINS = table('#client reason age', ...Array.from({ length: 30 }, (_, i) => [String(i), `reason ${i}`, 'old']))
  const now = sample(1, 1, { PINS })
  const { lines: some, extent } = render(scene({ now, state: { view: 3, top: 5, left: 1 } }))
  t.match(some[3]?.text, /^client {2}age/)
  t.match(some[4]?.text, /^ {5}5 {2}old/)
  t.match(some.at(-1)?.text, /^from row 6/)
  t.strictSame(extent, { columns: 3, rows: 30, page: 7 })
  const { lines: beyond } = render(scene({ now, state: { view: 3, top: 99 } }))
  t.match(beyond[10]?.text, /^ {4}29 /, 'the end at most')
})

t.test('every size, and names that want to do harm', async (t) => {
  const evil = '\x1b]0;owned\x07\x1b[2J\r\n\u202e\u009b31m日本🐘'.repeat(3)
  const numbers = Array(7).fill('1')
  const more = {
    VERSION: table('version', [evil]),
    POOLS: table(POOLS, [evil, evil, ...numbers, evil]),
    QUEUE: table(`database #n ${'x\x1b[2J'}`, [evil, evil, null]),
    QUERIES: table('query #calls', [evil, evil]),
    PINS: { missing: evil },
    SERVERS: table('user state', [evil, evil]),
    ERRORS: table('source #count', [evil, '1']),
  }
  const now = sample(3000, 300, more)
  for (const columns of [1, 2, 10, 39, 40, 79, 80, 120, 300]) {
    for (const rows of [1, 2, 3, 5, 15, 40]) {
      for (const view of VIEWS.keys()) {
        for (const state of [
          { view },
          { view, help: true },
          { view, typing: true, filter: evil },
          { view, paused: true, left: 2 },
        ]) {
          const { lines } = render(scene({ now, columns, rows, state, where: evil, user: evil, trouble: evil }))
          const text = lines.map((line) => line.text)
          const wrong = text.filter((line) => widthOf(line) > columns || /[\p{Cc}\p{Cf}]/u.test(line))
          if (lines.length !== rows || wrong.length > 0) t.fail(`${columns}x${rows}`, { lines: lines.length, wrong })
        }
      }
    }
  }
  t.pass('all drawn')
})

t.test('figures', async (t) => {
  t.strictSame([0, 0.123, 5.678, 56.78, 567.8].map(rateText), ['0', '0.12', '5.68', '56.8', '568'])
  t.strictSame([0, 250, 12_345, 3_450_000, 245e6, 7_380e6, 273_600e6, Number.NaN].map(durationText), [
    '0',
    '250us',
    '12ms',
    '3.5s',
    '4m05s',
    '2h03m',
    '3d04h',
    '',
  ])
})
