import t from 'tap'
import { neighbourhoodOf } from '../../../lib/net/neighbourhood.ts'

t.test('IPv4 addresses as they are, IPv6 networks as one', async (t) => {
  const expected = {
    '192.0.2.7': '192.0.2.7',
    '::ffff:192.0.2.7': '192.0.2.7',
    '::1': '0:0:0:0::/64',
    '2001:db8::1': '2001:db8:0:0::/64',
    '2001:DB8:0:0:ffff::9': '2001:db8:0:0::/64',
    '2001:db8:1:2:3:4:5:6': '2001:db8:1:2::/64',
    '2001:db8:0:1::': '2001:db8:0:1::/64',
    'fe80::1%eth0': 'fe80:0:0:0::/64',
  }
  for (const [address, neighbourhood] of Object.entries(expected)) t.equal(neighbourhoodOf(address), neighbourhood)
})
