/**
 * A server that is not PostgreSQL, or not any more: garbage, impossible lengths, floods, replies nobody asked for, and
 * the end at every byte, during a login and during a query. The client is told or closed, the log says why, memory stays
 * bounded, and a server that behaves is served from as before.
 */
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { backend, cstring, frontend, int32, type Message, message, parse } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { connectRaw, errorOf, loginRaw, type RawClient } from '../fixtures/raw-client.ts'
import {
  answerQueries,
  type Script,
  type ScriptedConnection,
  startScriptedPostgres,
  usualParameters,
} from '../fixtures/scripted-postgres.ts'
import { waitFor } from '../fixtures/wait.ts'

const MB = 1_000_000
type Behaviour = (connection: ScriptedConnection) => void | Promise<void>
const { authentication, ready, parameterStatus, keyData, error, notice, rowDescription, dataRow, commandComplete } =
  backend
const say =
  (...bytes: Buffer[]): Behaviour =>
  (connection) =>
    connection.send(...bytes)
const sasl = authentication(10, cstring('SCRAM-SHA-256'), Buffer.alloc(1))
const head = (type: string, length: number): Buffer =>
  Buffer.concat([Buffer.from(type), int32(length), Buffer.alloc(20)])
/** Sends the same over and over for as long as it is taken. */
const flood =
  (bytes: Buffer): Behaviour =>
  async (connection) => {
    const large = Buffer.concat(Array.from({ length: Math.ceil(60_000 / bytes.length) }, () => bytes))
    let wake = (): void => {}
    connection.socket.on('drain', () => wake()).once('close', () => wake())
    while (!connection.closed) {
      await new Promise<void>((resolve) => {
        wake = resolve
        if (connection.socket.write(large)) setImmediate(resolve)
      })
    }
  }

t.test('during the login', async (t) => {
  const good: Behaviour = (connection) => connection.greet()
  let behave = good
  const server = await startScriptedPostgres(t, { onStartup: (connection) => behave(connection) })
  const args = ['--auth-type', 'trust', '--server-connect-timeout', '1s', '--server-login-retry', '0', '-v']
  const pgbun = await startPgbun(t, { target: server, args: [...args, '--server-idle-timeout', '1ms'] })
  const before = pgbun.rss()
  const cases: Record<string, Behaviour> = {
    garbage: say(randomBytes(500)),
    'an HTTP server': say(Buffer.from('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')),
    'a length of 3': say(head('R', 3)),
    'a negative length': say(head('R', -5)),
    'a length of 2^31-1': say(head('R', 2 ** 31 - 1)),
    'a notice of 2^31-1 bytes': say(head('N', 2 ** 31 - 1)),
    'an error of 1 GB': say(head('E', 2 ** 30)),
    'an unknown method': say(authentication(99)),
    GSSAPI: say(authentication(7)),
    'an empty authentication request': say(message('R')),
    'ready at once': say(ready()),
    'a row': say(authentication(0), dataRow('1')),
    'two authentications': say(authentication(0), authentication(0), ready()),
    'SASL without a mechanism': say(authentication(10, Buffer.alloc(1))),
    'a SASL challenge out of nowhere': say(authentication(11, Buffer.from('r=x,s=eA==,i=4096'))),
    'a SASL end out of nowhere': say(authentication(12, Buffer.from('v=x')), authentication(0), ready()),
    'an error without fields': say(message('E', Buffer.alloc(1))),
    'an error without an end': say(message('E', 'SFATAL')),
    'an error, then more': (connection) => connection.end(error('28000', 'no', 'FATAL'), randomBytes(50)),
    'a parameter without a value': say(authentication(0), message('S', cstring('name'))),
    'a key of no bytes': say(authentication(0), message('K'), ready()),
    'endless notices': flood(notice('again')),
    'endless parameters': async (connection) => {
      connection.send(authentication(0))
      for (let at = 0; at < 100_000 && !connection.closed; at++) {
        connection.send(parameterStatus(`name${at}`, 'value'))
        if (at % 500 === 0) await new Promise(setImmediate)
      }
    },
    silence: () => {},
    'a close': (connection) => connection.end(),
    'a reset': (connection) => connection.cut(),
  }
  for (const [name, behaviour] of Object.entries(cases)) {
    behave = behaviour
    const refusal = await refusalOf(t, pgbun)
    t.match(refusal, { S: 'FATAL', C: /^(57P03|08...|28...|XX000)$/, M: /./ }, name)
  }
  t.match(pgbun.logs(), /server connection failed: .*protocol error/)

  const greeting = Buffer.concat([
    authentication(0),
    ...Object.entries(usualParameters).map(([key, value]) => parameterStatus(key, value)),
    keyData(7, Buffer.from('abcd')),
    ready(),
  ])
  for (let cut = 0; cut < greeting.length; cut += 1 + (cut % 7)) {
    behave = (connection) => connection.end(greeting.subarray(0, cut))
    const refusal = await refusalOf(t, pgbun)
    if (refusal.S !== 'FATAL') t.fail(`closed after ${cut} bytes: ${JSON.stringify(refusal)}`)
  }
  behave = async (connection) => {
    for (const byte of greeting) {
      connection.send(Buffer.from([byte]))
      await new Promise(setImmediate)
    }
  }
  t.same(await (await loginRaw(t, pgbun)).rows('select 1'), [['select 1']], 'a greeting byte by byte')
  behave = good
  t.same(await (await loginRaw(t, pgbun)).rows('select 2'), [['select 2']], 'pgbun is well')
  const grown = (pgbun.rss() - before) / MB
  t.ok(grown < 80, `memory grew by ${Math.round(grown)} MB`)
  t.notMatch(pgbun.logs(), /internal error/)
})

t.test('a SCRAM exchange that is not one', async (t) => {
  let challenge = (nonce: string): string => nonce
  const server = await startScriptedPostgres(t, {
    onStartup: say(sasl),
    onMessage(connection, { type, body }) {
      if (type !== 'p') return
      const nonce = body.toString('latin1').match(/r=(.+)$/)?.[1] ?? ''
      if (nonce !== '') connection.send(authentication(11, Buffer.from(challenge(nonce))))
      else connection.send(authentication(12, Buffer.from('v=bm90IGtub3du')), authentication(0), ready())
    },
  })
  const pgbun = await startPgbun(t, { target: server, args: ['--server-login-retry', '0', '-v'] })
  const salt = 's=c2FsdA=='
  const challenges: Record<string, (nonce: string) => string> = {
    'a nonce of its own': () => `r=somethingelse,${salt},i=4096`,
    'our nonce alone': (nonce) => `r=${nonce},${salt},i=4096`,
    'a nonce of a megabyte': (nonce) => `r=${nonce}${'x'.repeat(MB)},${salt},i=4096`,
    'two thousand million iterations': (nonce) => `r=${nonce}x,${salt},i=2147483647`,
    'no iterations': (nonce) => `r=${nonce}x,${salt},i=0`,
    'no salt': (nonce) => `r=${nonce}x,i=4096`,
    nonsense: () => 'nonsense',
    'no proof that it knows the password': (nonce) => `r=${nonce}x,${salt},i=4096`,
  }
  for (const [name, made] of Object.entries(challenges)) {
    challenge = made
    t.match(await refusalOf(t, pgbun), { S: 'FATAL', C: /^(28...|57P03|08...)$/ }, name)
  }
  t.equal(server.connections.filter(({ received }) => received.some(({ type }) => type === 'Q')).length, 0)
})

t.test('the answer to an SSLRequest', async (t) => {
  for (const sslAnswer of ['X', 'Nmore', 'Smore', '\0', 'E']) {
    const server = await startScriptedPostgres(t, { sslAnswer })
    const pgbun = await startPgbun(t, {
      target: server,
      args: ['--server-tls-mode', 'require', '--server-connect-timeout', '1s'],
    })
    t.match(await refusalOf(t, pgbun), { S: 'FATAL', C: /^(57P03|08...)$/ }, JSON.stringify(sslAnswer))
    t.equal(server.connections.length, 0, 'nothing is said to it in clear')
    await pgbun.stop()
  }
})

t.test('during a query', async (t) => {
  let behave: Behaviour | undefined
  const script: Script = {
    onMessage(connection, received) {
      const [sql] = received.type === 'Q' ? parse.strings(received.body) : []
      return sql === 'misbehave' && behave ? behave(connection) : answerQueries(connection, received)
    },
  }
  const server = await startScriptedPostgres(t, script)
  const args = ['--cancel-wait-timeout', '600ms']
  const pgbun = await startPgbun(t, {
    target: server,
    poolMode: 'transaction',
    poolSize: 2,
    args: [...args, '--query-timeout', '3s'],
  })
  const bystander = await loginRaw(t, pgbun)
  const before = pgbun.rss()
  const row = [rowDescription('a'), dataRow('1')]
  const done = [...row, commandComplete('SELECT 1'), ready()]
  const cases: Record<string, Behaviour> = {
    garbage: say(randomBytes(300)),
    'a length of 3': say(...row, head('D', 3)),
    'a negative length': say(...row, head('D', -1)),
    'a row of 2^31-1 bytes': say(...row, head('D', 2 ** 31 - 1)),
    'an unknown type': say(message('~', 'x')),
    'ready twice': say(...done, ready()),
    'ready, with nothing before it': say(ready()),
    'ready of an unknown status': say(...row, commandComplete('SELECT 1'), message('Z', 'Q')),
    'ready of no status': say(...row, commandComplete('SELECT 1'), message('Z')),
    'the answer to a Bind': say(backend.bindComplete()),
    'the answer to a Parse': say(backend.parseComplete()),
    'a suspended portal': say(backend.portalSuspended()),
    'an authentication request': say(authentication(3)),
    'another key': say(keyData(1, Buffer.from('abcd'))),
    'a protocol negotiation': say(backend.negotiateProtocolVersion(0x30000, [])),
    'a reply to a second query that nobody sent': say(...done, ...done),
    'a parameter without an end': say(message('S', 'TimeZone')),
    'a close': (connection) => connection.end(),
    'a reset in the middle of a row': (connection) => {
      connection.socket.write(Buffer.concat([...row, dataRow('x'.repeat(1000)).subarray(0, 500)]), () =>
        connection.cut(),
      )
    },
  }
  for (const [name, behaviour] of Object.entries(cases)) {
    behave = behaviour
    const client = await loginRaw(t, pgbun)
    client.send(frontend.query('misbehave'))
    const end = await endOf(client)
    t.match(end, /^(closed|08006|ok)/, `${name}: ${end}`)
    client.destroy()
    t.same(await bystander.rows('select 1'), [['select 1']])
  }

  const whole = Buffer.concat([...done.slice(0, -1), ready()])
  const ends = new Set<string>()
  for (let cut = 0; cut < whole.length; cut++) {
    behave = (connection) => connection.end(whole.subarray(0, cut))
    const client = await loginRaw(t, pgbun)
    client.send(frontend.query('misbehave'))
    const end = await endOf(client)
    if (!/^(closed|08006)/.test(end)) t.fail(`closed after ${cut} bytes: ${end}`)
    ends.add(end)
  }
  t.ok(ends.has('08006'), 'where there is no half message, an error says so')
  t.same(await bystander.rows('select 2'), [['select 2']], 'a reply that ends at every byte')

  for (const [name, bytes] of Object.entries({ notices: notice('again'), rows: dataRow('x'.repeat(100)) })) {
    await t.test(`endless ${name}`, async (t) => {
      const start = name === 'rows' ? [rowDescription('a')] : []
      behave = async (connection) => {
        connection.send(...start)
        await flood(bytes)(connection)
      }
      const slow = await loginRaw(t, pgbun)
      slow.pause()
      slow.send(frontend.query('misbehave'))
      const leaving = await loginRaw(t, pgbun)
      leaving.send(frontend.query('misbehave'))
      await leaving.readMessage()
      leaving.destroy()
      await pgbun.waitForLog(/query_timeout/)
      t.same(await bystander.rows('select 3'), [['select 3']], 'others are served again')
    })
  }
  const grown = (pgbun.rss() - before) / MB
  t.ok(grown < 150, `memory grew by ${Math.round(grown)} MB`)
  t.match(pgbun.logs(), /lost synchronization: \w/, 'the log says why')
  t.notMatch(pgbun.logs(), /internal error/)
})

t.test('while nobody listens', async (t) => {
  const server = await startScriptedPostgres(t)
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const client = await loginRaw(t, pgbun)
  const babble = [randomBytes(100), dataRow('1'), ready(), error('XX000', 'none of your business'), head('D', 2 ** 30)]
  for (const bytes of babble) {
    await client.rows('select 1')
    const connection = server.connections.findLast(({ closed }) => !closed)!
    connection.send(bytes)
    await waitFor(() => connection.closed, { what: 'a server that babbles to be closed' })
    t.same(await client.rows('select 2'), [['select 2']], 'the client hears nothing of it')
  }
  for (const bytes of [
    notice('harmless'),
    backend.notification(1, 'channel', 'payload'),
    parameterStatus('TimeZone', 'UTC'),
  ]) {
    server.connections.findLast(({ closed }) => !closed)!.send(bytes)
    t.same(await client.rows('select 3'), [['select 3']])
  }
})

/** What a client that logs in is told. */
async function refusalOf(t: Test, pgbun: { port: number }): Promise<Record<string, string>> {
  const client = await connectRaw(t, pgbun)
  try {
    await client.login()
    return { M: 'let in' }
  } catch (error) {
    return (error as { fields?: Record<string, string> }).fields ?? { M: String(error) }
  } finally {
    client.destroy()
  }
}

/** How a query ended: `ok`, an SQLSTATE, or that the connection was closed without a word. */
async function endOf(client: RawClient): Promise<string> {
  const seen: Message[] = []
  try {
    while (seen.at(-1)?.type !== 'Z') seen.push(await client.readMessage())
    return errorOf(seen).C ?? 'ok'
  } catch (error) {
    if (!client.closed) throw error
    return errorOf(seen).C ?? 'closed'
  }
}
