/** What `pgbun health` reads in an answer of `/readyz`, and in what is none. */
import t from 'tap'
import { readReadiness } from '../../../lib/http/ask-readiness.ts'
import { readiness } from '../../../lib/http/health.ts'

const WELL = { listening: true, draining: false, suspended: false, reloadFailure: '' }

t.test('what pgbun itself answers', async (t) => {
  const read = (state: typeof WELL) => {
    const { status, body } = readiness(state, undefined)
    return readReadiness(status, body)
  }
  t.same(read(WELL), { ready: true, reasons: [] })
  t.same(read({ ...WELL, draining: true }), { ready: false, reasons: ['a shutdown has begun'] })
  t.same(read({ ...WELL, draining: true, suspended: true, reloadFailure: 'pool_size' }), {
    ready: false,
    reasons: ['SUSPEND at the console holds all clients', 'a shutdown has begun'],
  })
  t.same(read({ ...WELL, reloadFailure: 'line 3' }), { ready: true, reasons: ['configuration: line 3'] })
})

t.test('what others answer', async (t) => {
  for (const body of ['', 'ready', 'null', '[]', '{"status":"ok"}', '{"status":["ready"]}', '{"status":"ready"'])
    for (const status of [200, 503]) t.equal(readReadiness(status, body), undefined, `${status} ${body}`)
  t.equal(readReadiness(404, '{"status":"ready"}'), undefined)
  t.equal(readReadiness(503, '{"status":"ready"}'), undefined, 'one of them is wrong')
  for (const checks of ['1', 'null', '{"a":null}', '{"a":{"ok":false,"reason":5}}', '[[1]]'])
    t.same(readReadiness(503, `{"status":"not ready","checks":${checks}}`), { ready: false, reasons: [] })
})
