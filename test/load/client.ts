/**
 * One client of a run: a session of `pg`, whose queries are timed and counted. It waits for an answer only so long: a
 * client that starves, or a pooler that hangs, is an error and not a run without end.
 */
import pg from 'pg'
import type { Address } from './arguments.ts'
import type { Tally } from './tally.ts'

/** How long a login or an answer may take, in milliseconds. */
export const PATIENCE_MS = 15_000

/** What all clients of a run share. */
export interface Run {
  /** Tells its entries from those of others. */
  readonly id: string
  readonly address: Address
  readonly tally: Tally
  /** True in statement mode: there are no transactions. */
  readonly statementsOnly: boolean
  /** Aborted when the run is to end early. */
  readonly stop: AbortSignal
}

// biome-ignore lint/suspicious/noExplicitAny: rows are whatever the statement selects
export type Row = any

/** A `pg` client that has logged in. Its end is reported by the query that notices. */
export async function connect(address: Address, config: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({
    ...address,
    application_name: 'pgbun_load',
    connectionTimeoutMillis: PATIENCE_MS,
    query_timeout: PATIENCE_MS,
    ...config,
  })
  client.on('error', () => {})
  try {
    await client.connect()
  } catch (error) {
    cut(client)
    throw error
  }
  return client
}

/** Take away its socket without a word, as a client that crashes does. */
export function cut(client: pg.Client): void {
  // `pg` has no call for that.
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } }
  connection.stream.destroy()
}

/** Whether a transaction is refused, as in statement mode; the session is over then. */
export async function refusesTransaction(client: pg.Client): Promise<boolean> {
  // BEGIN has been answered by then, so that the refusal is the answer to nothing and comes as an event.
  let ending: (Error & { code?: string }) | undefined
  client.on('error', (error) => {
    ending ??= error
  })
  try {
    await client.query('BEGIN')
    await client.query('ROLLBACK')
    return false
  } catch (error) {
    if ([error, ending].some((one) => (one as { code?: string } | undefined)?.code === '0A000')) return true
    throw ending ?? error
  }
}

export class LoadClient {
  readonly index: number
  readonly run: Run
  #client: pg.Client | undefined
  #silent = true
  /** Why pgbun ended the session, where that was the answer to no query. */
  #ending: Error | undefined

  constructor(run: Run, index: number) {
    this.run = run
    this.index = index
  }

  /** What nobody else of this run, and no other round, says. */
  tag(round: number): string {
    return `client ${this.index} round ${round}`
  }

  /** One of its thousand accounts, another in each round, and the next one. The lower comes first: nobody waits in a ring. */
  accounts(round: number): [number, number] {
    const account = 1 + ((this.index * 7919 + round) % 999)
    return [account, account + 1]
  }

  async connect(): Promise<void> {
    const client = await connect(this.run.address)
    client.on('error', (error) => {
      if (client === this.#client) this.#ending ??= error
    })
    this.#client = client
    this.#silent = true
    this.#ending = undefined
  }

  async end(): Promise<void> {
    const client = this.#client
    this.#client = undefined
    await client?.end()
  }

  /** Its socket is gone in this moment, whatever was under way. */
  vanish(): void {
    if (this.#client) cut(this.#client)
    this.#client = undefined
  }

  /** A statement within a transaction; the first row, if there is one. */
  async query(text: string, values?: unknown[], name?: string): Promise<Row> {
    return (await this.result(text, values, name)).rows[0]
  }

  /** A statement outside of a transaction. */
  async single(text: string, values?: unknown[], name?: string): Promise<Row> {
    const row = await this.query(text, values, name)
    this.run.tally.transactions++
    return row
  }

  async begin(): Promise<void> {
    await this.result('BEGIN')
  }

  /** COMMIT or ROLLBACK, and what PostgreSQL made of it: of a failed transaction COMMIT makes ROLLBACK. */
  async finish(word: 'COMMIT' | 'ROLLBACK' = 'COMMIT'): Promise<string> {
    const { command } = await this.result(word)
    this.run.tally.transactions++
    return command
  }

  async result(text: string, values?: unknown[], name?: string): Promise<pg.QueryResult<Row>> {
    const { tally } = this.run
    const client = this.#client
    if (!client) throw new Error('the client is not connected')
    const answersBefore = tally.queries
    const before = performance.now()
    try {
      const result = await client.query<Row>({ text, values, name })
      this.#answered(before)
      return result
    } catch (error) {
      // An error is an answer, too, if PostgreSQL or pgbun has sent it.
      if (error instanceof pg.DatabaseError) this.#answered(before)
      if ((error as Error).message !== 'Query read timeout') throw this.#ending ?? error
      const others = tally.queries - answersBefore
      throw new Error(`no answer within ${PATIENCE_MS / 1000} s, while others got ${others}: ${text.slice(0, 60)}`)
    }
  }

  #answered(since: number): void {
    this.run.tally.answered(performance.now() - since)
    if (this.#silent) this.run.tally.sessions++
    this.#silent = false
  }

  /** A statement that must fail with this SQLSTATE. */
  async refused(code: string, text: string, values?: unknown[]): Promise<void> {
    const error = await this.result(text, values).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    if (error === undefined) throw new Error(`${text}: was to fail with ${code}, and did not`)
    const actual = (error as { code?: string }).code
    if (actual !== code) throw error
  }

  /** Do nothing for so long, or until the run is to end. */
  pause(ms: number): Promise<void> {
    const { stop } = this.run
    if (stop.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        stop.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      stop.addEventListener('abort', done)
    })
  }

  /** BEGIN must be refused, as in statement mode; a new session takes the place of the one that it ended. */
  async beginRefused(): Promise<void> {
    if (!(await refusesTransaction(this.#client!))) throw new Error('statement mode allowed a transaction')
    this.vanish()
    await this.connect()
  }

  /** Adds an entry; it counts once it is committed. */
  addEntry(round: number, note = this.tag(round)): Promise<Row> {
    return this.query(
      `INSERT INTO pgbun_load_entry (run, client, round, note) VALUES ($1, $2, $3, $4)
       RETURNING id::text, client, round, note`,
      [this.run.id, this.index, round, note],
    )
  }

  /** Moves one unit of money, or half of the move. */
  async move(account: number, by: 1 | -1): Promise<void> {
    await this.query('UPDATE pgbun_load_account SET balance = balance + $2 WHERE id = $1', [account, by])
  }
}
