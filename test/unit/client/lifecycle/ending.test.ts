/** Each way a session can end: what the client is told, and how it is logged. */
import t from 'tap'
import { countEnd, type EndCounts, type EndReason, endingOf } from '../../../../lib/client/lifecycle/ending.ts'
import { errorFields } from '../../../../lib/errors.ts'

const lost = errorFields('server_lost')

t.test('ends that are nobody’s fault', async (t) => {
  for (const reason of [
    { kind: 'terminated' },
    { kind: 'disconnected', error: undefined },
    { kind: 'cancel-request' },
  ] satisfies EndReason[]) {
    t.match(endingOf(reason), { fields: undefined, poolerError: false })
  }
  t.match(endingOf({ kind: 'disconnected', error: new Error('read ECONNRESET') }).text, /ECONNRESET/)
})

t.test('errors of the catalogue: the reason and the remedy are for the log alone', async (t) => {
  const ending = endingOf({
    kind: 'error',
    name: 'auth_failed',
    args: { args: { user: 'u' } },
    reason: 'no such user',
    remedy: 'add it',
  })
  t.match(ending, {
    level: 'warn',
    poolerError: true,
    remedy: 'add it',
    reason: 'no such user',
    text: /^password auth/,
  })
  t.match(ending.fields, { severity: 'FATAL', sqlstate: '28P01' })
  t.notMatch(JSON.stringify(ending.fields), /no such user|add it/)
})

t.test('what PostgreSQL refused ends the session, so it is FATAL', async (t) => {
  const { fields } = endingOf({ kind: 'refused', fields: { severity: 'ERROR', sqlstate: '22023', message: 'no' } })
  t.match(fields, { severity: 'FATAL', sqlstate: '22023', message: 'no' })
})

t.test('a lost server: nothing is said twice, or into the middle of a message', async (t) => {
  const end = { fields: lost, reason: 'gone', relayed: false, midMessage: false }
  t.equal(endingOf({ kind: 'server-lost', end }).fields, lost)
  t.equal(endingOf({ kind: 'server-lost', end: { ...end, relayed: true } }).fields, undefined)
  t.equal(endingOf({ kind: 'server-lost', end: { ...end, midMessage: true } }).fields, undefined)
})

t.test('a defect: the client gets no details, the log has the stack', async (t) => {
  const ending = endingOf({ kind: 'fault', error: new TypeError('secret') })
  t.match(ending, { level: 'error', text: 'internal error of pgbun', fault: { name: 'TypeError', message: 'secret' } })
  t.notMatch(JSON.stringify(ending.fields), /secret/)
  t.match(endingOf({ kind: 'fault', error: 'text' }).fault, { message: 'text' })
})

t.test('what becomes of the connections: only what was sent in front of a Terminate comes to its end', async (t) => {
  const end = (reason: EndReason) => {
    const { outstanding, connection } = endingOf(reason)
    return [outstanding, connection]
  }
  t.strictSame(end({ kind: 'terminated' }), ['finishing', 'closed-behind-peer'])
  t.strictSame(end({ kind: 'disconnected', error: undefined }), ['abandoned', 'destroyed'])
  t.strictSame(end({ kind: 'disconnected', error: undefined, answered: true }), ['abandoned', 'closed-behind-peer'])
  t.strictSame(end({ kind: 'error', name: 'query_timeout' }), ['abandoned', 'closed'])
  t.strictSame(end({ kind: 'fault', error: undefined }), ['abandoned', 'closed'])
})

t.test('ends are counted by reason, errors of the catalogue by their names', async (t) => {
  const counts: EndCounts = {}
  for (const reason of [
    { kind: 'terminated' },
    { kind: 'error', name: 'query_timeout' },
    { kind: 'error', name: 'client_idle_timeout' },
    { kind: 'terminated' },
  ] satisfies EndReason[]) {
    countEnd(counts, endingOf(reason))
  }
  t.strictSame(counts, { terminated: 2, query_timeout: 1, client_idle_timeout: 1 })
})
