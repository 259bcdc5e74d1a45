/**
 * Twenty clients run transactions through pgbun and connect again when they are told to go, while pgbun is stopped and
 * started: none of them may be ended in the middle of a transaction, and what was said to be committed must be there.
 *
 *   node docker/stop-under-load.mjs URL CONTAINER
 */
import { execFile } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'

const [url, container] = process.argv.slice(2)
const docker = (...words) => promisify(execFile)('docker', words)
const table = 'stop_under_load'
let committed = 0
let torn = 0
let reconnects = 0
let ending = false

async function connect() {
  for (const end = Date.now() + 30_000; ; ) {
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => {})
    try {
      await client.connect()
      return client
    } catch (error) {
      if (Date.now() > end) throw error
      await delay(50)
    }
  }
}

async function work(id) {
  let client = await connect()
  for (let n = 0; !ending; n++) {
    try {
      await client.query('BEGIN')
    } catch {
      // Between transactions it may be told to go.
      reconnects++
      client = await connect()
      continue
    }
    try {
      await client.query(`INSERT INTO ${table} VALUES ($1, $2)`, [id, n])
      await client.query('SELECT pg_sleep(0.01)')
      await client.query('COMMIT')
      committed++
    } catch (error) {
      torn++
      console.error(`client ${id}, transaction ${n}: ${error.message}`)
      client = await connect()
    }
  }
  await client.end()
}

const owner = await connect()
await owner.query(`DROP TABLE IF EXISTS ${table}`)
await owner.query(`CREATE TABLE ${table} (client int, n int, PRIMARY KEY (client, n))`)
await owner.end()
const clients = Promise.all(Array.from({ length: 20 }, (_, id) => work(id)))
await delay(1000)
const before = Date.now()
await docker('stop', '-t', '35', container)
const stopped = Date.now()
await docker('start', container)
await delay(2000)
ending = true
await clients
const last = await connect()
const { rows } = await last.query(`SELECT count(*)::int AS count FROM ${table}`)
await last.query(`DROP TABLE ${table}`)
await last.end()
const result = { committed, rows: rows[0].count, torn, reconnects, stop_ms: stopped - before }
console.log(JSON.stringify(result))
process.exitCode = torn === 0 && rows[0].count === committed && reconnects > 0 ? 0 : 1
