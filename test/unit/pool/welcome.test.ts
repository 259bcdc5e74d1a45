/** A greeting is remembered by the map it was built from: that map must not change afterwards. */
import t from 'tap'
import { Welcome } from '../../../lib/pool/welcome.ts'

t.test('a server whose parameters change makes a new welcome, and leaves the old one as it was', async (t) => {
  const server = new Map([['TimeZone', 'UTC']])
  const welcome = new Welcome()
  const waiting = welcome.wait()
  welcome.set(server)
  const first = await waiting
  t.equal(first, welcome.parameters)
  server.set('TimeZone', 'Asia/Tokyo')
  welcome.set(server)
  t.equal(first.get('TimeZone'), 'UTC')
  t.equal(welcome.parameters?.get('TimeZone'), 'Asia/Tokyo')
  t.not(welcome.parameters, first)
})
