/**
 * Ten thousand cancel requests against clients that share three servers: whoever gets 57014 is the client whose key was
 * sent. In each round the keys of some clients are used, and the others must not notice. When the request's connection
 * is closed the request is over: what the client sends after that is not canceled any more.
 * Protocol chapter "Canceling Requests in Progress".
 */
import t, { type Test } from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { cancel, errorOf, type LoggedIn, loginRaw, type RawClient, rowsOf } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const CANCELS = 10_000
const CLIENTS = 20
const ROUNDS = 20
const AT_ONCE = 25

class Target {
  readonly client: RawClient & { session: LoggedIn }
  readonly mark: string
  /** Its key is being used, and how often that has begun. */
  aimed = false
  aims = 0
  canceled = 0
  served = 0

  constructor(client: RawClient & { session: LoggedIn }, mark: string) {
    this.client = client
    this.mark = mark
  }

  aim(): void {
    this.aimed = true
    this.aims++
  }

  /** Tagged queries, some of which take their time, until told to stop. Throws where an answer is another's. */
  async run(going: () => boolean): Promise<void> {
    for (let number = 0; going(); number++) {
      const tag = `${this.mark}, query ${number}`
      const sleep = this.aimed ? 0.004 : number % 4 === 0 ? 0.001 : 0
      // Committed by itself, or the middle of a transaction.
      const block = number % 5 === 0
      if (block) await this.#ask('BEGIN')
      const { found } = await this.#ask(`SELECT '${tag}'${sleep > 0 ? `, pg_sleep(${sleep})` : ''}`)
      if (found !== undefined && found !== tag) throw new Error(`${tag} was answered with ${found}`)
      // A COMMIT that is canceled itself leaves a transaction that has failed.
      while (block && (await this.#ask('COMMIT')).status !== 'I');
    }
  }

  async #ask(sql: string): Promise<{ found: string | null | undefined; status: string }> {
    const { aimed, aims } = this
    const messages = await this.client.query(sql)
    const { C: code } = errorOf(messages)
    if (code === undefined) this.served++
    else if (code === '57014' && (aimed || aims !== this.aims)) this.canceled++
    else throw new Error(`${this.mark}, ${sql}: ${code}, though nobody has sent its key meanwhile`)
    return { found: rowsOf(messages)[0]?.[0], status: messages.at(-1)!.body.toString() }
  }
}

for (const pipelining of ['off', 'auto'] as const) {
  t.test(`a storm of cancel requests, server_pipelining ${pipelining}`, (t) => storm(t, pipelining))
}

async function storm(t: Test, pipelining: 'off' | 'auto'): Promise<void> {
  const server = await startPostgres(t, { settings: { max_connections: '200', fsync: 'off' } })
  const args = ['--server-pipelining', pipelining, '--server-pipelining-budget', '2s']
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 3, args })
  const targets: Target[] = []
  for (let at = 0; at < CLIENTS; at++) {
    const version = at % 2 === 0 ? 0x30000 : 0x30002
    targets.push(new Target(await loginRaw(t, pgbun, { version }), `client ${at}`))
  }
  let going = true
  const running = Promise.all(targets.map((target) => target.run(() => going)))
  // What goes wrong meanwhile ends the storm, too.
  let failure: unknown
  running.catch((error) => {
    failure = error
    going = false
  })

  // Ten thousand sockets need not be remembered until the end.
  const forget = { teardown: () => {} }
  let sent = 0
  for (let round = 0; round < ROUNDS && going; round++) {
    const aimed = targets.filter((_, at) => (at + round) % 4 === 0)
    for (const target of aimed) target.aim()
    const until = ((round + 1) * CANCELS) / ROUNDS
    const shoot = async (): Promise<void> => {
      while (sent < until && going) {
        const { pid, secret } = aimed[sent++ % aimed.length]!.client.session
        await cancel(forget, pgbun, pid, secret)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, shoot))
    // Every request is over: only what was sent before may still be answered with 57014.
    for (const target of aimed) target.aimed = false
  }
  if (failure === undefined) {
    const served = targets.map((target) => target.served)
    await waitFor(() => targets.every((target, at) => target.served > served[at]!), { what: 'all clients to go on' })
  }
  going = false
  await running

  t.equal(sent, CANCELS)
  const canceled = targets.reduce((sum, target) => sum + target.canceled, 0)
  t.ok(canceled > 0, `${canceled} queries were canceled`)
  t.ok(
    targets.every((target) => target.canceled > 0),
    'of each client, with keys of protocol 3.0 and 3.2',
  )
  const served = targets.reduce((sum, target) => sum + target.served, 0)
  t.pass(`${served} were served, each with its own row`)
  for (const target of targets) t.same(await target.client.rows('SELECT 1'), [['1']], `${target.mark} goes on`)
  const used = await server.query(
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query <> '' AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
  )
  t.ok(used[0].n <= 3, 'on three servers')
  t.notMatch(pgbun.logs(), /lost synchronization|internal error/)
}
