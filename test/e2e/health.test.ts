/** `pgbun health`: the exit code says whether a pgbun is ready or at least listens, and asking leaves no trace. */
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'
import path from 'node:path'
import t, { type Test } from 'tap'
import { makeCertificates, writeCertificates } from '../fixtures/certificates.ts'
import { type Pgbun, runPgbun, startPgbun } from '../fixtures/pgbun.ts'
import { freePort } from '../fixtures/ports.ts'
import { rootDir } from '../fixtures/postgres.ts'
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

t.test('with http_listen it asks /readyz', async (t) => {
  const http = await freePort()
  const pgbun = await start(t, '--http-listen', String(http), '--http-token', 'a-token-of-the-tests')
  const ready = await ask(t, pgbun, '--http-listen', String(http), '--http-token', 'another-token-of-the-tests')
  t.same(ready, { ...ready, code: 0, stderr: '' })
  t.equal(ready.stdout, `pgbun is ready, says /readyz at 127.0.0.1, port ${http}\n`)
  t.notMatch(pgbun.logs(), /HTTP: wrong/, 'a token that is not needed is not shown')
  const client = await loginRaw(t, pgbun)
  await client.query('begin')
  pgbun.signal('SIGTERM')
  await pgbun.waitForLog(/shutting down/)
  const draining = await ask(t, pgbun, '--http-listen', `localhost:${http}`)
  t.equal(draining.code, 1)
  t.equal(draining.stderr, `pgbun: pgbun at localhost, port ${http} is not ready: a shutdown has begun\n`)
  await client.query('commit').catch(() => {})
  await waitFor(() => client.closed, { what: 'the end' })
})

t.test('at all addresses, with TLS or without it', async (t) => {
  const { server } = writeCertificates(t.testdir(), makeCertificates())
  const files = ['--client-tls-key-file', server.key, '--client-tls-cert-file', server.cert]
  const http = await freePort()
  const pgbun = await start(t, '--http-listen', `0.0.0.0:${http}`, ...files)
  await pgbun.waitForLog(/metrics and health at https:/)
  for (const host of ['0.0.0.0', '*', '127.0.0.1'])
    for (const more of [files, []]) {
      const { code, stdout } = await ask(t, pgbun, '--http-listen', `${host}:${http}`, ...more)
      t.equal(code, 0, host)
      t.match(stdout, /^pgbun is ready, says \/readyz at (?:127\.0\.0\.1|localhost), port/)
    }
})

t.test('the configuration of the images', async (t) => {
  const http = await freePort()
  const text = readFileSync(path.join(rootDir, 'docker/pgbun.toml'), 'utf8')
  const config = text.replace('"127.0.0.1:6433"', `"127.0.0.1:${http}"`)
  t.not(config, text)
  const file = path.join(t.testdir({ 'pgbun.toml': config }), 'pgbun.toml')
  const pgbun = await start(t, '--config', file)
  const { stdout } = await ask(t, pgbun, '--config', file)
  t.match(stdout, /^pgbun is ready, says \/readyz at 127\.0\.0\.1/)
})

t.test('a reload that has failed is told', async (t) => {
  const file = path.join(t.testdir({}), 'pgbun.toml')
  const http = await freePort()
  writeFileSync(file, `[http]\nhttp_listen = "127.0.0.1:${http}"\n`)
  const pgbun = await start(t, '--config', file)
  writeFileSync(file, `[http]\nhttp_listen = "127.0.0.1:${http}"\n[pool]\npool_size = 0\n`)
  pgbun.signal('SIGHUP')
  await pgbun.waitForLog(/Invalid pool_size/)
  const { code, stdout } = await ask(t, pgbun, '--http-listen', String(http))
  t.equal(code, 0, 'the old configuration is in force')
  t.match(stdout, /^pgbun is ready, .* \(configuration: .*pool_size/)
})

t.test('where nothing answers HTTP, the port for clients counts', async (t) => {
  const pgbun = await start(t)
  const http = await freePort()
  const { code, stdout } = await ask(t, pgbun, '--http-listen', String(http))
  t.equal(code, 0)
  t.equal(stdout, `pgbun listens at 127.0.0.1, port ${pgbun.port}; nothing answers HTTP at 127.0.0.1, port ${http}\n`)
  await pgbun.stop()
  const nobody = await ask(t, pgbun, '--http-listen', String(http))
  t.equal(nobody.code, 1)
  t.match(nobody.stderr, /^pgbun: connection to 127\.0\.0\.1, port \d+ refused/)
})

t.test('another program answers HTTP', async (t) => {
  const pgbun = await start(t)
  let body = '<html>'
  const other = createHttpServer((_, response) => response.end(body)).listen(0, '127.0.0.1')
  t.teardown(() => other.close())
  await once(other, 'listening')
  const { port } = other.address() as { port: number }
  for (body of ['<html>', '{"status":"ok"}', 'x'.repeat(1_000_000)]) {
    const { code, stderr } = await ask(t, pgbun, '--http-listen', String(port))
    t.equal(code, 1)
    t.equal(stderr, `pgbun: what answers at http://127.0.0.1:${port} is not pgbun: is it another program?\n`)
  }
  body = '{"status":"ready","checks":{"a":{"ok":true,"reason":"\\u001b[2J\\u202e"}}}'
  const { stdout } = await ask(t, pgbun, '--http-listen', String(port))
  t.match(stdout, /\(a: .+\)\n$/)
  for (const char of ['\u001b', '\u202e']) t.notOk(stdout.includes(char), 'nothing moves the cursor')
})

t.test('HTTP that never answers', async (t) => {
  const stuck = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1')
  t.teardown(() => stuck.close())
  await once(stuck, 'listening')
  const { port } = stuck.address() as { port: number }
  const pgbun = await start(t)
  const { code, stderr } = await ask(t, pgbun, '--http-listen', String(port))
  t.equal(code, 1)
  t.equal(stderr, `pgbun: http://127.0.0.1:${port}/readyz does not answer: is pgbun stuck?\n`)
})
