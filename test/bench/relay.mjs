/**
 * The least a pooling proxy on the streams of its runtime can do: clients share `size` servers, first come, first served;
 * a server is free again when what it sent ends like ReadyForQuery, idle. No framing, no settings, no errors. It shows
 * which part of pgbun's time is the runtime's. Enough for small queries of pgbench without a password, and no more.
 *
 *   node relay.mjs SERVER-HOST SERVER-PORT USER SIZE     says `listening on PORT`
 */
import { connect, createServer } from 'node:net'

const [host, port, user, size] = process.argv.slice(2)
const READY = 0x5a
const IDLE = 0x49
const SSL_REQUEST_LENGTH = 8
const TERMINATE = 0x58

/** What PostgreSQL greets with, for every client. */
let greeting
const idle = []
const waiting = []

function openServer() {
  const buffer = Buffer.allocUnsafeSlow(65536)
  const received = []
  const server = connect({ host, port: Number(port), noDelay: true, onread: { buffer, callback } })
  function callback(count, bytes) {
    const free = bytes[count - 6] === READY && bytes[count - 1] === IDLE
    const chunk = Buffer.from(bytes.subarray(0, count))
    if (server.holder) server.holder.write(chunk)
    else received.push(chunk)
    if (!free) return true
    if (server.holder) server.holder.holds = undefined
    else greet(Buffer.concat(received))
    serve(server)
    return true
  }
  server.on('error', () => process.exit(1))
  const startup = Buffer.from(`\0\0\0\0\0\x03\0\0user\0${user}\0database\0postgres\0\0`, 'latin1')
  startup.writeInt32BE(startup.length)
  server.write(startup)
}

/** Greet clients so from now on. */
function greet(bytes) {
  if (greeting === undefined) listener.listen({ host: '127.0.0.1', port: 0, backlog: 4096 })
  greeting = bytes
}

/** `server` goes to who has waited for longest. */
function serve(server) {
  const client = waiting.shift()
  server.holder = client
  if (client === undefined) idle.push(server)
  else lend(server, client, client.request)
}

function lend(server, client, input) {
  server.holder = client
  client.holds = server
  server.write(input)
}

function onClient(client) {
  let started = false
  client.on('error', () => client.destroy())
  client.on('data', (chunk) => {
    if (!started) {
      started = chunk.length !== SSL_REQUEST_LENGTH
      client.write(started ? greeting : 'N')
    } else if (chunk[0] === TERMINATE) client.destroy()
    else if (client.holds) client.holds.write(chunk)
    else if (idle.length > 0) lend(idle.pop(), client, chunk)
    else {
      client.request = chunk
      waiting.push(client)
    }
  })
}

const listener = createServer({ noDelay: true }, onClient)
listener.on('listening', () => console.log(`listening on ${listener.address().port}`))
for (let i = 0; i < Number(size); i++) openServer()
