/** Which variables of systemd are meant for this process. */
import t from 'tap'
import { hasInheritedSockets, takeSystemdGifts } from '../../../lib/cli/systemd.ts'

const NOTHING = { sockets: [], notifyFd: undefined, notifySocket: '', watchdogMs: 0 }

t.test('nothing is given', async (t) => {
  t.strictSame(takeSystemdGifts({}, 7), NOTHING)
  t.strictSame(
    takeSystemdGifts({ LISTEN_PID: '8', LISTEN_FDS: 'x', WATCHDOG_PID: '8', WATCHDOG_USEC: '1' }, 7),
    NOTHING,
  )
  t.strictSame(takeSystemdGifts({ WATCHDOG_USEC: 'soon' }, 7), NOTHING)
  t.strictSame(takeSystemdGifts({ LISTEN_PID: '7', LISTEN_FDS: '0' }, 7), NOTHING)
})

t.test('everything is given, and taken', async (t) => {
  const env = {
    ...{ LISTEN_PID: '7', LISTEN_FDS: '3', LISTEN_FDNAMES: 'tcp:notify:', LISTEN_PIDFDID: '1' },
    ...{ NOTIFY_SOCKET: '@x', WATCHDOG_USEC: '3000000', WATCHDOG_PID: '7', PATH: '/bin' },
  }
  t.ok(hasInheritedSockets(env, 7))
  t.notOk(hasInheritedSockets(env, 8))
  t.strictSame(takeSystemdGifts(env, 7), {
    sockets: [
      { fd: 3, name: 'tcp' },
      { fd: 5, name: '5' },
    ],
    notifyFd: 4,
    notifySocket: '@x',
    watchdogMs: 3000,
  })
  t.strictSame(env, { PATH: '/bin' } as unknown as typeof env, 'no child is to believe that it is meant')
})

t.test('a contradiction', async (t) => {
  for (const count of ['', 'x', '-1', '99999', undefined]) {
    t.throws(() => takeSystemdGifts({ LISTEN_PID: '7', LISTEN_FDS: count }, 7), /LISTEN_FDS is/)
  }
})
