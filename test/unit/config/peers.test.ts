/** Entries of `peers`. */
import t from 'tap'
import { resolveConfig } from '../../../lib/config/load.ts'
import { parsePeers, peerEntry } from '../../../lib/config/peers.ts'
import { readToml } from '../../../lib/config/toml.ts'
import { atOnce } from '../../../lib/util/steps.ts'

t.test('ids, ports, names', async (t) => {
  t.same(parsePeers(['1=10.0.0.1:6433', ' 2 = db-2 ', 'pgbun.example.internal', '16383=[::1]:7000', '3=/run/pgbun']), [
    { id: 1, host: '10.0.0.1', port: 6433 },
    { id: 2, host: 'db-2', port: 6432 },
    { id: 0, host: 'pgbun.example.internal', port: 6432 },
    { id: 16_383, host: '::1', port: 7000 },
    { id: 3, host: '/run/pgbun', port: 6432 },
  ])
  t.same(parsePeers([]), [])
  t.same(parsePeers(['1=db pool_size=5', 'all:7000  pool_size = 2', '2=/run/pgbun pool_size=1']), [
    { id: 1, host: 'db', port: 6432, poolSize: 5 },
    { id: 0, host: 'all', port: 7000, poolSize: 2 },
    { id: 2, host: '/run/pgbun', port: 6432, poolSize: 1 },
  ])
})

t.test('mistakes are named', async (t) => {
  for (const entry of [
    '',
    '1=',
    '=x',
    'a=b',
    '1=2=3',
    'host:0',
    'host:70000',
    'two words',
    '1=h:x',
    '1=a,b',
    '1=h pool_size=0',
  ]) {
    t.throws(() => parsePeers([entry]), { message: new RegExp(`^'${entry}' is no peer`) }, entry)
  }
  t.throws(() => parsePeers(['0=x']), /must be between 1 and 16383/)
  t.throws(() => parsePeers(['16384=x']), /must be between 1 and 16383/)
  t.throws(() => parsePeers(['1=x', '1=y']), /another peer has the id 1/)
})

t.test('the section [peers]: as a table, as PgBouncer writes it, and short', async (t) => {
  const file = `${t.testdir({
    'pgbun.toml': `[auth]
peer_id = 2

[peers]
1 = { host = "10.0.0.1", port = 6433, pool_size = 5 }
2 = "host=10.0.0.2"
3 = "\${PEER_3}:7000"
4 = { host = "::1" }
5 = { host = "/run/pgbun", pool_size = "7" }
6 = "host=/run/other port=6432 pool_size=8"

[peers.7]
host = "db"
`,
  })}/pgbun.toml`
  const resolved = resolveConfig({ file, env: { PEER_3: '10.0.0.3' } })
  const entries = [
    '1=10.0.0.1:6433 pool_size=5',
    '2=10.0.0.2:6432',
    '3=10.0.0.3:7000',
    '4=[::1]:6432',
    '5=/run/pgbun pool_size=7',
    '6=/run/other pool_size=8',
    '7=db:6432',
  ]
  t.same(resolved.config.peers, entries)
  t.equal(parsePeers(entries).length, 7)
})

t.test('mistakes in the section are named with their line', async (t) => {
  const problem = (line: string): string => {
    const { problems } = atOnce(readToml(`[peers]\n1 = "db"\n${line}\n`, 'f.toml'))
    return problems.map(({ where, message }) => `${where}: ${message}`).join('\n')
  }
  const remedy = 'must be written { host = "10.0.0.2", port = 6432, pool_size = 5 }, or "host:port"'
  t.equal(problem('2 = 5'), `f.toml:3: Peer 2 ${remedy}`)
  t.equal(problem('2 = ["db"]'), `f.toml:3: Peer 2 ${remedy}`)
  t.equal(problem('2 = { port = 6432 }'), `f.toml:3: Peer 2 ${remedy}; it has no host`)
  t.equal(
    problem('2 = { host = "db", size = 1 }'),
    `f.toml:3: Peer 2 ${remedy}; 'size' is none of host, port, pool_size`,
  )
  t.equal(problem('2 = "host=db port"'), `f.toml:3: Peer 2 ${remedy}`)
  t.equal(problem('db = "db"'), "f.toml:3: 'db' in [peers] must be the peer_id of a peer, a number")
  t.match(problem('[auth]\npeers = ["2=db"]'), /^f\.toml:4: peers and the section \[peers\] are the same option\./)
  t.match(problem('[pears]'), /Did you mean \[peers\]\?/)
  const file = `${t.testdir({ 'f.toml': '[auth]\npeer_id = 1\n[peers]\n0 = "db"\n' })}/f.toml`
  t.throws(() => resolveConfig({ file, env: {} }), { message: /f\.toml:3: Invalid peers: '0=db': the id of a peer/ })
  t.throws(() => peerEntry('1', null), { message: /Peer 1 must be written/ })
})
