/** What a person or a log collector sees: lines, escapes, masks, and how a storm of equal lines is summed up. */
import { hostname } from 'node:os'
import { pino } from 'pino'
import t from 'tap'
import { createLogger } from '../../../lib/util/logger.ts'

const TIME = Date.UTC(2026, 10, 23, 11, 14, 43, 123)

function capture(options: Parameters<typeof createLogger>[0] = {}) {
  const lines: string[] = []
  const clock = { now: TIME }
  const log = createLogger({ write: (line) => lines.push(line), now: () => clock.now, ...options })
  return { log, lines, clock }
}

t.test('a text line is time, level, message and fields', async (t) => {
  const { log, lines } = capture()
  log.info('client connected', { user: 'app', port: 5, tls: false, absent: undefined })
  log.error('it ended', { reason: 'no such thing', empty: '', query: 'a="b"' })
  t.strictSame(lines, [
    '2026-11-23T11:14:43.123Z INFO  client connected user=app port=5 tls=false',
    '2026-11-23T11:14:43.123Z ERROR it ended reason="no such thing" empty="" query="a=\\"b\\""',
  ])
})

t.test('a JSON line is one object, as pino writes it', async (t) => {
  const { log, lines } = capture({ format: 'json' })
  log.warn('slow', { wait_ms: 12, user: 'a\nb', level: 'fake', time: 'fake', pid: 5 })
  t.equal(lines.length, 1)
  t.strictSame(JSON.parse(lines[0]!), {
    level: 40,
    time: TIME,
    pid: process.pid,
    hostname: hostname(),
    msg: 'slow',
    wait_ms: 12,
    user: 'a\nb',
    level_: 'fake',
    time_: 'fake',
    pid_: 5,
  })
  const theirs: string[] = []
  const pinos = pino({ level: 'debug' }, { write: (line: string) => void theirs.push(line) })
  const err = new TypeError('broken')
  lines.length = 0
  for (const level of ['debug', 'info', 'warn', 'error'] as const) {
    const { log, lines: ours } = capture({ format: 'json', level: 'debug' })
    log[level]('text', { clients: 3, err })
    pinos[level]({ clients: 3, err }, 'text')
    const { time, ...expected } = JSON.parse(theirs.at(-1)!)
    t.type(time, 'number')
    t.match(JSON.parse(ours[0]!), { ...expected, time: TIME }, `${level}: the same names and values`)
  }
})

t.test('an error is shown with its stack', async (t) => {
  const { log, lines } = capture()
  log.error('internal error', { err: new TypeError('broken') })
  t.match(lines[0], /err="TypeError: broken\\n +at .*logger\.test\.ts/)
})

t.test('the level decides what is written and can be changed', async (t) => {
  const { log, lines } = capture({ level: 'warn' })
  log.info('no')
  t.equal(log.enabled('info'), false)
  log.setLevel('debug')
  t.equal(log.enabled('debug'), true)
  log.debug('yes')
  log.setLevel('error')
  log.warn('no')
  t.strictSame(
    lines.map((line) => line.slice(25)),
    ['DEBUG yes'],
  )
})

t.test('values cannot forge lines or terminal escapes', async (t) => {
  const hostile = 'x\r\n2026 ERROR forged\x1b[31m\u2028\u202eabc\u009b'
  for (const format of ['text', 'json'] as const) {
    const { log, lines } = capture({ format })
    log.info(`message\nforged ${hostile}`, { user: hostile, bare: 'a\x1bb', 'k\n': 1 })
    t.equal(lines.length, 1)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: their absence is the assertion
    t.notMatch(lines[0]!, /[\u0000-\u001f\u007f-\u009f\u2028\u202e]/)
    t.match(lines[0]!, 'ERROR forged')
  }
})

t.test('secrets are masked, long values are cut', async (t) => {
  for (const format of ['text', 'json'] as const) {
    const { log, lines } = capture({ format })
    log.info('login', { password: 'hunter2', client_secret: 'hunter2', clientKey: 'hunter2', token: 'hunter2' })
    log.info('name', { application_name: 'n'.repeat(100_000) })
    t.notMatch(lines[0]!, 'hunter2')
    t.match(lines[0]!, '***')
    t.ok(lines[1]!.length < 3000)
    t.match(lines[1]!, '100000 characters')
  }
})

t.test('equal lines within a second are summed up', async (t) => {
  const { log, lines, clock } = capture()
  for (let i = 0; i < 500; i++) log.warn('login failed', { attempt: i })
  log.info('something else')
  t.equal(lines.length, 11, 'ten and the other message')
  clock.now += 1000
  log.info('later')
  t.equal(lines.length, 13)
  t.match(lines[11]!, /WARN {2}login failed repeated=490 /)
  t.match(lines[12]!, /INFO {2}later$/)
  for (let i = 0; i < 12; i++) log.warn('login failed')
  log.flush()
  t.match(lines.at(-1)!, /WARN {2}login failed repeated=2 /)
  lines.length = 0
  for (let i = 0; i < 20; i++) log.info('client connected', { client: i })
  t.equal(lines.length, 20, 'a login is news each time')
})

t.test('a name in a message is no field of the line', async (t) => {
  const { log, lines } = capture()
  log.warn('client refused: no such user "a" user=admin sqlstate=00000"', { user: 'a' })
  log.warn('client refused: no such user "\nuser=admin"', { user: 'a' })
  log.info('but client_tls_mode = disable')
  t.strictSame(
    lines.map((line) => line.slice(25)),
    [
      'WARN  "client refused: no such user \\"a\\" user=admin sqlstate=00000\\"" user=a',
      'WARN  "client refused: no such user \\"\\nuser=admin\\"" user=a',
      'INFO  but client_tls_mode = disable',
    ],
  )
})

t.test('messages that differ in a name or a number are equal: nobody fills the disk by changing names', async (t) => {
  const { log, lines, clock } = capture()
  for (let i = 0; i < 500; i++) log.warn(`client refused: no such user "user${i}"`, { user: `user${i}` })
  t.equal(lines.length, 10)
  for (let i = 0; i < 500; i++) log.warn(`client refused: no such user "a" ${i}x" "${i}"`)
  t.equal(lines.length, 10, 'quotes in the name do not help')
  for (let i = 0; i < 500; i++) log.warn('client refused', { reason: `port ${i} is "odd${i}"` })
  t.equal(lines.length, 20)
  const letters = (i: number): string => i.toString().replace(/\d/g, (digit) => 'abcdefghij'[Number(digit)]!)
  for (let i = 0; i < 5000; i++) log.warn(`kind ${letters(i)}`)
  t.ok(lines.length <= 20 + 98 + 10, 'further kinds count as one')
  clock.now += 1000
  lines.length = 0
  log.info('later')
  t.ok(lines.some((line) => /repeated=490 /.test(line)))
  t.ok(lines.length < 10)
})

t.test('mistakes in different lines of a file are no equal messages', async (t) => {
  const { log, lines } = capture()
  for (let i = 0; i < 20; i++) log.error(`users.txt:${i}: expected "user" "secret"`)
  t.equal(lines.length, 20)
})

t.test('a clock that is set back does not silence the log', async (t) => {
  const { log, lines, clock } = capture()
  for (let i = 0; i < 11; i++) log.warn('tick')
  clock.now -= 3_600_000
  log.warn('tick')
  t.equal(lines.length, 12, 'ten, the sum, and the new one')
})

t.test('a writer that throws is ignored', async (t) => {
  const log = createLogger({
    write: () => {
      throw new Error('disk full')
    },
  })
  t.doesNotThrow(() => log.error('anything'))
})

t.test('colour marks the level only', async (t) => {
  const { log, lines } = capture({ color: true })
  log.error('red', { a: 1 })
  t.equal(lines[0], '2026-11-23T11:14:43.123Z \x1b[31mERROR\x1b[0m red a=1')
})

t.test('standard error gets the lines of a turn in one write; a warning and flush take along what waits', async (t) => {
  const written = t.capture(process.stderr, 'write', () => true)
  const texts = (): unknown[] => written().map(({ args }) => String(args[0]).replace(/^\S+ (\w+) +/gm, '$1 '))
  const log = createLogger()
  log.info('one')
  log.info('two')
  t.strictSame(texts(), [], 'not before the turn ends')
  await new Promise((resolve) => setImmediate(resolve))
  t.strictSame(texts(), ['INFO one\nINFO two\n'])
  log.info('three')
  log.warn('four')
  t.strictSame(texts(), ['INFO three\nWARN four\n'])
  log.info('five')
  log.flush()
  t.strictSame(texts(), ['INFO five\n'])
  await new Promise((resolve) => setImmediate(resolve))
  t.strictSame(texts(), [])
})
