/**
 * Behind its TLS handshake a client could ask for as many more as it liked, each at our cost, and a record that cannot be
 * deciphered left a connection open that heard nothing any more. PostgreSQL refuses the one and ends the other.
 */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import type { TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { makeCertificates, writeCertificates } from '../fixtures/certificates.ts'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { type Address, connectRaw } from '../fixtures/raw-client.ts'
import { pgbunRuntime } from '../fixtures/runtimes.ts'
import { waitFor, withDeadline } from '../fixtures/wait.ts'

const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-tls-'))
t.teardown(() => rmSync(dir, { recursive: true, force: true }))
const certificates = makeCertificates()
const files = writeCertificates(dir, certificates)
const { certificate, key } = certificates.client

/** What becomes of a client that asks for another handshake. */
async function renegotiate(t: Test, address: Address): Promise<string> {
  const client = await connectRaw(t, address)
  await client.startTls({ maxVersion: 'TLSv1.2', cert: certificate, key })
  await client.login()
  const socket = client.socket as TLSSocket
  const ended = new Promise<string>((resolve) => {
    socket.on('error', (error) => resolve(error.message))
    socket.renegotiate({ rejectUnauthorized: false }, (error) => resolve(error ? error.message : 'done'))
  })
  return withDeadline(ended, 'the handshake to be done or refused')
}

/** Sends what is no TLS record into the connection of a client, and waits for its end. */
async function spoil(t: Test, address: Address, maxVersion: 'TLSv1.2' | 'TLSv1.3', record: Buffer): Promise<void> {
  const outside = net.connect(address.port!, '127.0.0.1')
  t.teardown(() => outside.destroy())
  const relay = net.createServer((inside) => {
    inside.on('error', () => {})
    inside.pipe(outside, { end: false })
    outside.pipe(inside)
  })
  t.teardown(() => relay.close())
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  const client = await connectRaw(t, { port: (relay.address() as net.AddressInfo).port })
  await client.startTls({ maxVersion, cert: certificate, key })
  await client.login()
  client.send(frontend.query('BEGIN'))
  await client.readUntil('Z')
  const ended = new Promise((resolve) => outside.on('end', resolve).on('close', resolve).on('error', resolve))
  outside.write(record)
  await withDeadline(ended, `the end behind a broken record of ${maxVersion}`)
  client.destroy()
}

const header = (type: number, length: number): Buffer => Buffer.from([type, 3, 3, length >> 8, length & 0xff])
const broken: Record<string, Buffer> = {
  'a record that cannot be deciphered': Buffer.concat([header(0x17, 32), Buffer.alloc(32, 7)]),
  'a record of no type': Buffer.concat([header(0x77, 32), Buffer.alloc(32, 7)]),
  'a record that is too long': header(0x17, 0xffff),
  'a message in the clear': Buffer.concat([frontend.query('SELECT 1'), frontend.query('SELECT 1')]),
}

t.test('behind the handshake', async (t) => {
  const { certificate: cert, key } = certificates.server
  const server = await startPostgres(t, { tls: { cert, key } })
  const ports: Record<string, Address> = { 'PostgreSQL itself': server }
  const modes = { node: ['allow', 'prefer', 'require', 'verify-ca'], bun: ['require', 'verify-ca'] }
  for (const runtime of ['node', 'bun'] as const) {
    for (const mode of modes[runtime]) {
      const args = ['--client-tls-mode', mode, '--client-tls-key-file', files.server.key]
      args.push('--client-tls-cert-file', files.server.cert, '--client-tls-ca-file', files.ca.cert)
      ports[`mode ${mode} on ${runtime}`] = await startPgbun(t, {
        target: server,
        args,
        runtime: pgbunRuntime(runtime),
      })
    }
  }
  for (const [name, address] of Object.entries(ports)) {
    await t.test(name, async (t) => {
      t.match(await renegotiate(t, address), /no renegotiation/)
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
        for (const [what, record] of Object.entries(broken)) {
          await spoil(t, address, version, record)
          t.pass(`${version}: ${what}`)
        }
      }
    })
  }
  const left = "SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction'"
  await waitFor(async () => (await server.query(left)).length === 0, { what: 'the end of all transactions' })
})
