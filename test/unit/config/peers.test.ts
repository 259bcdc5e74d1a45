/** Entries of `peers`. */
import t from 'tap'
import { parsePeers } from '../../../lib/config/peers.ts'

t.test('ids, ports, names', async (t) => {
  t.same(parsePeers(['1=10.0.0.1:6433', ' 2 = db-2 ', 'pgbun.example.internal', '16383=[::1]:7000', '3=/run/pgbun']), [
    { id: 1, host: '10.0.0.1', port: 6433 },
    { id: 2, host: 'db-2', port: 6432 },
    { id: 0, host: 'pgbun.example.internal', port: 6432 },
    { id: 16_383, host: '::1', port: 7000 },
    { id: 3, host: '/run/pgbun', port: 6432 },
  ])
  t.same(parsePeers([]), [])
})

t.test('mistakes are named', async (t) => {
  for (const entry of ['', '1=', '=x', 'a=b', '1=2=3', 'host:0', 'host:70000', 'two words']) {
    t.throws(() => parsePeers([entry]), { message: new RegExp(`^'${entry}' is no peer`) }, entry)
  }
  t.throws(() => parsePeers(['0=x']), /must be between 1 and 16383/)
  t.throws(() => parsePeers(['16384=x']), /must be between 1 and 16383/)
  t.throws(() => parsePeers(['1=x', '1=y']), /another peer has the id 1/)
})
