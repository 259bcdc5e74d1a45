/**
 * A cancel request that came while the client's server was being given the client's settings, or was asked what the
 * transaction before had left, went unheard: the request it was meant for ran, and nobody canceled it any more.
 */
import t, { type Test } from 'tap'
import { backend, frontend, parse } from '../fixtures/messages.ts'
import { cancel, typesOf } from '../fixtures/raw-client.ts'
import { answerQueries } from '../fixtures/scripted-postgres.ts'
import { gate, waitFor } from '../fixtures/wait.ts'
import { queriesOf, sqlOf, startLab } from '../wire/lab.ts'

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
  t.test(name, async (t) => {
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

t.test('what it was not told because of that, it is told with its next request', async (t) => {
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
  t.test(name, async (t) => {
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
