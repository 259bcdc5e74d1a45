/** The load scripts of test/load: exit codes, and one JSON document with sane figures in every case. */
import { spawn } from 'node:child_process'
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import t, { type Test } from 'tap'
import { type PoolMode, startPgbun } from '../fixtures/pgbun.ts'
import { rootDir, startPostgres, type TestPostgres } from '../fixtures/postgres.ts'
import { typescript } from '../fixtures/runtimes.ts'
import { waitFor } from '../fixtures/wait.ts'
import { readArguments, UsageError } from '../load/arguments.ts'
import { LogReader } from '../load/log-reader.ts'
import { POOL_MODES } from '../load/scenario.ts'
import { statement, statementMode } from '../load/single-statements.ts'
import { load } from '../load/transfers.ts'

type Script = 'load-test' | 'transaction-test'

interface Ended {
  code: number | null
  stdout: string
  stderr: string
  // biome-ignore lint/suspicious/noExplicitAny: the document that is tested
  json: any
}

/** Runs a script to its end; `running` may do something to it meanwhile. */
async function run(
  t: Test,
  script: Script,
  args: string[],
  env: Record<string, string> = {},
  running: (child: { stderr: () => string; interrupt: () => void }) => unknown = () => {},
): Promise<Ended> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(PGBUN_LOG|PG[A-Z]+|TAP.*)$/.test(name))
  const child = spawn(process.execPath, [typescript, path.join(rootDir, 'test', 'load', `${script}.ts`), ...args], {
    cwd: rootDir,
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => void child.kill('SIGKILL'))
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  await running({ stderr: () => stderr, interrupt: () => void child.kill('SIGINT') })
  const code = await ended
  return { code, stdout, stderr, json: stdout.startsWith('{') ? JSON.parse(stdout) : undefined }
}

/** A pgbun whose log goes to a file, too, and the environment that leads the scripts to it. */
async function startLogged(t: Test, target: TestPostgres, mode: PoolMode): Promise<Record<string, string>> {
  const args = ['--log-format', mode === 'session' ? 'text' : 'json', '--stats-period', '300ms']
  const pgbun = await startPgbun(t, { target, poolMode: mode, poolSize: 3, args })
  const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-load-'))
  const log = path.join(dir, 'pgbun.log')
  let written = 0
  const ticker = setInterval(() => {
    const text = pgbun.logs()
    appendFileSync(log, text.slice(written))
    written = text.length
  }, 20)
  t.teardown(() => {
    clearInterval(ticker)
    rmSync(dir, { recursive: true, force: true })
  })
  return { PGHOST: pgbun.host, PGPORT: String(pgbun.port), PGUSER: 'postgres', PGPASSWORD: 'postgres', PGBUN_LOG: log }
}

function sane(t: Test, { code, stderr, json }: Ended, expected: Record<string, unknown>): void {
  t.match(json, { ...expected, errors: 0, mix_ups: 0, error_messages: [] })
  t.equal(code, 0, stderr)
  t.ok(json.total_queries >= json.total_transactions && json.total_transactions > 0, 'queries and transactions')
  t.ok(json.duration_s >= 0.3)
  t.ok(json.throughput_qps > 0)
  t.ok(json.avg_latency_ms > 0 && json.p50_latency_ms <= json.p95_latency_ms, 'latencies')
  t.ok(json.p95_latency_ms <= json.p99_latency_ms)
  t.ok(json.reuse_efficiency_percent > 0 && json.reuse_efficiency_percent <= 100, json.counters_from)
  t.ok(json.server_connections_opened >= 0)
}

const short = ['--duration=400ms', '--concurrency', '6']
const keys = [
  ...['test', 'mode', 'scenario', 'concurrency', 'duration_s', 'total_queries', 'total_transactions', 'errors'],
  ...['error_messages', 'mix_ups', 'avg_latency_ms', 'p50_latency_ms', 'p95_latency_ms', 'p99_latency_ms'],
  ...['throughput_qps', 'reuse_efficiency_percent', 'server_connections_opened', 'counters_from'],
]

t.test('against a pgbun that runs', async (t) => {
  const postgres = await startPostgres(t)
  const transaction = await startLogged(t, postgres, 'transaction')

  const scenarios = [
    ['load-test', 'load'],
    ['load-test', 'statement'],
    ['transaction-test', 'boundary'],
    ['transaction-test', 'idle'],
    ['transaction-test', 'rollback'],
  ] as const
  // At the same time: they do not disturb each other.
  const ended = await Promise.all(
    scenarios.map(([script, scenario]) => run(t, script, [...short, `--scenario=${scenario}`], transaction)),
  )
  for (const [index, [script, scenario]] of scenarios.entries()) {
    sane(t, ended[index]!, { test: script, mode: 'transaction', scenario, concurrency: 6 })
    t.strictSame(Object.keys(ended[index]!.json), keys)
    t.match(ended[index]!.json.counters_from, /^the log of pgbun, from .* to the stats line of /)
  }
  const left = await postgres.query(
    'SELECT (SELECT sum(balance)::int FROM pgbun_load_account), count(*)::int FROM pgbun_load_entry',
  )
  t.strictSame(left, [{ sum: 1_000_000, count: 0 }], 'nothing is left of the runs')

  const statementEnv = await startLogged(t, postgres, 'statement')
  const sessionEnv = await startLogged(t, postgres, 'session')
  const [refusing, sessions] = await Promise.all([
    run(t, 'transaction-test', [...short, '--mode=statement'], statementEnv),
    run(t, 'load-test', [...short, '--mode', 'session'], sessionEnv),
  ])
  sane(t, refusing, { mode: 'statement', scenario: 'statement' })
  sane(t, sessions, { mode: 'session', scenario: 'load' })

  const [wrong, ...otherMode] = await Promise.all([
    run(t, 'load-test', short, { ...statementEnv, PGPASSWORD: 'wrong' }),
    run(t, 'load-test', short, sessionEnv),
    run(t, 'load-test', short, statementEnv),
    run(t, 'load-test', [...short, '--mode=session'], transaction),
  ])
  t.strictSame(
    otherMode.map(({ code, json }) => [code, json.error_messages[0].message.match(/is (not in .* mode):/)?.[1]]),
    [
      [1, 'not in transaction mode but in session mode'],
      [1, 'not in transaction mode but in statement mode'],
      [1, 'not in session mode but in transaction mode'],
    ],
  )

  t.equal(wrong.code, 1)
  t.match(wrong.json, {
    errors: 1,
    error_messages: [{ message: /^setting up: .*password authentication failed.*28P01/, count: 1 }],
    total_queries: 0,
    p50_latency_ms: null,
    server_connections_opened: null,
  })

  const stopped = await run(t, 'load-test', ['--duration=60', '--concurrency=6'], transaction, async ({ stderr }) => {
    await waitFor(() => /queries/.test(stderr()), { what: 'the run' })
    await postgres.shutdown()
  })
  t.equal(stopped.code, 1)
  t.match(stopped.json, { total_queries: Number, error_messages: [{ message: String }] })
  t.ok(stopped.json.errors >= 6, 'each client says how it ended')
  t.ok(stopped.json.total_queries > 0)
  t.ok(stopped.json.duration_s < 30, 'it does not go on without clients')
})

t.test('on its own', async (t) => {
  const [interrupted, empty] = await Promise.all([
    run(t, 'load-test', ['--duration=60'], {}, async ({ stderr, interrupt }) => {
      await waitFor(() => /queries/.test(stderr()), { what: 'the run' })
      interrupt()
    }),
    run(t, 'transaction-test', ['--pool-size=0']),
  ])
  t.equal(interrupted.code, 130)
  t.match(interrupted.json, { errors: 0, mix_ups: 0, counters_from: /snapshot/ })
  t.ok(interrupted.json.total_queries > 0 && interrupted.json.reuse_efficiency_percent > 0)

  t.equal(empty.code, 1)
  t.match(empty.json.error_messages, [{ message: /poolSize: 0\. Must be between 1 and/, count: 1 }])
})

t.test('mistakes in the arguments', async (t) => {
  const ended = await run(t, 'load-test', ['--scenario=boundary'])
  t.match(ended, { code: 2, stdout: '', stderr: 'load-test: --scenario boundary: must be one of load, statement\n' })

  const test = { name: 'load-test', scenarios: { load, statement, refusing: statementMode } }
  const wrong: [RegExp, string[], NodeJS.ProcessEnv?][] = [
    [/^--duration abc: a number of seconds, or a number with a unit \(ms, s, min\)/, ['--duration', 'abc']],
    [/^--duration 0: /, ['--duration=0']],
    [/^--duration \(empty\): /, ['--duration=']],
    [/^--duration: a value is missing/, ['--duration', '--mode=session']],
    [/^--concurrency 0: a whole number from 1 to 200/, ['--concurrency=0']],
    [/^--concurrency 201: a whole number from 1 to 200/, ['--concurrency=201']],
    [/^--mode any: must be one of session, transaction, statement/, ['--mode', 'any']],
    [/^--scenario none: must be one of load, statement, refusing/, ['--scenario=none']],
    [
      /^--scenario refusing with --mode transaction: .*needs --mode statement;.* there is: load, st/,
      ['--scenario=refusing'],
    ],
    [/^--pool-size 3: .*PGHOST=db there is one/, ['--pool-size=3'], { PGHOST: 'db' }],
    [/^PGPORT x: a whole number from 1 to 65535/, [], { PGHOST: 'db', PGPORT: 'x' }],
    [/^--colour: unknown option. The options are: --mode, /, ['--colour=red']],
    [/^fast: not understood/, ['fast']],
  ]
  for (const [message, args, env = {}] of wrong) {
    t.throws(() => readArguments(test, args, env), Object.assign(new UsageError(), { message }), args.join(' '))
  }
  const read = (...args: string[]) => readArguments(test, args, {})
  t.match(read(), { mode: 'transaction', scenario: 'load', concurrency: 20, durationMs: 60_000, address: undefined })
  for (const [text, ms] of [
    ['2', 2000],
    ['1.5', 1500],
    ['250ms', 250],
    ['2min', 120_000],
  ] as const)
    t.equal(read('--duration', text).durationMs, ms)
  for (const mode of POOL_MODES) t.equal(read(`--mode=${mode}`).mode, mode)
})

t.test('the log is read as it grows, and from the last start of pgbun on', async (t) => {
  const stats = (time: number, leases: number): string =>
    `${JSON.stringify({ level: 30, time, msg: 'stats', leases_total: leases, connections_opened_total: 2 })}\n`
  const ready = `${JSON.stringify({ level: 30, time: 1, msg: 'pgbun 1.0.0 is ready: listening on x' })}\n`
  const file = path.join(t.testdir({ log: `no JSON "stats"\n${stats(1000, 5)}${stats(1500, 7)}${ready}` }), 'log')
  const reader = new LogReader(file)
  reader.read()
  t.match(reader, { starts: 1, latest: undefined, period: 500 })
  const line = stats(3000, 9)
  appendFileSync(file, line.slice(0, 20))
  reader.read()
  t.equal(reader.latest, undefined, 'half a line is none')
  appendFileSync(file, line.slice(20))
  reader.read()
  t.match(reader.latest, { time: 3000, leases: 9, opened: 2 })
  writeFileSync(file, stats(4000, 1))
  reader.read()
  t.match(reader.latest, { time: 4000, leases: 1 }, 'another file')
})
