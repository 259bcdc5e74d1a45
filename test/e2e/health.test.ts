/** `pgbun health`: the exit code says whether a pgbun listens, and asking leaves no trace. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import t, { type Test } from 'tap'
import { makeCertificates, writeCertificates } from '../fixtures/certificates.ts'
import { type Pgbun, runPgbun, startPgbun } from '../fixtures/pgbun.ts'
import { connectRaw, loginRaw } from '../fixtures/raw-client.ts'
import { startScriptedPostgres } from '../fixtures/scripted-postgres.ts'
import { waitFor } from '../fixtures/wait.ts'

const ask = (t: Test, { port }: { port: number }, ...more: string[]) =>
  runPgbun(t, ['health', '--listen-port', String(port), ...more])

async function start(t: Test, ...args: string[]): Promise<Pgbun> {
  const target = await startScriptedPostgres(t)
  return startPgbun(t, { target, args: ['--auth-type', 'trust', '--server-tls-mode', 'disable', ...args] })
}

t.test('it listens', async (t) => {
  const pgbun = await start(t, '--max-client-conn', '1')
  const { code, stdout, stderr } = await ask(t, pgbun)
  t.same({ code, stderr }, { code: 0, stderr: '' })
  t.equal(stdout, `pgbun listens at 127.0.0.1, port ${pgbun.port}\n`)
  await loginRaw(t, pgbun)
  t.equal((await ask(t, pgbun)).code, 0, 'also when it takes no more clients')
  t.equal((await ask(t, pgbun, '--listen-host', '127.0.0.1,::1')).code, 0, 'the first address is asked')
  const later = await connectRaw(t, pgbun)
  await t.rejects(later.login())
  await pgbun.waitForLog(/client refused/)
  t.notMatch(pgbun.logs(), /before its login/, 'no line in the log')
})

t.test('it wants TLS', async (t) => {
  const { server } = writeCertificates(t.testdir(), makeCertificates())
  const files = ['--client-tls-key-file', server.key, '--client-tls-cert-file', server.cert]
  const pgbun = await start(t, '--client-tls-mode', 'require', ...files, '--verbose')
  t.equal((await ask(t, pgbun)).code, 0)
  await pgbun.waitForLog(/DEBUG connection closed before its login: the client left during the TLS handshake/)
})

t.test('nothing listens, or somebody else', async (t) => {
  const other = createServer((socket) =>
    socket
      .on('error', () => {})
      .resume()
      .end('SSH-2.0-x\r\n'),
  ).listen(0, '127.0.0.1')
  t.teardown(() => other.close())
  await once(other, 'listening')
  const { port } = other.address() as { port: number }
  // Its first letter is that of a yes; what it says is no answer of one byte.
  const { code, stderr } = await ask(t, { port })
  t.equal(code, 1)
  t.match(stderr, /does not answer as pgbun does: is it another program/)
  await new Promise((resolve) => other.close(resolve))
  const nobody = await ask(t, { port })
  t.equal(nobody.code, 1)
  t.match(nobody.stderr, /^pgbun: connection to 127\.0\.0\.1, port \d+ refused/)
})

t.test('a mistake in the configuration', async (t) => {
  const { code, stderr } = await runPgbun(t, ['health', '--listen-prot', '1'])
  t.equal(code, 2)
  t.match(stderr, /--listen-port/)
})

t.test('it drains', async (t) => {
  const pgbun = await start(t)
  const client = await loginRaw(t, pgbun)
  await client.query('begin')
  pgbun.signal('SIGTERM')
  await pgbun.waitForLog(/shutting down/)
  const draining = await ask(t, pgbun)
  t.equal(draining.code, 1)
  t.match(draining.stderr, /refused/)
  t.notOk(client.closed, 'while its transaction may end')
  await client.query('commit').catch(() => {})
  await waitFor(() => client.closed, { what: 'the end' })
})
