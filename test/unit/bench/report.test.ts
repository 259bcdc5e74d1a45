import t from 'tap'
import { describeRatio, judge, type Verdict } from '../../bench/budgets.ts'
import { renderReport } from '../../bench/report.ts'
import { type BenchResults, type Point, summarize, type TargetRuns, type TrialResult } from '../../bench/results.ts'

function target(kind: TargetRuns['kind'], rates: number[], cpu = 20): TargetRuns {
  const pgbun = 'pgbun, node 24.0.0'
  const own = {
    relay: 'relay, node 24.0.0',
    pgbun,
    unshared: `${pgbun}, off`,
    observed: `${pgbun}, observed`,
    unobserved: `${pgbun}, unobserved`,
  }
  const name = { direct: 'direct', pgbouncer: 'PgBouncer', ...own }[kind]
  const runs = rates.map((perSecond) => ({
    transactions: perSecond * 3,
    perSecond,
    p50: 0.25,
    p99: 1.5,
    p999: 2.5,
    cpu: kind === 'direct' ? undefined : { user: cpu / 4, system: (cpu * 3) / 4 },
    gc: undefined,
    resident: kind === 'direct' ? undefined : 90e6,
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
    trials: [],
    ...more,
  }
}

/** The budgets something was measured for. */
function measured(found: BenchResults): Verdict[] {
  return judge(found).filter(({ verdict }) => verdict !== 'not measured')
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
  t.match(measured(results([point('simple', 8, three)])), [
    { what: 'simple, 8 clients', budget: '≥ 1.00 × PgBouncer', measured: '1.10 (1.00-1.20)', verdict: 'met' },
  ])
  t.match(measured(results([point('simple', 200, [...three, target('unshared', [2000])])])), [
    { what: 'simple, 200 clients', budget: '≥ 1.60 × PgBouncer', measured: '1.10 (1.00-1.20)', verdict: 'missed' },
    { what: 'simple, 200 clients', budget: '≤ 0.70 × its CPU', measured: '1.50', verdict: 'missed' },
    { what: 'simple, 200 clients', budget: '≥ 1.00 × direct', verdict: 'missed' },
  ])
  t.match(measured(results([point('50kB', 1, three)])), [
    { what: '50kB, 1 client', budget: '≥ 1.25 × PgBouncer', verdict: 'missed' },
  ])
})

t.test(
  'where PgBouncer prepares nothing, prepared statements are compared with a direct connection alone',
  async (t) => {
    const without = [target('direct', [1000]), target('pgbun', [1710])]
    t.match(measured(results([point('prepared', 32, without), point('prepared', 8, without)])), [
      { what: 'prepared, 32 clients', budget: '≥ 1.00 × direct', measured: '1.71', verdict: 'met' },
    ])
    t.equal(measured(results([point('prepared', 32, three)])).length, 2, 'otherwise with both')
  },
)

t.test('without PgBouncer a budget in its terms is unknown or left out', async (t) => {
  const without = [target('direct', [1000]), target('pgbun', [710])]
  t.same(measured(results([point('simple', 8, without)])), [])
  t.match(measured(results([point('connect', 8, without)])), [{ measured: '-', verdict: 'unknown' }])
})

t.test('a budget without a measurement is shown as one', async (t) => {
  const verdicts = judge(results([]))
  t.ok(verdicts.length > 5)
  t.ok(verdicts.every(({ verdict }) => verdict === 'not measured'))
  t.match(
    renderReport(results([]), 'text'),
    /budgets: 0 of 0 met\n[\s\S]*50kB, 10MB, tls-50kB +- +≥ 1\.25 × PgBouncer +- +not measured\n/,
  )
  const left = judge(results([point('10MB', 4, three)])).filter(({ what }) => what.includes('50kB'))
  t.same(left, [], 'one of its cases is enough')
})

t.test('a budget of what it costs to be observed', async (t) => {
  const observed = (on: number[], off: number[]) =>
    measured(results([point('observed', 32, [target('observed', on), target('unobserved', off)])]))
  t.match(observed([970, 990], [1000, 1000]), [
    { target: 'pgbun, node 24.0.0, observed', budget: '≥ 0.97 × unobserved', measured: '0.98', verdict: 'met' },
  ])
  t.match(observed([960], [1000]), [{ verdict: 'missed' }])
  t.match(observed([960], []), [{ verdict: 'unknown' }])
})

function trial(name: string, key: string, own: number[], pgbouncer: number[]): TrialResult {
  const runs = (values: number[]) => values.map((value) => ({ [key]: value, other: 1 }))
  return {
    name,
    title: `the trial ${name}`,
    columns: [
      { key, label: 'that figure', digits: 1 },
      { key: 'missing', label: 'another', digits: 0 },
    ],
    targets: [
      { kind: 'pgbouncer', name: 'PgBouncer', runs: runs(pgbouncer) },
      { kind: 'pgbun', name: 'pgbun, node 24.0.0', runs: runs(own) },
      { kind: 'pgbun', name: 'pgbun, bun 1.4.5', runs: [], error: 'it hung' },
    ],
  }
}

t.test('budgets of trials: a figure, or a ratio to PgBouncer', async (t) => {
  const memory = (own: number[]) =>
    measured(results([], { trials: [trial('memory', 'connected', own, [2])] })).filter(({ budget }) =>
      budget.includes('kB'),
    )
  t.match(memory([11.9]), [{ budget: '≤ 12 kB per idle client', measured: '11.90', verdict: 'met' }])
  t.match(memory([12.2, 12.1, 11]), [{ measured: '12.10 (11.00-12.20)', verdict: 'missed' }])
  const storm = (own: number[], other: number[]) =>
    measured(results([], { trials: [trial('storm', 'perSecond', own, other)] }))
  t.match(storm([900, 1100], [1000, 1000]), [{ measured: '1.00 (0.90-1.10)', verdict: 'met' }])
  t.match(storm([900], []), [{ measured: '-', verdict: 'unknown' }])
})

t.test('a trial in the report', async (t) => {
  const text = renderReport(results([], { trials: [trial('storm', 'perSecond', [900, 1100], [1000])] }), 'text')
  t.match(text, /\nstorm: the trial storm\n\n +target +that figure +another\n/)
  t.match(text, /PgBouncer +1000\.0 +-\n +pgbun, node 24\.0\.0 +1000\.0 ±10% +-\n/)
  t.match(text, /failed: pgbun, bun 1\.4\.5: it hung/)
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
  t.match(text, /\n +8 {2}direct +2,000 +±25% +0\.25 +1\.50 +2\.50 +- +- +- +- +- +-\n/)
  t.match(text, /\n +8 {2}pgbun, node 24\.0\.0 +1,000 +±25% .*7\.5 +22\.5 +90 .*1\.10 \(1\.00-1\.20\) +1\.50\n/)
  t.match(text, /\nbudgets: 1 of 1 met\n/)
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

t.test('details have a table of their own', async (t) => {
  const [direct, pgbouncer, pgbun] = three as [TargetRuns, TargetRuns, TargetRuns]
  const byName = { sendto: 2, recvfrom: 2.5, epoll_wait: 1, futex: 0.01, read: 0.3, write: 0.2 }
  const details = { calls: 6.01, byName, gc: 1.234 }
  const blind = { calls: undefined, byName: {}, gc: undefined }
  const targets = [direct, { ...pgbouncer, details: blind }, { ...pgbun, details }]
  const text = renderReport(results([point('simple', 8, targets)]), 'text')
  t.match(text, /\n {2}Per transaction:\n\n +clients +target +system calls +GC µs +most frequent calls\n/)
  t.match(text, /\n +8 {2}PgBouncer +- +-\n/)
  t.match(text, /6\.01 +1\.23 {2}recvfrom 2\.50, sendto 2\.00, epoll_wait 1\.00, read 0\.30, write 0\.20\n/)
})

t.test('a lone client beside the load has a table of its own', async (t) => {
  const [direct, , pgbun] = three.map((runs) => ({ ...runs, bystander: runs.runs }))
  const text = renderReport(results([point('scram', 8, [direct!, pgbun!])]), 'text')
  t.match(text, /One client with small queries beside it:\n\n +target +per second +p50 ms +p99 ms +p99\.9 ms\n/)
})
