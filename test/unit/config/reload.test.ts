/** A reload says what changes at once and what waits for a restart. */
import t from 'tap'
import { resolveConfig } from '../../../lib/config/load.ts'
import type { PoolerOptions } from '../../../lib/config/pooler-options.ts'
import { applyReload, changesOf, keptUntilRestart } from '../../../lib/config/reload.ts'
import { atOnce } from '../../../lib/util/steps.ts'

t.test('the difference of two configurations', async (t) => {
  const old = resolveConfig({}).config
  const next = resolveConfig({
    options: { poolSize: 5, queryTimeout: '1s', listenPort: 7000, listenHost: ['0.0.0.0'], unixSocketDir: '/tmp' },
  }).config
  t.strictSame(atOnce(changesOf(old, old)), [])
  t.strictSame(keptUntilRestart(old, old), [])
  t.strictSame(atOnce(changesOf(old, next)), ['pool_size', 'query_timeout'])
  t.strictSame(keptUntilRestart(old, next), ['listen_port', 'unix_socket_dir'])
  const inForce = applyReload(old, next)
  t.match(inForce, { poolSize: 5, queryTimeout: 1000, listenPort: 6432, unixSocketDir: '' })
  t.ok(Object.isFrozen(inForce))
  t.strictSame(keptUntilRestart(old, resolveConfig({ options: { listenHost: '0.0.0.0,::' } }).config), ['listen_host'])
})

t.test('sections that differ', async (t) => {
  const of = (databases: PoolerOptions['databases']) => resolveConfig({ options: { databases } }).config
  const old = of({ a: { poolSize: 1 }, b: { poolSize: 2 } })
  for (const [what, databases, differs] of [
    ['the same in another order', { b: { poolSize: 2 }, a: { poolSize: 1 } }, false],
    ['another value', { a: { poolSize: 1 }, b: { poolSize: 3 } }, true],
    ['one more', { a: { poolSize: 1 }, b: { poolSize: 2 }, c: {} }, true],
    ['one less', { a: { poolSize: 1 } }, true],
    ['another name', { a: { poolSize: 1 }, c: { poolSize: 2 } }, true],
  ] as const) {
    t.strictSame(atOnce(changesOf(old, of(databases))), differs ? ['databases'] : [], what)
  }
  const steps = changesOf(old, of({ a: { poolSize: 1 }, b: { poolSize: 2 } }))
  t.equal(steps.next().done, false, 'others may have their turn between two of them')
})
