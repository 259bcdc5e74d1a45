/** A client's way in: versions, parameters, deadlines, and what is sent before its time (protocol chapter "Start-up"). */
import t from 'tap'
import { backend, frontend, int32, message, parse, untyped } from '../fixtures/messages.ts'
import { rowsOf, typesOf } from '../fixtures/raw-client.ts'
import { gate, waitFor } from '../fixtures/wait.ts'
import { queriesOf, startLab } from './lab.ts'

t.test('the greeting is what PostgreSQL says, in its order', async (t) => {
  const lab = await startLab(t)
  const { session } = await lab.client()
  t.match(typesOf(session.messages), /^RS+KZ$/)
  t.equal(session.parameters.server_version, '18.4')
  t.equal(session.secret.length, 4, 'a key of protocol 3.0')
  t.ok(session.pid > 0)
})

t.test('version 3.2 is spoken, with long keys and nothing to negotiate', async (t) => {
  const lab = await startLab(t)
  const { session } = await lab.client({ version: 0x30002 })
  t.match(typesOf(session.messages), /^RS+KZ$/)
  t.equal(session.secret.length, 32)
})

t.test('a later minor version, and options nobody knows: answered once, first of all', async (t) => {
  const lab = await startLab(t)
  for (const [version, parameters, minor, unknown] of [
    [0x30000 + 9999, {}, 2, []],
    [0x30000 + 9999, { '_pq_.test_protocol_negotiation': 'x' }, 2, ['_pq_.test_protocol_negotiation']],
    [0x30000, { '_pq_.one': '', '_pq_.two': '' }, 0, ['_pq_.one', '_pq_.two']],
  ] as const) {
    const client = await lab.client({ version, parameters: { ...parameters } })
    t.match(typesOf(client.session.messages), /^vRS+KZ$/)
    const { body } = client.session.messages[0]!
    t.equal(body.readInt32BE(0), 0x30000 + minor)
    t.equal(body.readInt32BE(4), unknown.length)
    t.strictSame(parse.strings(body.subarray(8)), [...unknown])
    t.strictSame(await client.rows('select 1'), [['select 1']])
  }
})

t.test('what is not spoken', async (t) => {
  const lab = await startLab(t)
  for (const [packet, expected] of [
    [frontend.startup({ user: 'u' }, 0x20000), { C: '0A000', M: /2\.0/ }],
    [frontend.startup({ user: 'u' }, 0x40000), { C: '0A000', M: /4\.0/ }],
    [frontend.startup({ database: 'd' }), { C: '28000', M: /no PostgreSQL user name/ }],
    [frontend.startup({ user: 'u', replication: 'o' }), { C: '22023', M: /"replication": "o"/, H: /"database"/ }],
    [frontend.startup({ user: 'u', 'bad name': 'x' }), { C: '08P01' }],
    [frontend.startup({ user: 'u', options: '-d 5' }), { C: '08P01', M: /-d/ }],
    [untyped(int32(0x30000), Buffer.from('user\0u')), { C: '08P01' }],
  ] as const) {
    const client = await lab.connect()
    client.send(packet)
    t.match(await client.expectFatal(), { S: 'FATAL', ...expected })
  }
  t.equal(lab.server.accepted, 0, 'no server was needed to say so')
  const client = await lab.client({ parameters: { replication: 'off' } })
  await client.query('select 1')
})

t.test('bad lengths and types, before and after the login', async (t) => {
  const lab = await startLab(t)
  for (const length of [0, 3, 7, -1, 2 ** 31 - 1, 100_000]) {
    const client = await lab.connect()
    client.send(Buffer.concat([int32(length), Buffer.alloc(50)]))
    const messages = await client.expectClosed()
    t.ok(messages.length === 0 || typesOf(messages) === 'E', `startup packet of length ${length}`)
  }
  for (const bytes of [
    message('!', 'x'),
    Buffer.concat([Buffer.from('Q'), int32(0)]),
    Buffer.concat([Buffer.from('Q'), int32(3)]),
    Buffer.concat([Buffer.from('S'), int32(-1)]),
    Buffer.concat([Buffer.from('Q'), int32(2 ** 31 - 1)]),
    Buffer.concat([Buffer.from('X'), int32(2 ** 20)]),
    frontend.password('late'),
  ]) {
    const client = await lab.client()
    client.send(bytes)
    t.match(await client.expectFatal(), { S: 'FATAL', C: '08P01' })
  }
  const client = await lab.client()
  t.strictSame(await client.rows('select 1'), [['select 1']])
})

t.test('what is right before what is wrong still counts', async (t) => {
  const lab = await startLab(t)
  const client = await lab.client()
  client.send(frontend.sync(), message('!', 'x'))
  const messages = await client.expectClosed()
  t.equal(typesOf(messages), 'ZE')
})

t.test('a query sent ahead with the password waits for its turn', async (t) => {
  const lab = await startLab(t, {
    authType: 'plain',
    authFile: `${t.testdir({ 'users.txt': '"u" "secret"\n' })}/users.txt`,
  })
  const client = await lab.connect()
  client.send(frontend.startup({ user: 'u', database: 'd' }))
  t.equal(typesOf([await client.readMessage()]), 'R')
  client.send(frontend.password('secret'), frontend.query('select 1'), frontend.query('select 2'))
  t.match(typesOf(await client.readUntil('Z')), /^RS+KZ$/)
  t.strictSame(rowsOf(await client.readUntil('Z')), [['select 1']])
  t.strictSame(rowsOf(await client.readUntil('Z')), [['select 2']])
})

t.test('a query in one packet with the startup, while the first server connection is made', async (t) => {
  const held = gate()
  const lab = await startLab(t, {
    script: {
      async onStartup(connection) {
        await held.opened
        connection.greet()
      },
    },
  })
  const client = await lab.connect()
  client.send(frontend.startup({ user: 'u', database: 'd' }), frontend.query('select 1'))
  const server = await lab.server.connection(0)
  t.equal(server.types(), '')
  held.open()
  t.match(typesOf(await client.readUntil('Z')), /^RS+KZ$/)
  t.strictSame(rowsOf(await client.readUntil('Z')), [['select 1']])
})

t.test('instead of a password something else', async (t) => {
  const lab = await startLab(t, {
    authType: 'plain',
    authFile: `${t.testdir({ 'users.txt': '"u" "secret"\n' })}/users.txt`,
  })
  const client = await lab.connect()
  client.send(frontend.startup({ user: 'u' }), frontend.query('select 1'))
  t.match(await client.expectFatal(), { S: 'FATAL', C: '08P01', M: /expected password response/ })
  t.equal(lab.server.accepted, 0)
})

t.test('who says nothing, and who stops in the middle: client_login_timeout', async (t) => {
  const lab = await startLab(t, { clientLoginTimeout: 50 })
  const silent = await lab.connect()
  const half = await lab.connect()
  half.send(frontend.startup({ user: 'u' }).subarray(0, 10))
  for (const client of [silent, half]) {
    const messages = await client.expectClosed()
    t.ok(messages.length === 0 || typesOf(messages) === 'E')
  }
  await waitFor(() => lab.pooler.snapshot().clients.length === 0, { what: 'nobody left' })
})

t.test('startup parameters are set on whatever server serves the client', async (t) => {
  const lab = await startLab(t, {
    poolSize: 1,
    script: {
      onMessage(connection, message) {
        const sql = message.body.toString()
        if (message.type !== 'Q') return
        const zone =
          /set_config\('timezone', '([^']+)'/.exec(sql)?.[1] ?? (sql.includes('RESET "timezone"') && 'Etc/UTC')
        if (zone) connection.send(backend.parameterStatus('TimeZone', zone))
        connection.send(backend.commandComplete('SELECT 0'), backend.ready())
      },
    },
  })
  const one = await lab.client({ parameters: { TimeZone: 'asia/tokyo', options: '-c statement_timeout=5s' } })
  t.equal(one.session.parameters.TimeZone, 'asia/tokyo', 'as the server spells it')
  const other = await lab.client()
  const server = await lab.server.connection(0)
  await other.query('select 1')
  await one.query('select 2')
  await one.query('select 3')
  t.strictSame(
    queriesOf(server).map((sql) => (/^SELECT|^RESET/.test(sql) ? 'set' : sql)),
    ['set', 'set', 'select 1', 'set', 'select 2', 'select 3'],
  )
  t.match(queriesOf(server)[0], /set_config\('timezone', 'asia\/tokyo'.*set_config\('statement_timeout', '5s'/)
  t.match(queriesOf(server)[1], /RESET "statement_timeout"/)
})

t.test('a setting the server refuses ends the login with its words', async (t) => {
  const lab = await startLab(t, {
    poolSize: 1,
    script: {
      onMessage(connection, message) {
        const sql = message.body.toString()
        if (message.type === 'Q' && sql.includes('set_config')) {
          connection.send(backend.error('22023', 'invalid value for parameter'), backend.ready())
        } else if (message.type === 'Q') connection.send(backend.commandComplete('SELECT 0'), backend.ready())
      },
    },
  })
  const client = await lab.connect()
  client.send(
    frontend.startup({ user: 'postgres', database: 'postgres', statement_timeout: 'soon' }),
    frontend.query('delete from t'),
  )
  t.match(await client.expectFatal(), { C: '22023', M: 'invalid value for parameter' })
  t.notOk(queriesOf(await lab.server.connection(0)).includes('delete from t'))
  const other = await lab.client()
  t.equal(typesOf(await other.query('select 1')), 'CZ')
})

t.test('a second SSLRequest, or one behind the startup', async (t) => {
  const lab = await startLab(t)
  const client = await lab.connect()
  client.send(frontend.sslRequest())
  t.equal(await client.readBytes(1), 'N')
  client.send(frontend.startup({ user: 'u', database: 'd' }))
  t.match(typesOf(await client.readUntil('Z')), /^RS+KZ$/)
})
