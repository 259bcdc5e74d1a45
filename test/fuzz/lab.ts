/**
 * What a case runs on: one PostgreSQL for all, a pgbun in this process for each case, the clients' tables as they were
 * before each run.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { createPooler, type Pooler, type Snapshot } from '../../lib/index.ts'
import { createLogger } from '../../lib/util/logger.ts'
import { startPostgres, type Teardown } from '../fixtures/postgres.ts'
import { waitFor } from '../fixtures/wait.ts'
import { type Played, playClient } from './play.ts'
import type { Script } from './script.ts'
import { compare, type Difference } from './transcript.ts'

/** Clients a script may have. */
export const CLIENT_LIMIT = 16

const USER = 'fuzz'
const SETTLE = 10_000
/** A server is killed after half as many milliseconds, on the average. */
const KILL_MS = 100

/** How a case failed. */
export interface Failure {
  /** Of which kind, in a few words: a script is cut down as long as it fails in the same way. */
  kind: string
  /** All there is to say. */
  text: string
  difference?: Difference
}

/** What a session that nobody used looks like: one row of text. */
const STATE = `SELECT concat_ws(' ',
  'cursors', (SELECT count(*) FROM pg_cursors),
  'channels', (SELECT count(*) FROM pg_listening_channels()),
  'locks', (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
  'temporary', (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()),
  'statements', (SELECT count(*) FROM pg_prepared_statements WHERE NOT starts_with(name, 'pgbun_')),
  'settings', (SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings
    WHERE source = 'session' AND name NOT IN ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable')),
  'tag', nullif(current_setting('app.tag', true), ''),
  'path', current_setting('search_path'))`

export class Lab {
  readonly #host: string
  readonly #port: number
  readonly #url: string
  #admin: pg.Client
  /** The administrator's connection is gone. */
  #lost = false
  /** What STATE says of a new session. */
  #untouched = ''
  /** Tables made from now on have this id or a higher one. */
  #nextTable = 0
  /** Clients that could not be compared to the end (see transcript.ts). */
  parted = 0
  /** What was sent by clients, and became of it, where several of them shared a server (`server_pipelining`). */
  readonly pipelining = { requests: 0, shared: 0, rerun: 0, cancels: 0, kills: 0 }
  /** Log lines of the last case's pgbun. */
  log: string[] = []

  private constructor(url: string) {
    this.#url = url
    this.#admin = new pg.Client({ connectionString: url })
    this.#host = this.#admin.host
    this.#port = this.#admin.port
  }

  /** Starts a PostgreSQL, or uses the one at `url`, whose superuser that names and which must trust. */
  static async start(owner: Teardown, url?: string): Promise<Lab> {
    if (url === undefined) {
      const { host, port } = await startPostgres(owner, { authMethod: 'trust', settings: { autovacuum: 'off' } })
      url = `postgres://postgres@${host}:${port}/postgres`
    }
    const lab = new Lab(url)
    owner.teardown(() => lab.#admin.end().catch(() => {}))
    await lab.#connect()
    await lab.#prepare()
    return lab
  }

  /** Also after a crash of PostgreSQL, which is waited for to come back. */
  async #connect(): Promise<void> {
    await waitFor(
      async () => {
        const admin = new pg.Client({ connectionString: this.#url })
        admin.on('error', () => {
          this.#lost = true
        })
        await admin.connect()
        this.#admin = admin
        this.#lost = false
        return true
      },
      { what: `PostgreSQL at ${this.#url}` },
    )
  }

  async #prepare(): Promise<void> {
    const admin = this.#admin
    await admin.query('DROP SCHEMA IF EXISTS fuzz CASCADE')
    await admin.query(`DROP ROLE IF EXISTS ${USER}`)
    await admin.query(`CREATE ROLE ${USER} LOGIN`)
    await admin.query('CREATE SCHEMA fuzz')
    await admin.query(`GRANT USAGE ON SCHEMA fuzz TO ${USER}`)
    for (const [v, schema] of ['fuzz_one', 'fuzz_two'].entries()) {
      await admin.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
      await admin.query(`CREATE SCHEMA ${schema}`)
      await admin.query(`CREATE TABLE ${schema}.same AS SELECT ${v} AS v`)
      await admin.query(`GRANT USAGE ON SCHEMA ${schema} TO ${USER}`)
      await admin.query(`GRANT ALL ON ${schema}.same TO ${USER}`)
    }
    await admin.query(`CREATE FUNCTION fuzz.say(tag text, count int) RETURNS int LANGUAGE plpgsql AS $$
      BEGIN
        FOR n IN 1 .. count LOOP RAISE NOTICE '% %', tag, n; END LOOP;
        RETURN count;
      END $$`)
    for (let client = 0; client < CLIENT_LIMIT; client++) {
      await admin.query(`CREATE TABLE fuzz.t${client} (id int PRIMARY KEY, tag text NOT NULL, n int CHECK (n >= 0),
        late int UNIQUE DEFERRABLE INITIALLY DEFERRED)`)
      await admin.query(`GRANT ALL ON fuzz.t${client} TO ${USER}`)
    }
    await admin.query(`CREATE TABLE fuzz.shared (client int, id int, tag text NOT NULL, n int CHECK (n >= 0),
      PRIMARY KEY (client, id))`)
    await admin.query(`GRANT ALL ON fuzz.shared TO ${USER}`)
    const last = await admin.query(
      "SELECT max(oid)::int AS oid FROM pg_class WHERE relnamespace = 'fuzz'::regnamespace",
    )
    this.#nextTable = last.rows[0].oid + 1
    const fresh = new pg.Client({ host: this.#host, port: this.#port, user: USER, database: 'postgres' })
    await fresh.connect()
    this.#untouched = (await fresh.query(STATE)).rows[0].concat_ws
    await fresh.end()
  }

  /** Runs `script` both ways; undefined where all is as it should be. `direct`: both times without pgbun. */
  async run(script: Script, patience: number, direct = false): Promise<Failure | undefined> {
    if (this.#lost) await this.#connect()
    try {
      return await this.#run(script, patience, direct)
    } catch (error) {
      if (!this.#lost) throw error
      return { kind: 'crash', text: `PostgreSQL itself ended: ${(error as Error).message}` }
    }
  }

  async #run(script: Script, patience: number, direct: boolean): Promise<Failure | undefined> {
    const address = { host: this.#host, port: this.#port }
    let stuck: Snapshot | undefined
    const onHang = (): void => {
      stuck ??= pooler?.snapshot()
    }
    let pooler: Pooler | undefined
    const expected = await this.#play(script, {
      ...{ address, pieces: direct, patience, vanish: false, cancel: false, onHang },
    })
    for (const [at, { turns }] of expected.played.entries()) {
      const missing = turns.find((turn) => turn.missing !== undefined || turn.closed)
      if (missing) {
        return {
          kind: 'direct',
          text: `the generator's fault: client ${script.clients[at]!.client} on a direct connection: ${missing.missing ?? 'closed'}`,
        }
      }
    }
    if (!direct) pooler = await this.#startPooler(script)
    try {
      const through = pooler ? { host: '127.0.0.1', port: Number((pooler.address as { port: number }).port) } : address
      const playing = this.#play(script, {
        ...{ address: through, pieces: true, patience, vanish: true, cancel: !direct, onHang },
      })
      const [found] = await Promise.all([playing, pooler && script.settings.kills && this.#killServers(playing)])
      const failure = this.#judge(script, expected, found)
      if (failure) return stuck ? { ...failure, text: `${failure.text}\n${printSnapshot(stuck)}` } : failure
      return pooler && (await this.#inspect(script, pooler, found.played, patience))
    } finally {
      await pooler?.close({ timeoutMs: 0 })
    }
  }

  async #startPooler({ settings }: Script): Promise<Pooler> {
    this.log = []
    const logger = createLogger({ level: 'debug', format: 'json', write: (line) => this.log.push(line) })
    return createPooler(
      {
        listenHost: '127.0.0.1',
        listenPort: 0,
        serverHost: this.#host,
        serverPort: this.#port,
        serverTlsMode: 'disable',
        authType: 'trust',
        poolMode: settings.mode,
        poolSize: settings.poolSize,
        maxPreparedStatements: settings.statements,
        statsPeriod: 0,
        ...(settings.pipelining !== undefined && {
          serverPipelining: 'auto',
          serverPipeliningBudget: settings.pipelining,
        }),
      },
      { logger },
    )
  }

  /** Kill one server after the other, now and then, until `playing` is over. */
  async #killServers(playing: Promise<unknown>): Promise<void> {
    let over = false
    const ends = playing
      .catch(() => {})
      .finally(() => {
        over = true
      })
    while (!over) {
      await Promise.race([ends, sleep(Math.random() * KILL_MS)])
      if (over) return
      const { rowCount } = await this.#admin.query(
        `SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity
         WHERE usename = $1 AND backend_type = 'client backend' ORDER BY random() LIMIT 1) AS one`,
        [USER],
      )
      this.pipelining.kills += rowCount ?? 0
    }
  }

  /** Plays all clients, and looks at their tables. */
  async #play(
    script: Script,
    options: Omit<Parameters<typeof playClient>[1], 'user'>,
  ): Promise<{ played: Played[]; tables: string[] }> {
    await this.#reset(script)
    const played = await Promise.all(script.clients.map((client) => playClient(client, { user: USER, ...options })))
    const tables: string[] = []
    for (const { client, turns } of script.clients) {
      // Of who vanished, nobody knows how far it got.
      if (turns.at(-1)?.wait === 'nothing') tables.push('')
      else {
        const { rows } = await this.#admin.query(`SELECT * FROM fuzz.t${client} ORDER BY id`)
        const { rows: more } = await this.#admin.query(`SELECT * FROM fuzz.shared WHERE client = ${client} ORDER BY id`)
        tables.push(JSON.stringify([...rows, ...more]))
      }
    }
    return { played, tables }
  }

  /** The tables as at the beginning. Whoever still holds a lock on them is waited for. */
  async #reset({ clients }: Script): Promise<void> {
    const tables = clients.map(({ client }) => `fuzz.t${client}`)
    await this.#admin.query(`TRUNCATE fuzz.shared, ${tables.join(', ')}`)
    await this.#admin.query(
      tables
        .map((table) => `INSERT INTO ${table} SELECT n, 'before ' || n, n, n FROM generate_series(1, 3) n`)
        .join(';'),
    )
  }

  #judge(
    { clients, settings: { kills = false } }: Script,
    expected: { played: Played[]; tables: string[] },
    found: { played: Played[]; tables: string[] },
  ): Failure | undefined {
    for (const [at, { client, canceled = false }] of clients.entries()) {
      const hung = found.played[at]!.turns.some(({ missing }) => missing !== undefined)
      const { difference, parted } = compare(client, expected.played[at]!, found.played[at]!, {
        ...{ temporary: this.#nextTable, canceled, kills },
      })
      if (difference) return { kind: hung ? 'hang' : 'difference', text: `client ${client}`, difference }
      if (parted) this.parted++
      else if (expected.tables[at] !== found.tables[at]) {
        return { kind: 'table', text: `table of client ${client}:\n- ${expected.tables[at]}\n+ ${found.tables[at]}` }
      }
    }
    return undefined
  }

  /** What must hold in pgbun once the clients are gone. */
  async #inspect(script: Script, pooler: Pooler, played: Played[], patience: number): Promise<Failure | undefined> {
    try {
      await waitFor(() => isIdle(pooler.snapshot()), { timeout: Math.min(SETTLE, patience), what: 'all to be idle' })
    } catch {
      return { kind: 'not idle', text: `after all clients left:\n${printSnapshot(pooler.snapshot())}` }
    }
    const errors = this.log.filter((line) => JSON.parse(line).level === 'error')
    if (errors.length > 0) return { kind: 'error logged', text: errors.join('\n') }
    this.#countPipelining(pooler.snapshot(), played)
    // Those who lost their server have got words that nobody counts as an answer.
    const counted = script.settings.kills ? undefined : checkCounters(script, pooler.snapshot(), played)
    if (counted !== undefined) return { kind: 'counters', text: counted }
    return this.#inspectServers(pooler)
  }

  #countPipelining({ pools }: Snapshot, played: Played[]): void {
    for (const { readies, cancels } of played) {
      this.pipelining.requests += readies
      this.pipelining.cancels += cancels
    }
    for (const { counters } of pools) {
      this.pipelining.shared += counters.sharedRequests
      this.pipelining.rerun += counters.sharedReruns
    }
  }

  /** Every server as PostgreSQL sees it, and as the next client finds it. */
  async #inspectServers(pooler: Pooler): Promise<Failure | undefined> {
    const servers = pooler.snapshot().servers
    const pids = servers.map(({ pid }) => pid)
    const busy = async (): Promise<unknown[]> => {
      const { rows } = await this.#admin.query(
        "SELECT pid, state, query FROM pg_stat_activity WHERE usename = $1 AND backend_type = 'client backend'",
        [USER],
      )
      return rows.filter(({ pid, state }) => pids.includes(pid) && state !== 'idle')
    }
    // pgbun may be making one ready for the next client, which it does when it sweeps: now, and again later.
    let found: unknown[] = []
    const settled = async (): Promise<boolean> => {
      found = await busy()
      return found.length === 0
    }
    try {
      await waitFor(settled, { timeout: SETTLE })
    } catch {
      return { kind: 'busy server', text: JSON.stringify(found) }
    }
    const clients: pg.Client[] = []
    try {
      const { port } = pooler.address as { port: number }
      // One after another within transactions: each gets another server.
      for (const _ of servers) {
        const client = new pg.Client({ host: '127.0.0.1', port, user: USER, database: 'postgres' })
        client.on('error', () => {})
        clients.push(client)
        await client.connect()
        if (pooler.snapshot().pools[0]!.mode !== 'statement') await client.query('BEGIN')
        const state = (await client.query(STATE)).rows[0].concat_ws
        if (state !== this.#untouched) return { kind: 'leak', text: `- ${this.#untouched}\n+ ${state}` }
      }
    } catch (error) {
      return { kind: 'next client', text: `the next client: ${(error as Error).message}` }
    } finally {
      await Promise.all(clients.map((client) => client.end()))
    }
    return undefined
  }
}

function printSnapshot({ pools, clients, servers }: Snapshot): string {
  return [...pools, ...clients, ...servers].map((item) => `  ${JSON.stringify(item)}`).join('\n')
}

function isIdle({ clientCount, pools, clients }: Snapshot): boolean {
  return (
    clientCount === 0 &&
    clients.length === 0 &&
    pools.every(({ waiting, servers: { active, busy, draining, beingCanceled }, ...pool }) => {
      return pool.clients === 0 && waiting === 0 && active + busy + draining + beingCanceled === 0
    })
  )
}

/** What the pools counted, compared with what the clients saw; undefined where it fits. */
function checkCounters({ settings, clients }: Script, snapshot: Snapshot, played: Played[]): string | undefined {
  const sum = { logins: 0, received: 0, readies: 0 }
  for (const item of played) {
    sum.logins += item.logins
    sum.received += item.received
    sum.readies += item.readies
  }
  const [pool] = snapshot.pools
  if (sum.logins === 0) return undefined
  if (!pool) return 'there is no pool'
  if (pool.counters.logins !== sum.logins) return `${pool.counters.logins} logins counted of ${sum.logins}`
  if (snapshot.servers.length > settings.poolSize) return `${snapshot.servers.length} servers`
  // Who vanishes misses some of what was sent, and who is canceled in the queue is answered without a server.
  if (clients.some(({ turns, canceled }) => turns.at(-1)?.wait === 'nothing' || canceled)) return undefined
  // A Sync with nothing before it is answered without a server: that much is not counted.
  const own = sum.readies - pool.counters.queries
  const sent = sum.received - own * 6
  if (own < 0 || pool.counters.sent !== sent) {
    return `${pool.counters.queries} queries and ${pool.counters.sent} bytes counted, clients got ${sum.readies} and ${sum.received}`
  }
  return undefined
}
