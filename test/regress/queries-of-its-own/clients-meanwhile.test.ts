import t, { type Test } from 'tap'
import { backend, frontend, type Message, parse } from '../../fixtures/messages.ts'
import { cancel, typesOf } from '../../fixtures/raw-client.ts'
import { answerQueries, type ScriptedConnection } from '../../fixtures/scripted-postgres.ts'
import { gate, waitFor } from '../../fixtures/wait.ts'
import { queriesOf, sqlOf, startLab } from '../../wire/lab.ts'

// While a server answered pgbun itself (what a client left, its settings), its client was forgotten: it waited for
// ever behind an answer too long to be read, missed notifications and the shutdown, lost its server for being slow
// to read, and paid for a cancel request that came late.
t.test('a client whose server answers pgbun itself is not forgotten', async (t) => {
  type Handled = void | Promise<void>

  const sql = (message: Message): string => (message.type === 'Q' ? (parse.strings(message.body)[0] ?? '') : '')

  const state = backend.rowDescription('kind', 'name', 'value')

  const answered = (...rows: Buffer[]): Buffer[] => [
    state,
    ...rows,
    backend.commandComplete('SELECT 1'),
    backend.ready(),
  ]

  const script = (...answers: [RegExp, (connection: ScriptedConnection) => Handled][]) => ({
    onMessage(connection: ScriptedConnection, message: Message): Handled {
      const found = answers.find(([pattern]) => pattern.test(sql(message)))
      return found ? found[1](connection) : answerQueries(connection, message)
    },
  })

  await t.test('a client whose value is too long to be carried keeps its server', async (t) => {
    const big = backend.dataRow('set', 'app.big', 'x'.repeat(1100000))
    const lab = await startLab(t, { script: script([/^SELECT 'set'/, (server) => server.send(...answered(big))]) })
    const client = await lab.client()
    await client.query("SELECT set_config('app.big', 'big', false)")
    t.strictSame(await client.rows('select 1'), [['select 1']])
    await lab.logged('state that could not be read')
  })

  await t.test('a client gets its notifications while its settings are set', async (t) => {
    const told = backend.notification(7, 'channel', 'payload')
    const lab = await startLab(t, {
      script: script(
        [/pg_listening_channels/, (server) => server.send(...answered(backend.dataRow('pin', 'listen', null)))],
        [
          /^RESET/,
          (server) =>
            server.send(backend.parameterStatus('TimeZone', 'UTC'), backend.commandComplete('RESET'), backend.ready()),
        ],
        [/set_config/, (server) => server.send(told, backend.parameterStatus('TimeZone', 'Asia/Tokyo'), ...answered())],
      ),
    })
    const client = await lab.client({ parameters: { TimeZone: 'Asia/Tokyo' } })
    await client.query('LISTEN channel')
    await client.query('RESET TimeZone')
    t.match(typesOf(await client.query('select 1')), /^ATDCZ$/)
  })

  await t.test('a shutdown ends a client whose server is being asked', async (t) => {
    const { opened, open } = gate()
    const lab = await startLab(t, {
      script: script([/pg_settings/, (server) => opened.then(() => server.send(...answered()))]),
    })
    const client = await lab.client()
    await client.query('SET statement_timeout = 5000')
    const server = await lab.server.connection(0)
    await waitFor(() => server.received.some((message) => /pg_settings/.test(sql(message))))
    const closed = lab.pooler.close({ timeoutMs: 15_000 })
    const began = Date.now()
    open()
    t.match(await client.expectFatal(), { C: '57P01' })
    await closed
    t.ok(Date.now() - began < 10_000, 'at once')
  })

  await t.test('a cancel request that comes late does not cancel the question of pgbun', async (t) => {
    const setting = gate()
    const canceling = gate()
    let under = false
    const lab = await startLab(t, {
      script: {
        ...script(
          [/^SET/, (server) => setting.opened.then(() => answerSet(server))],
          [
            /pg_settings/,
            (server) =>
              under ? server.send(backend.error('57014', 'hit'), backend.ready()) : server.send(...answered()),
          ],
        ),
        async onCancel() {
          under = true
          setting.open()
          await canceling.opened
          under = false
        },
      },
    })
    const client = await lab.client()
    const other = await lab.client()
    client.send(frontend.query('SET statement_timeout = 5000'))
    const server = await lab.server.connection(0)
    await waitFor(() => server.received.length > 0)
    const { pid, secret } = client.session
    const over = cancel(t, { port: Number((lab.pooler.address as { port?: number }).port) }, pid, secret)
    t.equal(typesOf(await client.readUntil('Z')), 'CZ')
    await other.query('select 1')
    canceling.open()
    await over
    t.strictSame(await client.rows('select 2'), [['select 2']])
    t.notMatch(lab.log.join('\n'), /could not be read/)
  })

  function answerSet(server: ScriptedConnection): void {
    server.send(backend.commandComplete('SET'), backend.ready())
  }

  await t.test('a question that is canceled all the same is asked again', async (t) => {
    let hits = 0
    const lab = await startLab(t, {
      script: script([
        /pg_settings|set_config/,
        (server) => {
          if (hits++ % 2 === 0) server.send(backend.error('57014', 'hit'), backend.ready())
          else server.send(...answered(backend.dataRow('set', 'statement_timeout', '5s')))
        },
      ]),
      poolSize: 1,
    })
    const client = await lab.client()
    await client.query('SET statement_timeout = 5000')
    const other = await lab.client()
    await other.query('select 1')
    t.strictSame(await client.rows('select 2'), [['select 2']], 'and so are its settings')
    t.equal(hits, 4)
    t.notMatch(lab.log.join('\n'), /could not be read/)
  })

  await t.test('a client that is slow to read does not lose its server by the question', async (t) => {
    const row = backend.dataRow('x'.repeat(8000))
    const lab = await startLab(t, {
      poolSize: 1,
      serverConnectTimeout: 1000,
      script: script(
        [/^SELECT 'set'/, (server) => server.send(...answered(backend.dataRow('set', 'app.a', '1')))],
        [/set_config/, (server) => server.send(...answered(row))],
      ),
    })
    const client = await lab.client()
    const server = await lab.server.connection(0)
    client.pause()
    // Until its buffers are full, and it gets no more answers.
    let count = 0
    for (let going = true; going; count++) {
      client.send(frontend.query("SELECT set_config('app.a', '1', false)"))
      const asked = () => server.received.length > 2 * count + 1 && lab.servers().idle === 1
      going = await waitFor(asked, { timeout: 400 }).catch(() => false)
    }
    const other = await lab.client()
    t.strictSame(await other.rows('select 1'), [['select 1']], 'its server is free')
    client.resume()
    for (let i = 0; i < count; i++) await client.readUntil('Z')
    t.notMatch(lab.log.join('\n'), /took too long/)
  })
})

// A server was told to end while it answered a query of pgbun itself. Its FATAL went to pgbun, and the client, taken
// to have heard it, was told nothing but the end of its connection; later no more than 08006.
t.test('a client is told why its server ended, also where pgbun was asking it', async (t) => {
  const lab = await startLab(t, {
    poolSize: 1,
    script: {
      onMessage(connection, message) {
        if (message.type !== 'Q' || !sqlOf(message).includes('pg_')) return answerQueries(connection, message)
        connection.end(backend.error('57P01', 'terminating connection due to administrator command', 'FATAL'))
      },
    },
  })
  const client = await lab.client()
  client.send(frontend.query('create temp table x (a int)'))
  const messages = await client.expectClosed()
  t.equal(typesOf(messages), 'CZE')
  t.match(parse.fields(messages.at(-1)!.body), { S: 'FATAL', C: '57P01', M: /administrator command/ })
})

// A cancel request that came while the server was being given the settings of the client, or was asked what the
// transaction before had left, went unheard: the request it was meant for ran, and nobody canceled it any more.
t.test('a cancel request is heard while the server of its client is being prepared', async (t) => {
  /** A client whose only server has another's settings, and holds back the answer to its own behind `hold`. */
  async function startHolding(t: Test) {
    const applying = gate()
    let held = false
    const lab = await startLab(t, {
      poolSize: 1,
      script: {
        async onMessage(connection, message) {
          if (held && message.type === 'Q' && sqlOf(message).includes('app.x')) await applying.opened
          answerQueries(connection, message)
        },
      },
    })
    const address = { host: '127.0.0.1', port: (lab.pooler.address as { port: number }).port }
    const client = await lab.client({ parameters: { options: '-c app.x=1' } })
    await (await lab.client()).query('select 1')
    const hold = (): void => {
      held = true
    }
    return { lab, address, client, applying, hold }
  }

  for (const [name, request, types] of [
    ['a simple query', [frontend.query('select 2')], 'EZ'],
    ['an extended one', [frontend.parse('select 2'), frontend.bind(), frontend.execute(), frontend.sync()], 'EZ'],
    ['the first of a pipeline', [frontend.query('select 2'), frontend.query('select 3')], 'EZTDCZ'],
  ] as const) {
    await t.test(name, async (t) => {
      const { lab, address, client, applying, hold } = await startHolding(t)
      hold()
      client.send(...request)
      await waitFor(() => lab.servers().busy === 1, { what: 'its settings to be applied' })
      await cancel(t, address, client.session.pid, client.session.secret)
      applying.open()
      const messages = await client.readUntil('Z')
      if (types.length > 2) messages.push(...(await client.readUntil('Z')))
      t.equal(typesOf(messages), types)
      t.match(parse.fields(messages[0]!.body), { S: 'ERROR', C: '57014' })
      t.notOk(queriesOf(lab.server.connections[0]!).includes('select 2'), 'it was not run')
      t.equal(lab.server.cancels.length, 0)
      t.strictSame(await client.rows('select 4'), [['select 4']], 'the client goes on')
    })
  }

  await t.test('a client whose request was canceled is told of new defaults with its next one', async (t) => {
    const { lab, address, client, applying, hold } = await startHolding(t)
    lab.server.connections[0]!.send(backend.parameterStatus('TimeZone', 'Asia/Tokyo'))
    await waitFor(async () => (await lab.client()).session.parameters.TimeZone === 'Asia/Tokyo', {
      what: 'the new default',
    })
    hold()
    client.send(frontend.query('select 2'))
    await waitFor(() => lab.servers().busy === 1, { what: 'its settings to be applied' })
    await cancel(t, address, client.session.pid, client.session.secret)
    applying.open()
    const messages = [...(await client.readUntil('Z')), ...(await client.query('select 3'))]
    const told = messages.filter(({ type }) => type === 'S').map(({ body }) => parse.strings(body))
    t.strictSame(told, [['TimeZone', 'Asia/Tokyo']])
  })

  for (const [name, answer, types] of [
    ['the server is asked, and the client keeps it', "SELECT 'pin'", 'EZ'],
    ['the server is asked, and goes back', '', 'EZ'],
  ] as const) {
    await t.test(name, async (t) => {
      const asked = gate()
      const lab = await startLab(t, {
        poolSize: 1,
        script: {
          async onMessage(connection, message) {
            if (message.type !== 'Q' || !sqlOf(message).startsWith("SELECT 'pin'"))
              return answerQueries(connection, message)
            await asked.opened
            const rows = answer === '' ? [] : [backend.dataRow('pin', 'temporary', null)]
            connection.send(backend.rowDescription('a', 'b', 'c'), ...rows)
            connection.send(backend.commandComplete('SELECT'), backend.ready())
          },
        },
      })
      const address = { host: '127.0.0.1', port: (lab.pooler.address as { port: number }).port }
      const client = await lab.client()
      const { pid, secret } = client.session
      await client.query('create temp table x (a int)')
      await cancel(t, address, pid, secret)
      client.send(frontend.query('select 2'))
      await waitFor(() => lab.pooler.snapshot().clients[0]!.state === 'inspecting', { what: 'the question' })
      await cancel(t, address, pid, secret)
      asked.open()
      const messages = await client.readUntil('Z')
      t.equal(typesOf(messages), types)
      t.match(parse.fields(messages[0]!.body), { S: 'ERROR', C: '57014' })
      t.equal(lab.servers().active, answer === '' ? 0 : 1)
      t.strictSame(await client.rows('select 4'), [['select 4']], 'the client goes on')
      t.notOk(queriesOf(lab.server.connections[0]!).includes('select 2'), 'it was not run')
    })
  }
})
