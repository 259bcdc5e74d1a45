/** A reload says what changes at once and what waits for a restart. */
import t from 'tap'
import { resolveConfig } from '../../../lib/config/load.ts'
import { applyReload, diffConfig } from '../../../lib/config/reload.ts'

t.test('the difference of two configurations', async (t) => {
  const old = resolveConfig({}).config
  const next = resolveConfig({
    options: { poolSize: 5, queryTimeout: '1s', listenPort: 7000, listenHost: ['0.0.0.0'], unixSocketDir: '/tmp' },
  }).config
  t.strictSame(diffConfig(old, old), { changed: [], needsRestart: [] })
  t.strictSame(diffConfig(old, next), {
    changed: ['pool_size', 'query_timeout'],
    needsRestart: ['listen_port', 'unix_socket_dir'],
  })
  const inForce = applyReload(old, next)
  t.match(inForce, { poolSize: 5, queryTimeout: 1000, listenPort: 6432, unixSocketDir: '' })
  t.ok(Object.isFrozen(inForce))
  t.strictSame(diffConfig(old, resolveConfig({ options: { listenHost: '0.0.0.0,::' } }).config).needsRestart, [
    'listen_host',
  ])
})
