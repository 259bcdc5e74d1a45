/** Which statements of a client run, and for how long: told one by one as the server answers. The clock is the test's. */
import t, { type Test } from 'tap'
import { ClientInfo } from '../../../../lib/client/lifecycle/client-info.ts'
import type { TracedStatement } from '../../../../lib/client/lifecycle/span-sink.ts'
import { RunningStatements, type SentDetails } from '../../../../lib/client/requests/running-statements.ts'
import type { QuerySnapshot } from '../../../../lib/pool/query-record.ts'
import { QueryStats } from '../../../../lib/pool/query-stats.ts'
import { fingerprintOf } from '../../../../lib/sql/fingerprint.ts'
import { createLogger } from '../../../../lib/util/logger.ts'

const of = (text: string) => fingerprintOf(Buffer.from(text))
const details = (more: Partial<SentDetails>): SentDetails => ({
  ...{ text: undefined, parameters: undefined, trace: undefined, host: { host: 'db', port: 5432 } },
  ...more,
})

/** The statements of one client. */
function begin(t: Test, { queryStatsMax = 100, logMinDuration = -1 } = {}) {
  let time = 1000
  const clock = t.intercept(performance, 'now', { value: () => time })
  t.teardown(() => clock.restore())
  const lines: string[] = []
  const spans: TracedStatement[] = []
  const queryStats = new QueryStats({ queryStatsMax, logParameters: true })
  const info = new ClientInfo({ address: '127.0.0.1:1', neighbourhood: '', local: true, unix: false, tls: '' })
  info.database = 'app'
  info.user = 'ann'
  const log = createLogger({ level: 'info', format: 'text', write: (line) => lines.push(line) })
  const running = new RunningStatements(info, {
    queryStats,
    log,
    spans: { add: (span) => spans.push(span) },
    clientLimits: () => ({ logMinDuration }),
  })
  return {
    running,
    queryStats,
    lines,
    spans,
    pass: (ms: number): void => {
      time += ms
    },
    row: (text: string): QuerySnapshot | undefined => queryStats.snapshot().find((row) => row.text === of(text).text),
  }
}

t.test('from its sending to its answer, behind the wait for a server', async (t) => {
  const { running, pass, row } = begin(t)
  running.asks()
  pass(7)
  // It goes on waiting.
  running.asks()
  pass(3)
  running.hasServer()
  running.sends(of('select 1'), undefined)
  pass(5)
  running.completed(2)
  running.completed(3)
  running.ended(60, true)
  t.match(row('select 1'), { calls: 1, errors: 0, rows: 5, bytes: 60, total: 5, wait: 10, maxWait: 10, shared: 0 })
  // The next one has its server.
  running.sends(of('select 1'), undefined)
  pass(1)
  running.ended(40, true)
  t.match(row('select 1'), { calls: 2, rows: 5, bytes: 100, total: 6, wait: 10 })
})

t.test('one that is refused a server has not waited for the next', async (t) => {
  const { running, pass, row } = begin(t)
  running.asks()
  pass(100)
  running.isRefused()
  running.hasServer()
  running.sends(of('select 1'), undefined)
  running.ended(1, true)
  t.match(row('select 1'), { calls: 1, wait: 0 })
})

t.test('sent together, each runs from the end of the one before', async (t) => {
  const { running, pass, row } = begin(t)
  const names = Array.from({ length: 11 }, (_, i) => `select a${i} from t`)
  // More than there is room for at first, in a ring that does not begin at its beginning.
  for (const name of names.slice(0, 2)) running.sends(of(name), undefined)
  pass(1)
  running.ended(1, true)
  for (const name of names.slice(2)) running.sends(of(name), undefined)
  for (const [i] of names.slice(1).entries()) {
    pass(i + 2)
    running.ended(i + 2, true)
  }
  for (const [i, name] of names.entries()) t.match(row(name), { calls: 1, total: i + 1, bytes: i + 1 }, name)
  // What is not sent any more ends nothing.
  running.ended(1, true)
  t.equal(row(names[0]!)?.calls, 1)
})

t.test('behind those of others, it waits until its turn comes', async (t) => {
  const { running, pass, row } = begin(t)
  running.sends(of('select 1'), undefined)
  pass(8)
  running.turnCame()
  pass(2)
  running.ended(10, true)
  t.match(row('select 1'), { calls: 1, total: 2, wait: 8, shared: 1 })
  running.sends(of('select 1'), undefined)
  running.ended(10, true)
  t.match(row('select 1'), { calls: 2, shared: 1 }, 'the next is not')
  running.turnCame()
  running.sends(of('select 1'), undefined)
  running.ended(10, true)
  t.match(row('select 1'), { calls: 3, shared: 1 }, 'nothing was sent when it came')
})

t.test('errors', async (t) => {
  const { running, row, pass } = begin(t)
  for (const name of ['select a', 'select b', 'select c']) running.sends(of(name), undefined)
  pass(1)
  running.completed(1)
  running.failing('22012')
  running.ended(30, true)
  // Behind an error, PostgreSQL discards what is sent.
  running.ended(0, false)
  running.ended(5, true)
  t.match(row('select a'), { calls: 1, errors: 1, rows: 1, bytes: 30 })
  t.equal(row('select b'), undefined)
  t.match(row('select c'), { calls: 1, errors: 0, rows: 0 })
  // An error of what is in front of it in its batch: it is told, though it was discarded itself.
  running.sends(of('select d'), undefined)
  running.failing('42P01')
  running.ended(30, false)
  t.match(row('select d'), { calls: 1, errors: 1 })
})

t.test('what was sent last and then was not', async (t) => {
  const { running, row } = begin(t)
  running.sends(of('select a'), undefined)
  running.sends(of('select b'), undefined)
  running.takeBack()
  running.sends(of('select c'), undefined)
  running.ended(1, true)
  running.ended(1, true)
  t.equal(row('select b'), undefined)
  t.equal(row('select c')?.calls, 1)
})

t.test('a server that is lost', async (t) => {
  const { running, row, pass } = begin(t)
  running.sends(of('select a'), undefined)
  running.sends(of('select b'), undefined)
  pass(4)
  running.lost()
  t.equal(row('select a'), undefined, 'it may be sent again')
  running.failLost('08006')
  t.match(row('select a'), { calls: 1, errors: 1, total: 4 })
  t.equal(row('select b'), undefined, 'it had not begun')
  running.failLost('08006')
  t.equal(row('select a')?.calls, 1)
  running.sends(of('select c'), undefined)
  running.lost()
  // It is sent again.
  running.hasServer()
  running.sends(of('select c'), undefined)
  running.ended(1, true)
  running.failLost('08006')
  t.match(row('select c'), { calls: 1, errors: 0 })
  running.lost()
  running.failLost('08006')
  t.equal(row('select c')?.calls, 1, 'nothing ran')
})

t.test('slow ones are logged, with their literals where those were kept', async (t) => {
  const { running, lines, pass } = begin(t, { logMinDuration: 10 })
  t.ok(running.watching && running.wantsTexts)
  running.sends(of('select 1'), details({ text: 'select 1', parameters: ['a', 'b'] }))
  pass(9)
  running.ended(1, true)
  t.same(lines, [])
  running.sends(of('select 1'), details({ text: 'select 1', parameters: ['a', 'b'] }))
  running.sends(of('select 2'), undefined)
  pass(10)
  running.failing('57014')
  running.ended(1, true)
  pass(10)
  running.ended(1, true)
  t.equal(lines.length, 2)
  t.match(lines[0], /slow statement client=\d+ user=ann database=app .*duration_ms=10 wait_ms=0 rows=0 failed=true /)
  t.match(lines[0], /query="select 1" parameters="a, b"/)
  t.match(lines[1], /query="select \$1"/)
  t.notMatch(lines[1], /parameters|failed/)
})

t.test('parts of spans', async (t) => {
  const { running, spans, pass } = begin(t)
  const trace = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), sampled: true } as unknown as SentDetails['trace']
  running.asks()
  pass(3)
  running.hasServer()
  running.sends(of('select 1'), details({ trace }))
  running.sends(of('select 2'), undefined)
  pass(5)
  running.completed(1)
  running.ended(1, true)
  pass(1)
  running.ended(1, true)
  t.equal(spans.length, 1)
  t.match(spans[0], { trace, sentAt: 1003, startedAt: 1003, endedAt: 1008, wait: 3, rows: 1, failure: undefined })
})

t.test('nothing is counted where nobody wants it', async (t) => {
  const { running, queryStats } = begin(t, { queryStatsMax: 0 })
  running.sends(of('select 1'), undefined)
  running.ended(1, true)
  t.same(queryStats.snapshot(), [])
  queryStats.configure({ queryStatsMax: 5, logParameters: false })
  running.sends(of('select 1'), undefined)
  running.ended(1, true)
  t.equal(queryStats.snapshot().length, 1)
  running.end()
  // What runs may come to its end behind its client's.
  running.sends(of('select a'), undefined)
  running.ended(1, true)
  t.equal(queryStats.snapshot().length, 2)
  queryStats.reset()
  t.ok(queryStats.join('app', 'ann').clients === 1, 'and is forgotten with it')
})
