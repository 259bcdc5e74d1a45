/** A listener for net-listen.test.ts, run with few file descriptors. Prints its port, then the errors it reports. */

import { listen } from '../../../lib/net/listener.ts'

const listener = await listen({
  hosts: ['127.0.0.1'],
  port: 0,
  unixSocketDir: '',
  unixSocketMode: '0777',
  backlog: 512,
  keepAliveMs: () => undefined,
  onConnection: (socket) => socket.write('hello'),
  onError: (error) => console.log(`error ${error.message}`),
})
console.log(`port ${listener.port}`)
