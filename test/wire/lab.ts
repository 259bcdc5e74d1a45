/** A pooler in this process between raw clients and a scripted PostgreSQL, for the tests of this ring. */
import { createPooler, type Pooler, type PoolerOptions } from '../../lib/index.ts'
import { createLogger } from '../../lib/util/logger.ts'
import { backend, type Message, parse } from '../fixtures/messages.ts'
import type { Teardown } from '../fixtures/postgres.ts'
import { connectRaw, type LoginOptions, loginRaw, type RawClient } from '../fixtures/raw-client.ts'
import {
  answerQueries,
  markRow,
  orderMark,
  type Script,
  type ScriptedConnection,
  type ScriptedPostgres,
  startScriptedPostgres,
} from '../fixtures/scripted-postgres.ts'
import { waitFor } from '../fixtures/wait.ts'

export type Client = Awaited<ReturnType<typeof loginRaw>>

export interface Lab {
  readonly server: ScriptedPostgres
  readonly pooler: Pooler
  /** Log lines so far. */
  readonly log: string[]
  /** A client that has logged in. */
  client(options?: LoginOptions): Promise<Client>
  /** A client that has connected and sent nothing. */
  connect(): Promise<RawClient>
  /** Waits for a log line that contains `text`. */
  logged(text: string): Promise<string>
  /** Waits until so many clients wait for a server. */
  waiting(count: number): Promise<unknown>
  /** Numbers of server connections by state. */
  servers(): { idle: number; active: number; busy: number; draining: number; beingCanceled: number }
}

export interface LabOptions extends PoolerOptions {
  /** What the server does. */
  script?: Script
}

/** A pooler in transaction mode with two server connections, unless `options` say otherwise. */
export async function startLab(t: Teardown, { script, ...options }: LabOptions = {}): Promise<Lab> {
  const server = await startScriptedPostgres(t, script)
  const log: string[] = []
  const pooler = await createPooler(
    {
      listenHost: '127.0.0.1',
      listenPort: 0,
      serverHost: server.host,
      serverPort: server.port,
      serverTlsMode: 'disable',
      authType: 'trust',
      poolMode: 'transaction',
      poolSize: 2,
      statsPeriod: 0,
      // A scripted server has no catalog to be asked for.
      checkFunctions: false,
      ...options,
    },
    { logger: createLogger({ level: 'debug', write: (line) => log.push(line) }) },
  )
  t.teardown(() => pooler.close({ timeoutMs: 0 }))
  const address = { host: '127.0.0.1', port: Number((pooler.address as { port?: number }).port) }
  return {
    server,
    pooler,
    log,
    client: (options) => loginRaw(t, address, options),
    connect: () => connectRaw(t, address),
    logged: (text) =>
      waitFor(() => log.find((line) => line.includes(text)), { what: () => `${text} in the log:\n${log.join('\n')}` }),
    waiting: (count) =>
      waitFor(() => pooler.snapshot().pools.reduce((sum, pool) => sum + pool.waiting, 0) === count, {
        what: `${count} waiting clients`,
      }),
    servers() {
      const sum = { idle: 0, active: 0, busy: 0, draining: 0, beingCanceled: 0 }
      for (const pool of pooler.snapshot().pools) {
        for (const state of Object.keys(sum) as (keyof typeof sum)[]) sum[state] += pool.servers[state]
      }
      return sum
    },
  }
}

/** A script that answers these simple queries by itself, and everything else as a server on which all succeeds. */
export function answering(queries: Record<string, (connection: ScriptedConnection) => void | Promise<void>>): Script {
  return {
    onMessage(connection, message) {
      const own = message.type === 'Q' ? queries[sqlOf(message)] : undefined
      return own ? own(connection) : answerQueries(connection, message)
    },
  }
}

/** A script that says nothing after the login: the test speaks in its place. Resets are answered. */
export const silent: Script = {
  onMessage(connection, message) {
    if (message.type === 'X') connection.end()
    else if (message.type === 'Q' && /DISCARD|ROLLBACK/.test(sqlOf(message))) {
      connection.send(backend.commandComplete(sqlOf(message).split(' ')[0]!), backend.ready('I'))
    } else if (message.type === 'Q') {
      const mark = orderMark(sqlOf(message))
      if (mark !== undefined) connection.send(...markRow(mark))
    }
  },
}

/** The text of a Query, or of a Parse. */
export function sqlOf(message: Message): string {
  const strings = parse.strings(message.body)
  return (message.type === 'P' ? strings[1] : strings[0]) ?? ''
}

/** The texts of the simple queries a connection has got. */
export function queriesOf(connection: ScriptedConnection): string[] {
  return connection.received.filter((message) => message.type === 'Q').map(sqlOf)
}

/** A result of one row. */
export function oneRow(value: string, status: 'I' | 'T' | 'E' = 'I'): Buffer[] {
  return [
    backend.rowDescription('a'),
    backend.dataRow(value),
    backend.commandComplete('SELECT 1'),
    backend.ready(status),
  ]
}

/** Waits until the connection has got messages of these types, after `from` messages. */
export function received(connection: ScriptedConnection, types: string, from = 0): Promise<unknown> {
  return waitFor(() => connection.types().slice(from) === types, {
    what: () => `${types} at the server, which got ${connection.types().slice(from)}`,
  })
}
