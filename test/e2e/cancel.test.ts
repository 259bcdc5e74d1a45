/**
 * Cancel requests: they end the query of the client whose key they carry, and nothing else; in particular not what runs
 * on the same server connection for somebody else a moment later. Protocol chapter "Canceling Requests in Progress".
 */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { cancel, connectRaw, errorOf, loginRaw, rowsOf, typesOf } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

t.test('cancel requests', async (t) => {
  const server = await startPostgres(t, { settings: { max_connections: '100' } })
  const running = (mark: string): Promise<unknown> =>
    waitFor(
      async () => {
        const active = `SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%/* ${mark} */%'`
        return (await server.query(`${active} AND pid <> pg_backend_pid()`)).length > 0
      },
      { what: `${mark} to run` },
    )

  // What runs behind the gate is seen to run, however busy the machine is; then a while longer, for a cancel that comes late.
  const gate = await server.connect()
  const gated = (mark: string): Buffer =>
    frontend.query(`SELECT pg_advisory_xact_lock(7), pg_sleep(0.7), 'done' /* ${mark} */`)
  const closeGate = (): Promise<unknown> => gate.query('SELECT pg_advisory_lock(7)')
  const openGate = (): Promise<unknown> => gate.query('SELECT pg_advisory_unlock(7)')

  for (const mode of ['session', 'transaction'] as const) {
    await t.test(`pool mode ${mode}: the own query, and not another client’s`, async (t) => {
      const pgbun = await startPgbun(t, { target: server, poolMode: mode, poolSize: 2 })
      const client = await loginRaw(t, pgbun)
      const neighbour = await loginRaw(t, pgbun)
      await closeGate()
      client.send(frontend.query('SELECT pg_sleep(600) /* mine */'))
      neighbour.send(gated('other'))
      await running('mine')
      await running('other')
      await cancel(t, pgbun, client.session.pid, client.session.secret)
      const messages = await client.readUntil('Z')
      await openGate()
      t.match(errorOf(messages), { S: 'ERROR', C: '57014', M: 'canceling statement due to user request' })
      t.match(rowsOf(await neighbour.readUntil('Z')), [['', '', 'done']])
      t.same(await client.rows('SELECT 1'), [['1']], 'the client goes on')
    })
  }

  await t.test('a query of the extended protocol, in a transaction', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
    const client = await loginRaw(t, pgbun)
    await client.query('BEGIN')
    const sleep = [frontend.parse('SELECT pg_sleep(600) /* extended */'), frontend.bind(), frontend.execute()]
    client.send(...sleep, frontend.sync())
    await running('extended')
    await cancel(t, pgbun, client.session.pid, client.session.secret)
    const messages = await client.readUntil('Z')
    t.match(errorOf(messages), { C: '57014' })
    t.equal(messages.at(-1)!.body.toString(), 'E', 'the transaction is aborted, not gone')
    t.equal(typesOf(await client.query('ROLLBACK')), 'CZ')
  })

  await t.test('keys that are nobody’s, or wrong, do nothing and are answered by nothing', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction' })
    const client = await loginRaw(t, pgbun)
    const { pid, secret } = client.session
    const [row] = await client.rows('SELECT pg_backend_pid()')
    t.not(row![0], String(pid), 'the key is not the one of the server')
    await closeGate()
    client.send(gated('wrong keys'))
    await running('wrong keys')
    const almost = Buffer.from(secret)
    almost[3]! ^= 1
    await cancel(t, pgbun, pid, almost)
    await cancel(t, pgbun, pid ^ 1, secret)
    await cancel(t, pgbun, 0, Buffer.alloc(4))
    await cancel(t, pgbun, pid, Buffer.concat([secret, randomBytes(28)]))
    await cancel(t, pgbun, Number(row![0]), randomBytes(4))
    await openGate()
    t.match(rowsOf(await client.readUntil('Z')), [['', '', 'done']])
  })

  await t.test('a long key of protocol 3.2', async (t) => {
    const pgbun = await startPgbun(t, { target: server })
    const client = await loginRaw(t, pgbun, { version: 0x30002 })
    client.send(frontend.query('SELECT pg_sleep(600) /* long key */'))
    await running('long key')
    await cancel(t, pgbun, client.session.pid, client.session.secret.subarray(0, 4))
    await cancel(t, pgbun, client.session.pid, client.session.secret)
    t.match(errorOf(await client.readUntil('Z')), { C: '57014' })
  })

  await t.test('a client that runs nothing is not touched', async (t) => {
    for (const mode of ['session', 'transaction'] as const) {
      const pgbun = await startPgbun(t, { target: server, poolMode: mode, poolSize: 1 })
      const client = await loginRaw(t, pgbun)
      await cancel(t, pgbun, client.session.pid, client.session.secret)
      t.same(await client.rows('SELECT 1'), [['1']], 'before its first query')
      await cancel(t, pgbun, client.session.pid, client.session.secret)
      t.same(await client.rows('SELECT 2'), [['2']], 'between queries')
      await client.query('BEGIN')
      await cancel(t, pgbun, client.session.pid, client.session.secret)
      t.same(await client.rows('SELECT 3'), [['3']], 'in a transaction')
    }
  })

  await t.test('a client that waits gets 57014 at once and stays', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
    const holder = await loginRaw(t, pgbun)
    const client = await loginRaw(t, pgbun)
    await holder.query('BEGIN')
    const batch = [frontend.parse('SELECT 1'), frontend.bind(), frontend.execute(), frontend.sync()]
    for (const request of [Buffer.concat([frontend.query('SELECT 1')]), Buffer.concat(batch)]) {
      // The Sync is answered without a server, which proves that the request behind it waits.
      client.send(frontend.sync(), request)
      t.equal(typesOf(await client.readUntil('Z')), 'Z')
      await cancel(t, pgbun, client.session.pid, client.session.secret)
      const messages = await client.readUntil('Z')
      t.equal(typesOf(messages), 'EZ')
      t.match(errorOf(messages), { S: 'ERROR', C: '57014' })
    }
    t.same(await holder.rows('SELECT 2'), [['2']], 'who holds the server is not disturbed')
    await holder.query('COMMIT')
    t.same(await client.rows('SELECT 3'), [['3']])
  })

  await t.test('a storm of cancels never hits the neighbour on the same server', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
    const victim = await loginRaw(t, pgbun)
    const neighbour = await loginRaw(t, pgbun)
    let storming = true
    let canceled = 0
    let served = 0
    const queries = async (): Promise<void> => {
      while (storming) {
        const { C: code = '00000' } = errorOf(await victim.query('SELECT pg_sleep(0.002)'))
        if (code === '57014') canceled++
        else if (code !== '00000') throw new Error(`the victim got ${code}`)
      }
    }
    const beside = async (): Promise<void> => {
      while (storming) {
        const messages = await neighbour.query('SELECT pg_sleep(0.001)')
        if (typesOf(messages) !== 'TDCZ') throw new Error(`the neighbour got ${JSON.stringify(errorOf(messages))}`)
        served++
      }
    }
    const storm = async (): Promise<void> => {
      const { pid, secret } = victim.session
      for (let round = 0; round < 60; round++) {
        await Promise.all(Array.from({ length: 5 }, () => cancel(t, pgbun, pid, secret)))
      }
      await waitFor(() => served > 20 && canceled > 0, { what: 'both to have been served' })
      storming = false
    }
    await Promise.all([queries(), beside(), storm()])
    t.ok(canceled > 0, `${canceled} queries of the victim were canceled`)
    t.pass(`${served} of the neighbour were not`)
    t.notMatch(pgbun.logs(), /lost synchronization|internal error/)
  })

  await t.test('cancel requests in pieces, with bytes too many, and cut off', async (t) => {
    const pgbun = await startPgbun(t, { target: server })
    const client = await loginRaw(t, pgbun)
    const { pid, secret } = client.session
    client.send(frontend.query('SELECT pg_sleep(600) /* pieces */'))
    await running('pieces')
    const cut = await connectRaw(t, pgbun)
    cut.send(frontend.cancelRequest(pid, secret).subarray(0, 11))
    cut.destroy()
    const empty = await connectRaw(t, pgbun)
    empty.send(frontend.cancelRequest(pid, Buffer.alloc(0)))
    await empty.expectClosed()
    const slow = await connectRaw(t, pgbun)
    await slow.sendBytewise(frontend.cancelRequest(pid, secret))
    t.same(typesOf(await slow.expectClosed()), '')
    t.match(errorOf(await client.readUntil('Z')), { C: '57014' })
  })
})
