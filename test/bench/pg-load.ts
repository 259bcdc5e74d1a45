/**
 * A small load generator on the npm package `pg`, for machines without pgbench: a program of its own, one argument (a
 * LoadRequest as JSON), a transaction log in pgbench's format. Slower than pgbench, equally so for everybody.
 */
import { writeFileSync } from 'node:fs'
import pg from 'pg'
import type { LoadRequest } from './load.ts'
import { type Statement, statementsOf } from './scripts.ts'

const request = JSON.parse(process.argv[2] ?? '') as LoadRequest
const log: string[] = []

async function connect(): Promise<pg.Client> {
  const { host, port, user, password, tls } = request
  const ssl = tls && { rejectUnauthorized: false }
  const client = new pg.Client({ host, port, user, password, ssl, database: 'postgres' })
  await client.connect()
  for (const [name, value] of Object.entries(request.parameters)) await client.query(`SET ${name} = '${value}'`)
  return client
}

async function runStatement(client: pg.Client, { text, values }: Statement): Promise<void> {
  // Without parameters pg uses the simple protocol; a name makes it a prepared statement.
  if (request.protocol === 'simple' || values.length === 0) await client.query(withValues(text, values))
  else if (request.protocol === 'extended') await client.query(text, values)
  else await client.query({ name: 'select_one', text, values })
}

function withValues(text: string, values: Statement['values']): string {
  return values.reduce<string>((filled, value, i) => filled.replace(`$${i + 1}`, String(value)), text)
}

async function work(number: number, idle: pg.Client | undefined, until: number): Promise<void> {
  let client = idle
  for (let transaction = 0; performance.now() < until; transaction++) {
    if (request.reconnect) client = await connect()
    const before = performance.now()
    for (const statement of statementsOf(request.script)) await runStatement(client!, statement)
    const after = performance.now()
    const end = performance.timeOrigin + after
    const seconds = Math.floor(end / 1000)
    const micros = Math.floor((end - seconds * 1000) * 1000)
    log.push(`${number} ${transaction} ${Math.round((after - before) * 1000)} 0 ${seconds} ${micros}`)
    if (request.reconnect) await client!.end()
  }
  if (!request.reconnect) await client!.end()
}

const numbers = Array.from({ length: request.clients }, (_, number) => number)
const clients: (pg.Client | undefined)[] = []
for (const _ of numbers) clients.push(request.reconnect ? undefined : await connect())
const until = performance.now() + request.seconds * 1000
await Promise.all(numbers.map((number) => work(number, clients[number], until)))
writeFileSync(request.logPrefix, `${log.join('\n')}\n`)
