/** The catalogue of errors: complete, and with SQLSTATEs a client can act on. */
import t from 'tap'
import { ERRORS, type ErrorName, errorFields, errorInLog } from '../../lib/errors.ts'

t.test('every row is well formed', async (t) => {
  for (const [name, { severity, sqlstate, message, level }] of Object.entries(ERRORS)) {
    t.match(severity, /^(ERROR|FATAL|NOTICE)$/, name)
    t.match(sqlstate, /^[0-9A-Z]{5}$/, name)
    t.ok(message, name)
    t.match(level, /^(debug|info|warn|error)$/, name)
    t.equal(errorInLog(errorFields(name as ErrorName)).level, level)
  }
})

t.test('arguments are put into the message, once', async (t) => {
  t.equal(
    errorFields('auth_failed', { args: { user: '{user} $& $1' } }).message,
    'password authentication failed for user "{user} $& $1"',
  )
  t.equal(errorFields('auth_failed').message, 'password authentication failed for user ""')
})

t.test('detail and hint are passed on', async (t) => {
  t.match(errorFields('query_wait_timeout', { detail: 'd', hint: 'h' }), {
    severity: 'FATAL',
    sqlstate: '53300',
    message: 'query_wait_timeout',
    detail: 'd',
    hint: 'h',
  })
})

t.test('the codes drivers and retry loops decide on', async (t) => {
  const code = (name: ErrorName): string => ERRORS[name].sqlstate
  t.equal(code('auth_failed'), '28P01')
  t.equal(code('too_many_clients'), '53300')
  t.equal(code('query_wait_timeout'), '53300')
  t.equal(code('admin_shutdown'), '57P01')
  t.equal(code('canceled'), '57014')
  t.equal(code('server_lost'), '08006')
  t.equal(code('idle_transaction_timeout'), '25P03')
  t.equal(code('transaction_timeout'), '25P04')
  t.equal(code('client_idle_timeout'), '57P05')
  t.equal(code('protocol_violation'), '08P01')
})
