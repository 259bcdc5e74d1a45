/** Requests of several clients on one server connection (server_pipelining): to each of them it is as if it were alone. */
import t, { type Test } from 'tap'
import { backend, frontend, message } from '../fixtures/messages.ts'
import type { Teardown } from '../fixtures/postgres.ts'
import { errorOf, rowsOf, typesOf } from '../fixtures/raw-client.ts'
import { answerQueries, type ScriptedConnection } from '../fixtures/scripted-postgres.ts'
import { waitFor } from '../fixtures/wait.ts'
import { type Client, type Lab, type LabOptions, oneRow, queriesOf, sqlOf, startLab } from './lab.ts'

interface PipelinedLab extends Lab {
  /** The server answers nothing more by itself. */
  hold(): void
  /** It does again. */
  go(): void
  readonly first: ScriptedConnection
  /** So many requests have come to `server` and are not answered, with these texts. */
  arrived(server: ScriptedConnection, ...texts: string[]): Promise<unknown>
}

/** A lab whose server answers `select 'NAME'` with NAME, and knows that such a text is short. */
async function startPipelined(t: Teardown, options: LabOptions = {}): Promise<PipelinedLab> {
  let holds = false
  const lab = await startLab(t, {
    serverPipelining: 'auto',
    serverPipeliningBudget: 10_000,
    // But for the test of that, no test is to be in a hurry.
    serverPipeliningMaxWait: 60_000,
    poolSize: 1,
    script: {
      onMessage(connection, message) {
        if (message.type === 'X') return connection.end()
        if (holds && message.type === 'Q') return undefined
        const name = message.type === 'Q' ? /'(\w+)'/.exec(sqlOf(message))?.[1] : undefined
        if (name === undefined) return answerQueries(connection, message)
        return connection.send(...oneRow(name))
      },
    },
    ...options,
  })
  // A pool with one client looks for nobody to share with.
  const [client] = [await lab.client(), await lab.client()]
  const known = (): boolean => lab.pooler.snapshot().pools[0]?.pipelining.texts === 1
  const isOff = options.serverPipelining === 'off'
  while (!isOff && !known()) await client.query("select 'trial'")
  const first = lab.server.connections[0]!
  let before = queriesOf(first).length
  return {
    ...lab,
    first,
    hold() {
      holds = true
      before = queriesOf(first).length
    },
    go() {
      holds = false
    },
    arrived: (server, ...texts) =>
      waitFor(
        () =>
          queriesOf(server)
            .slice(server === first ? before : 0)
            .join() === texts.join(),
        {
          what: () => `${texts} at the server, which got ${queriesOf(server).slice(server === first ? before : 0)}`,
        },
      ),
  }
}

const ask = (client: Client, name: string): void => client.send(frontend.query(`select '${name}'`))
const answer = async (client: Client): Promise<string | null | undefined> => rowsOf(await client.readUntil('Z'))[0]?.[0]
const canceled = [backend.error('57014', 'canceling statement due to user request'), backend.ready()]

/** Two clients whose requests are under way, in this order. */
async function two(lab: PipelinedLab): Promise<[Client, Client]> {
  const [a, b] = [await lab.client(), await lab.client()]
  lab.hold()
  ask(a, 'a')
  await lab.arrived(lab.first, "select 'a'")
  ask(b, 'b')
  await lab.arrived(lab.first, "select 'a'", "select 'b'")
  return [a, b]
}

/** What `b` asks for waits until the server has answered `a`: it is not sent behind that. */
async function apart(t: Test, lab: PipelinedLab, a: Client, b: Client): Promise<void> {
  lab.hold()
  ask(a, 'a')
  await lab.arrived(lab.first, "select 'a'")
  ask(b, 'b')
  await lab.waiting(1)
  lab.go()
  lab.first.send(...oneRow('a'))
  t.equal(await answer(a), 'a')
  t.equal(await answer(b), 'b')
}

t.test('they are sent one behind the other, and each client gets its answer', async (t) => {
  const lab = await startPipelined(t)
  const [a, b, c] = [await lab.client(), await lab.client(), await lab.client()]
  lab.hold()
  const texts: string[] = []
  for (const [client, name] of [
    [a, 'a'],
    [b, 'b'],
    [c, 'c'],
  ] as const) {
    ask(client, name)
    texts.push(`select '${name}'`)
    await lab.arrived(lab.first, ...texts)
  }
  t.equal(lab.server.connections.length, 1)
  // In pieces that end anywhere.
  const bytes = Buffer.concat([...oneRow('a'), ...oneRow('b'), ...oneRow('c')])
  for (let at = 0; at < bytes.length; at += 7) {
    lab.first.send(bytes.subarray(at, at + 7))
    await new Promise(setImmediate)
  }
  t.equal(await answer(a), 'a')
  t.equal(await answer(b), 'b')
  t.equal(await answer(c), 'c')
  t.strictSame(lab.servers(), { idle: 1, active: 0, busy: 0, draining: 0, beingCanceled: 0 })
})

t.test('not behind a text that has not shown to be short, nor one of another kind', async (t) => {
  const lab = await startPipelined(t)
  const [a, b] = [await lab.client(), await lab.client()]
  lab.hold()
  for (const sql of [
    'select now()',
    'begin',
    "set app.tag = 'x'",
    "select set_config('app.tag', 'x', false)",
    "select 'a'; select 'b'",
    'listen channel',
    'select pg_advisory_lock(1)',
    'copy t from stdin',
  ]) {
    a.send(frontend.query(sql))
    await waitFor(() => queriesOf(lab.first).at(-1) === sql, { what: sql })
    ask(b, 'b')
    await lab.waiting(1)
    t.equal(queriesOf(lab.first).at(-1), sql)
    lab.go()
    lab.first.send(backend.commandComplete('SELECT 0'), backend.ready())
    await a.readUntil('Z')
    t.equal(await answer(b), 'b')
    lab.hold()
  }
})

t.test('what has a parameter of its own is not sent behind others', async (t) => {
  const lab = await startPipelined(t)
  const a = await lab.client()
  const b = await lab.client({ parameters: { application_name: 'other' } })
  await apart(t, lab, a, b)
})

t.test('an error is that of one client', async (t) => {
  const lab = await startPipelined(t)
  const [a, b] = await two(lab)
  lab.first.send(backend.error('22012', 'division by zero'), backend.ready(), ...oneRow('b'))
  t.match(errorOf(await a.readUntil('Z')), { C: '22012' })
  t.equal(await answer(b), 'b')
})

t.test('an error of a limit of time may be that of another: all are run again', async (t) => {
  const lab = await startPipelined(t)
  const [a, b] = await two(lab)
  lab.go()
  lab.first.send(backend.error('57014', 'canceling statement due to statement timeout'), backend.ready())
  t.equal(await answer(a), 'a')
  t.equal(await answer(b), 'b')
  await waitFor(() => lab.first.closed, { what: 'the end of the connection' })
})

t.test('the error of a lock that is not waited for is the answer', async (t) => {
  const lab = await startPipelined(t)
  const [a, b] = await two(lab)
  const body = Buffer.from('SERROR\0VERROR\0C55P03\0Mcould not obtain lock\0Rheap_lock_tuple\0\0')
  lab.first.send(message('E', body), backend.ready(), ...oneRow('b'))
  t.match(errorOf(await a.readUntil('Z')), { C: '55P03' })
  t.equal(await answer(b), 'b')
})

for (const code of ['57014', '55P03']) {
  t.test(`the late ${code} of one behind whom a cancel request goes on is not the answer of the next`, async (t) => {
    const lab = await startPipelined(t)
    const [a, b] = await two(lab)
    const c = await lab.client()
    ask(c, 'c')
    await lab.arrived(lab.first, "select 'a'", "select 'b'", "select 'c'")
    const asked = cancel(lab, a)
    await waitFor(() => lab.server.cancels.length > 0, { what: 'the cancel request' })
    await asked
    lab.go()
    const late = backend.error(code, 'canceling statement due to statement timeout')
    lab.first.send(...oneRow('a'), late, backend.ready(), ...oneRow('b'), ...oneRow('c'))
    t.equal(await answer(a), 'a')
    t.equal(await answer(b), 'b')
    t.equal(await answer(c), 'c')
  })
}

t.test('a changed parameter is told to all who wait, ahead of their answers', async (t) => {
  const lab = await startPipelined(t)
  const [a, b] = await two(lab)
  const c = await lab.client()
  ask(c, 'c')
  await lab.arrived(lab.first, "select 'a'", "select 'b'", "select 'c'")
  lab.first.send(...oneRow('a'), backend.parameterStatus('TimeZone', 'Mars'), ...oneRow('b'), ...oneRow('c'))
  t.equal(typesOf(await a.readUntil('Z')), 'TDCZ')
  t.equal(typesOf(await b.readUntil('Z')), 'STDCZ')
  t.equal(typesOf(await c.readUntil('Z')), 'STDCZ')
})

t.test('nobody waits for an answer that is too large to be held back', async (t) => {
  const lab = await startPipelined(t, { poolSize: 2 })
  const [a, b] = await two(lab)
  lab.go()
  const rows = Array.from({ length: 100 }, () => backend.dataRow('a'.repeat(1000)))
  lab.first.send(backend.rowDescription('a'), ...rows)
  t.equal(await answer(b), 'b', 'on another server')
  lab.first.send(backend.commandComplete('SELECT 100'), backend.ready(), ...oneRow('b'))
  t.equal(rowsOf(await a.readUntil('Z')).length, 100)
  t.same(await a.rows("select 'a'"), [['a']])
})

t.test('nor is its client told of a cancel request for somebody else', async (t) => {
  const lab = await startPipelined(t)
  const [a, b] = await two(lab)
  const asked = cancel(lab, a)
  await waitFor(() => lab.server.cancels.length > 0, { what: 'the cancel request' })
  const rows = Array.from({ length: 100 }, () => backend.dataRow('b'.repeat(1000)))
  lab.go()
  lab.first.send(...oneRow('a'), backend.rowDescription('a'), ...rows, ...canceled)
  t.equal(await answer(a), 'a')
  await asked
  t.equal(await answer(b), 'b')
})

t.test('a cancel request goes along with a request that is sent elsewhere', async (t) => {
  const lab = await startPipelined(t)
  const [a, b] = await two(lab)
  const asked = cancel(lab, b)
  lab.first.end(backend.error('57P01', 'terminating connection due to administrator command', 'FATAL'))
  t.match(errorOf(await a.readUntil('E')), { C: '57P01', S: 'FATAL' })
  await asked
  if (lab.server.cancels.length > 0) lab.server.connections[1]!.send(...canceled)
  t.match(errorOf(await b.readUntil('Z')), { C: '57014' })
})

async function cancel(lab: Lab, client: Client): Promise<void> {
  const canceller = await lab.connect()
  canceller.send(frontend.cancelRequest(client.session.pid, client.session.secret))
  await canceller.expectClosed()
}

t.test('a cancel request waits until those ahead are answered', async (t) => {
  const lab = await startPipelined(t)
  const [a, b] = await two(lab)
  const asked = cancel(lab, b)
  await lab.first.send(...oneRow('a'))
  t.equal(await answer(a), 'a')
  await waitFor(() => lab.server.cancels.length === 1, { what: 'the cancel request' })
  lab.first.send(...canceled)
  t.match(errorOf(await b.readUntil('Z')), { C: '57014' })
  await asked
})

t.test('one that comes too late hits nobody: who was hit is run again', async (t) => {
  const lab = await startPipelined(t)
  const [a, b] = await two(lab)
  const asked = cancel(lab, a)
  await waitFor(() => lab.server.cancels.length > 0, { what: 'the cancel request' })
  lab.go()
  lab.first.send(...oneRow('a'), ...canceled)
  t.equal(await answer(a), 'a')
  t.equal(await answer(b), 'b', 'and has seen no error')
  t.equal(queriesOf(lab.first).filter((sql) => sql === "select 'b'").length, 2)
  await asked
})

t.test('who keeps others waiting is canceled, and run again alone', async (t) => {
  const lab = await startPipelined(t, { serverPipeliningMaxWait: 500 })
  const [a, b] = await two(lab)
  await waitFor(() => lab.server.cancels.length > 0, { what: 'the cancel request' })
  lab.go()
  lab.first.send(...canceled, ...oneRow('b'))
  t.equal(await answer(b), 'b')
  t.equal(await answer(a), 'a')
  const again = lab.server.connections.slice(1).flatMap((connection) => queriesOf(connection))
  t.ok(again.includes("select 'a'"), 'elsewhere')
  t.equal(lab.pooler.snapshot().pools[0]?.counters.expelledTexts, 1, 'and nobody is sent behind it any more')
})

t.test('a server that ends its session has not begun what is behind the first', async (t) => {
  const lab = await startPipelined(t)
  const [a, b] = await two(lab)
  lab.go()
  lab.first.end(backend.error('57P01', 'terminating connection due to administrator command', 'FATAL'))
  t.match(errorOf(await a.readUntil('E')), { C: '57P01', S: 'FATAL' })
  t.equal(await answer(b), 'b')
})

t.test('a server that is lost: what has become of those behind is not known', async (t) => {
  const lab = await startPipelined(t)
  const [a, b] = await two(lab)
  lab.first.cut()
  t.match(errorOf(await a.readUntil('E')), { C: '08006' })
  const error = errorOf(await b.readUntil('E'))
  t.match(error, { C: '08006' })
  t.match(error.D, /outcome is unknown/)
})

t.test('a client that leaves is no loss to the others', async (t) => {
  for (const leaves of [0, 1] as const) {
    const lab = await startPipelined(t)
    const pair = await two(lab)
    pair[leaves].destroy()
    await lab.logged(`client disconnected`)
    lab.go()
    lab.first.send(...oneRow('a'), ...oneRow('b'))
    t.equal(await answer(pair[1 - leaves]!), leaves === 0 ? 'b' : 'a')
    await waitFor(() => lab.servers().idle === 1, { what: 'the server to come free' })
  }
})

t.test('nothing is added while a transaction waits for a server', async (t) => {
  const lab = await startPipelined(t)
  const [a, b] = await two(lab)
  const c = await lab.client()
  const d = await lab.client()
  c.send(frontend.query('begin'))
  await lab.waiting(1)
  ask(d, 'd')
  await lab.waiting(2)
  lab.first.send(...oneRow('a'))
  t.equal(await answer(a), 'a')
  lab.go()
  lab.first.send(...oneRow('b'))
  t.equal(await answer(b), 'b')
  t.equal(typesOf(await c.readUntil('Z')), 'CZ')
})

t.test('a transaction that should not be there is the end of the connection', async (t) => {
  const lab = await startPipelined(t)
  const [a, b] = await two(lab)
  lab.first.send(...oneRow('a', 'T'))
  t.match(errorOf(await a.readUntil('E')), { C: '08006' })
  t.match(errorOf(await b.readUntil('E')), { C: '08006' })
  await lab.logged('lost synchronization')
})

t.test('one that nobody is sent behind is its client’s', async (t) => {
  const lab = await startPipelined(t)
  const a = await lab.client()
  lab.hold()
  ask(a, 'a')
  await lab.arrived(lab.first, "select 'a'")
  lab.first.send(...oneRow('a', 'T'))
  t.equal(await answer(a), 'a')
  t.strictSame(lab.servers().active, 1, 'which keeps the server until it is over')
  lab.go()
  await a.query('commit')
  await waitFor(() => lab.servers().idle === 1, { what: 'the server to come free' })
})

t.test('answers that come in many reads, large ones', async (t) => {
  const lab = await startPipelined(t)
  const [a, b] = await two(lab)
  const rows = (letter: string, count: number): Buffer[] => [
    backend.rowDescription('a'),
    ...Array.from({ length: count }, (_, i) => backend.dataRow(`${letter}${i}`.padEnd(1000, letter))),
    backend.commandComplete(`SELECT ${count}`),
    backend.ready(),
  ]
  // The first is held back as a whole, the second grows too large for that.
  const bytes = Buffer.concat([...rows('a', 50), ...rows('b', 500)])
  for (let at = 0; at < bytes.length; at += 9000) {
    lab.first.send(bytes.subarray(at, at + 9000))
    await new Promise(setImmediate)
  }
  for (const [client, letter, count] of [
    [a, 'a', 50],
    [b, 'b', 500],
  ] as const) {
    const found = rowsOf(await client.readUntil('Z')).map(([value]) => value)
    t.strictSame(
      found,
      Array.from({ length: count }, (_, i) => `${letter}${i}`.padEnd(1000, letter)),
    )
  }
})

t.test('off: each has a server for itself', async (t) => {
  const lab = await startPipelined(t, { serverPipelining: 'off', poolSize: 2 })
  const [a, b] = [await lab.client(), await lab.client()]
  lab.hold()
  ask(a, 'a')
  await lab.arrived(lab.first, "select 'a'")
  ask(b, 'b')
  const second = await lab.server.connection(1)
  await lab.arrived(second, "select 'b'")
  lab.first.send(...oneRow('a'))
  second.send(...oneRow('b'))
  t.equal(await answer(a), 'a')
  t.equal(await answer(b), 'b')
})
