import t from 'tap'
import { describeRatio, judge } from '../../bench/budgets.ts'
import { renderReport } from '../../bench/report.ts'
import { type BenchResults, type Point, summarize, type TargetRuns } from '../../bench/results.ts'

function target(kind: TargetRuns['kind'], rates: number[], cpu = 20): TargetRuns {
  const name = { direct: 'direct', pgbouncer: 'PgBouncer', pgbun: 'pgbun, node 24.0.0' }[kind]
  const runs = rates.map((perSecond) => ({
    transactions: perSecond * 3,
    perSecond,
    p50: 0.25,
    p99: 1.5,
    cpu: kind === 'direct' ? undefined : { user: cpu / 4, system: (cpu * 3) / 4 },
  }))
  return { kind, name, runs, bystander: [] }
}

function point(name: string, clients: number, targets: TargetRuns[]): Point {
  return { case: name, title: `the case ${name}`, clients, targets }
}

function results(points: Point[], more: Partial<BenchResults> = {}): BenchResults {
  return {
    machine: {
      date: '2026-01-02 03:04 UTC',
      cpu: 'Abacus 2000',
      cores: 4,
      memoryGb: 16,
      system: 'Linux 6.1.0 x64',
      versions: ['pgbun, node 24.0.0', 'PgBouncer 1.18.0'],
      load: 0.1,
      busy: 0.01,
    },
    reps: 3,
    seconds: 3,
    generator: 'pgbench 15',
    points,
    memory: [],
    ...more,
  }
}

const three = [
  target('direct', [2000, 1000, 2000]),
  target('pgbouncer', [1000, 500, 1000], 20),
  target('pgbun', [1100, 600, 1000], 30),
]

t.test('medians, and ratios to the neighbours', async (t) => {
  const [direct, pgbouncer, pgbun] = summarize(point('simple', 8, three))
  t.match(direct, { perSecond: 2000, spread: 0.25, user: undefined, toDirect: undefined, toPgbouncer: undefined })
  t.match(pgbouncer, { perSecond: 1000, toDirect: { value: 0.5 }, toPgbouncer: undefined })
  t.match(pgbun, { perSecond: 1000, user: 7.5, system: 22.5, toPgbouncer: { value: 1.1, low: 1, high: 1.2 } })
  t.match(pgbun, { toDirect: { value: 0.55 }, cpuToPgbouncer: { value: 1.5 } })
})

t.test('budgets are judged for pgbun, case by case', async (t) => {
  t.match(judge(results([point('simple', 8, three)])), [
    { what: 'simple, 8 clients', budget: '≥ 1.00 × PgBouncer', measured: '1.10 (1.00-1.20)', verdict: 'met' },
    { what: 'simple, 8 clients', budget: '≤ 1.30 × its CPU', measured: '1.50', verdict: 'missed' },
  ])
  t.match(judge(results([point('50kB', 1, three)])), [
    { what: '50kB, 1 client', budget: '≥ 1.25 × PgBouncer', verdict: 'missed' },
  ])
})

t.test('prepared statements are compared with a direct connection where PgBouncer has none', async (t) => {
  const without = [target('direct', [1000]), target('pgbun', [710])]
  t.match(judge(results([point('prepared', 32, without), point('prepared', 8, without)])), [
    { what: 'prepared, 32 clients', budget: '≥ 0.70 × direct', measured: '0.71', verdict: 'met' },
  ])
  t.equal(judge(results([point('prepared', 32, three)])).length, 2, 'with PgBouncer, throughput and processor time')
})

t.test('without PgBouncer a budget in its terms is unknown or left out', async (t) => {
  const without = [target('direct', [1000]), target('pgbun', [710])]
  t.same(judge(results([point('simple', 8, without)])), [])
  t.match(judge(results([point('connect', 8, without)])), [{ measured: '-', verdict: 'unknown' }])
})

t.test('memory per idle client', async (t) => {
  const memory = (connected: number): BenchResults['memory'] => [
    { kind: 'pgbouncer', name: 'PgBouncer', memory: { clients: 4000, connected: 800, afterQuery: 800 } },
    { kind: 'pgbun', name: 'pgbun', memory: { clients: 4000, connected, afterQuery: 14_000 } },
  ]
  t.match(judge(results([], { memory: memory(11_900) })), [{ measured: '11.9 kB', verdict: 'met' }])
  t.match(judge(results([], { memory: memory(12_100) })), [{ measured: '12.1 kB', verdict: 'missed' }])
})

t.test('ratios', async (t) => {
  t.equal(describeRatio({ value: 1, low: 1, high: 1 }), '1.00')
  t.equal(describeRatio({ value: 1.234, low: 1, high: 1.5 }), '1.23 (1.00-1.50)')
})

t.test('the report as text', async (t) => {
  const text = renderReport(results([point('simple', 8, three)]), 'text')
  t.match(text, /^pgbun benchmark, 2026-01-02 03:04 UTC\n {2}Abacus 2000, 4 cores, 16 GB, Linux 6\.1\.0 x64\n/)
  t.match(text, /load by pgbench 15; medians of 3 interleaved runs of 3 s/)
  t.match(text, /\nsimple: the case simple\n/)
  t.match(text, /\n +8 {2}direct +2,000 +±25% +0\.25 +1\.50 +- +- +- +- +- +-\n/)
  t.match(text, /\n +8 {2}pgbun, node 24\.0\.0 +1,000 +±25% .*7\.5 +22\.5 +30\.0 .*1\.10 \(1\.00-1\.20\) +1\.50\n/)
  t.match(text, /\nbudgets: 1 of 2 met\n/)
  t.notMatch(text, 'WARNING')
  const column = (start: RegExp, word: string): number => {
    const line = text.split('\n').find((candidate) => start.test(candidate))!
    return line.indexOf(word) + word.length
  }
  t.equal(column(/^ +8 {2}direct/, '2,000'), column(/^ +clients/, 'per second'), 'numbers end below their headings')
})

t.test('the report as Markdown', async (t) => {
  const text = renderReport(results([point('simple', 8, three)]), 'markdown')
  t.match(text, /^## pgbun benchmark/)
  t.match(text, /\n### simple: the case simple\n\n\| clients \| target /)
  t.match(text, /\n\| -+: \| -+ \| -+: \|/, 'numbers to the right')
})

t.test('a busy machine is said to be one', async (t) => {
  const busy = results([])
  busy.machine.busy = 0.4
  t.match(renderReport(busy, 'text'), /WARNING: the machine was busy/)
})

t.test('what failed is in the report beside what did not', async (t) => {
  const broken: TargetRuns = { kind: 'pgbun', name: 'pgbun', runs: [], bystander: [], error: 'it hung' }
  const text = renderReport(results([point('simple', 8, [target('direct', [1000]), broken])]), 'text')
  t.match(text, /direct +1,000/)
  t.match(text, /failed: pgbun, 8 clients: it hung/)
})

t.test('a lone client beside the load has a table of its own', async (t) => {
  const [direct, , pgbun] = three.map((runs) => ({ ...runs, bystander: runs.runs }))
  const text = renderReport(results([point('scram', 8, [direct!, pgbun!])]), 'text')
  t.match(text, /One client with small queries beside it:\n\n +target +per second +p50 ms +p99 ms\n/)
})
