/** Metrics and health over HTTP: what a scraper, a probe and a stranger get from a pgbun that runs. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import path from 'node:path'
import t, { type Test } from 'tap'
import { makeCertificates, writeCertificates } from '../fixtures/certificates.ts'
import { type Pgbun, type PgbunOptions, runPgbun, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { noPrometheus, startPrometheus } from '../fixtures/prometheus.ts'
import { connectRaw, loginRaw } from '../fixtures/raw-client.ts'
import { startScriptedPostgres } from '../fixtures/scripted-postgres.ts'
import { waitFor } from '../fixtures/wait.ts'

const TOKEN = 'a-token-of-the-tests'

interface Reply {
  status: number
  headers: http.IncomingHttpHeaders
  body: string
}

function get(url: string, options: https.RequestOptions = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const { request } = url.startsWith('https') ? https : http
    const sent = request(url, { agent: false, ...options }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (part) => (body += part))
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body }))
    })
    sent.on('error', reject)
    sent.end()
  })
}

/** pgbun with HTTP at a free port, and the address of that. */
async function start(t: Test, options: PgbunOptions = {}, listen = '0'): Promise<{ pgbun: Pgbun; url: string }> {
  const pgbun = await startPgbun(t, { ...options, args: ['--http-listen', listen, ...(options.args ?? [])] })
  const [, url] = await pgbun.waitForLog(/metrics and health at (\S+)/)
  return { pgbun, url: url! }
}

/** The value of a series, as a number; undefined where there is none. */
function value(text: string, series: string): number | undefined {
  const line = text.split('\n').find((line) => line.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length + 1))
}

t.test('in front of PostgreSQL', async (t) => {
  const server = await startPostgres(t)
  const { pgbun, url } = await start(t, { target: server, poolMode: 'transaction', poolSize: 3 })
  const { database } = pgbun
  const client = await pgbun.connect()
  for (let i = 0; i < 5; i++) await client.query('select 1')
  await client.query('begin; select pg_sleep(0.02); commit')
  await t.rejects(client.query('select 1/0'), { code: '22012' })
  const pair = `database="${database}",user="postgres"`

  await t.test('/metrics has what pgbouncer_exporter has, and more', async (t) => {
    // The client has its error before its server is free again.
    const { status, headers, body } = await waitFor(async () => {
      const reply = await get(`${url}/metrics`)
      return Number(value(reply.body, `pgbouncer_pools_server_idle_connections{${pair}}`)) >= 1 && reply
    })
    t.equal(status, 200)
    t.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
    t.equal(value(body, 'pgbouncer_up'), 1)
    t.equal(value(body, 'pgbouncer_config_max_client_connections'), 100)
    t.equal(value(body, `pgbouncer_pools_client_active_connections{${pair}}`), 1)
    t.ok(value(body, `pgbouncer_stats_queries_pooled_total{database="${database}"}`)! >= 7)
    t.ok(value(body, `pgbouncer_stats_server_in_transaction_seconds_total{database="${database}"}`)! >= 0.02)
    t.match(
      body,
      new RegExp(`pgbouncer_databases_current_connections\\{name="${database}",host="[^"]+",port="${server.port}"`),
    )
    t.equal(value(body, `pgbun_errors_total{database="${database}",sqlstate="22012"}`), 1)
    const count = value(body, `pgbun_query_duration_seconds_count{${pair}}`)!
    t.ok(count >= 7)
    t.equal(value(body, `pgbun_query_duration_seconds_bucket{le="+Inf",${pair}}`), count)
    const slow = count - value(body, `pgbun_query_duration_seconds_bucket{le="0.01",${pair}}`)!
    t.ok(slow >= 1, 'the one that slept is in no lower bucket')
    t.ok(value(body, `pgbun_connect_duration_seconds_count{${pair}}`) === undefined || count > 0)
    t.match(body, /^pgbun_build_info\{version="\d+\.\d+\.\d+",runtime="(?:node|bun)"/m)
    t.ok(value(body, 'process_resident_memory_bytes')! > 1e6)
    t.ok(value(body, 'pgbun_event_loop_lag_seconds_count')! >= 0)
  })

  await t.test('OpenMetrics for who asks for it', async (t) => {
    const headers = { accept: 'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3' }
    const reply = await get(`${url}/metrics`, { headers })
    t.match(reply.headers['content-type'], /^application\/openmetrics-text; version=1\.0\.0/)
    t.match(reply.body, /# TYPE pgbouncer_stats_queries_pooled counter\npgbouncer_stats_queries_pooled_total\{/)
    t.match(reply.body, /\n# EOF\n$/)
  })

  await t.test('promtool finds nothing to say, and Prometheus scrapes it', { skip: noPrometheus }, async (t) => {
    const { body } = await get(`${url}/metrics`)
    t.equal(execFileSync('promtool', ['check', 'metrics'], { input: body, encoding: 'utf8' }), '')
    const target = new URL(url).host
    const prometheus = await startPrometheus(
      t,
      t.testdir({}),
      `global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: pgbun\n  static_configs: [{targets: ['${target}']}]\n`,
    )
    const ask = async (query: string): Promise<string | undefined> => (await prometheus.query(query))[0]?.value[1]
    await waitFor(async () => (await ask('up{job="pgbun"}')) === '1', { what: 'a scrape that succeeds' })
    await waitFor(async () => (await ask('pgbouncer_up')) === '1', { what: 'the samples' })
    t.equal(await ask(`pgbun_errors_total{sqlstate="22012"}`), '1')
  })

  await t.test('/healthz, /readyz and what it is about a database', async (t) => {
    t.match(await get(`${url}/healthz`), { status: 200, body: '{"status":"ok"}\n' })
    const ready = await get(`${url}/readyz?database=${database}`)
    t.equal(ready.status, 200, ready.body)
    t.match(JSON.parse(ready.body), { status: 'ready', checks: { [`database ${database}`]: { ok: true } } })
    t.match(ready.headers, { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
  })

  await t.test('/api/snapshot', async (t) => {
    const { status, body } = await get(`${url}/api/snapshot`)
    t.equal(status, 200)
    t.match(JSON.parse(body), { clientCount: 1, pools: [{ database, user: 'postgres', size: 3 }] })
  })

  await t.test('what the live page asks for', async (t) => {
    const ask = async (path: string) => JSON.parse((await get(`${url}${path}`)).body)
    const overview = await ask('/api/overview')
    t.match(overview, { role: 'stats', paused: false, databases: [{ name: database, paused: false }] })
    t.match(overview.errors, [{ database, sqlstate: '22012', count: 1 }])
    await client.query('begin')
    t.match(await ask('/api/clients'), [{ user: 'postgres', why: 'idle in transaction', pid: Number }])
    await client.query('commit')
    t.same(await ask('/api/clients'), [])
    t.match(await ask('/api/clients?all'), [{ user: 'postgres', why: '' }])
    const [query] = await ask('/api/queries?order=calls&limit=1')
    t.match(query, { calls: 5, database, text: null }, 'texts are for admins, unless stats_show_queries is set')
    t.equal((await get(`${url}/api/queries?order=constructor`)).status, 400)
    t.equal((await get(`${url}/api/queries?limit=0`)).status, 400)
    const { seconds, minutes } = await waitFor(async () => {
      const history = await ask('/api/history')
      return history.seconds.at.length > 1 && history
    })
    t.match(seconds.clients.at(-1), 1)
    t.same(Object.keys(minutes), Object.keys(seconds))
  })

  await t.test('/ is the page for browsers, and the list of paths for others', async (t) => {
    const accept = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
    const page = await get(`${url}/`, { headers: { accept } })
    t.match(page, { status: 200, headers: { 'content-type': 'text/html; charset=utf-8' }, body: /<title>pgbun/ })
    t.match(page.headers['content-security-policy'], /script-src 'self'.*frame-ancestors 'none'/)
    const files = [...page.body.matchAll(/(?:src|href)="(page\/[^"]+)"/g)].map(([, file]) => file!)
    t.ok(files.length >= 5)
    for (const file of files) t.equal((await get(`${url}/${file}`)).status, 200, file)
    t.match(JSON.parse((await get(`${url}/`)).body).pgbun, { '/metrics': String, '/api/history': String })
  })

  await t.test('/api/stream', async (t) => {
    let text = ''
    const sent = http.get(`${url}/api/stream`, { agent: false }, (response) => {
      t.equal(response.headers['content-type'], 'text/event-stream; charset=utf-8')
      response.setEncoding('utf8').on('data', (part) => (text += part))
    })
    sent.on('error', () => {})
    const events = (name: string) =>
      [...text.matchAll(/^event: (\w+)\ndata: (.*)\n\n/gm)]
        .filter(([, event]) => event === name)
        .map(([, , data]) => JSON.parse(data!))
    await waitFor(() => events('snapshot').length > 0)
    t.match(events('snapshot')[0], { clientCount: 1, pools: [{ database, user: 'postgres', clients: 1 }] })
    await client.query('select 42')
    const counted = await waitFor(() => events('delta').find(({ databases }) => databases.length > 0))
    t.match(counted.databases, [{ database, counters: { queries: 1, transactions: 1 } }])
    t.match(await get(`${url}/api/stream`, { method: 'HEAD' }), { status: 200, body: '' })
    const more = Array.from({ length: 19 }, () => http.get(`${url}/api/stream`, { agent: false }))
    await Promise.all(more.map((one) => new Promise((resolve) => one.on('response', resolve).on('error', () => {}))))
    t.equal((await get(`${url}/api/stream`)).status, 503, 'one too many')
    for (const one of [sent, ...more]) one.destroy()
    await waitFor(async () => {
      const next = http.get(`${url}/api/stream`, { agent: false })
      const status = await new Promise((resolve) => {
        next.on('response', ({ statusCode }) => resolve(statusCode)).on('error', () => {})
      })
      next.destroy()
      return status === 200
    })
  })

  await t.test('other names, methods and paths', async (t) => {
    const rebound = await get(`${url}/metrics`, { headers: { host: 'evil.example.com:6433' } })
    t.equal(rebound.status, 403)
    t.match(rebound.body, /"evil\.example\.com|no name of this machine/)
    const { port } = new URL(url)
    t.equal((await get(`${url}/metrics`, { headers: { host: `localhost:${port}` } })).status, 200)
    t.match(await get(`${url}/metrics`, { method: 'POST' }), { status: 405, headers: { allow: 'GET, HEAD' } })
    t.match(await get(`${url}/nothing`), { status: 404, body: /\/metrics/ })
    t.equal((await get(`${url}/healthz`, { method: 'HEAD' })).body, '')
    for (const reply of [rebound, await get(`${url}/healthz`)]) {
      t.notOk('access-control-allow-origin' in reply.headers)
      t.match(reply.headers['content-security-policy'], /default-src 'none'/)
    }
  })

  await t.test('it drains', async (t) => {
    await client.query('begin')
    pgbun.signal('SIGTERM')
    const draining = await waitFor(async () => {
      const reply = await get(`${url}/readyz`)
      return reply.status === 503 && reply
    })
    t.match(JSON.parse(draining.body).checks.accepting, { ok: false, reason: /shutdown/ })
    t.equal((await get(`${url}/healthz`)).status, 200, 'the process lives')
    await client.query('commit')
    t.match(await pgbun.exit, { code: 0 })
  })
})

t.test('other machines need credentials', async (t) => {
  const target = await startScriptedPostgres(t)
  const dir = t.testdir({ 'userlist.txt': '"boss" "of-the-tests"\n"eye" "sees-all"\n"app" "app"\n' })
  const config = {
    auth: {
      auth_type: 'scram-sha-256',
      auth_file: path.join(dir, 'userlist.txt'),
      admin_users: 'boss',
      stats_users: 'eye',
    },
    http: { http_token: TOKEN },
  }
  const { pgbun, url } = await start(t, { target, config }, '0.0.0.0:0')
  t.match(pgbun.logs(), /http_listen 0\.0\.0\.0:0 is for other machines, too, and without TLS/)
  const local = url.replace('0.0.0.0', '127.0.0.1')
  const as = async (authorization?: string): Promise<number> =>
    (await get(`${local}/metrics`, { headers: authorization === undefined ? {} : { authorization } })).status
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`
  t.equal(await as(), 401)
  t.equal(await as(`Bearer ${TOKEN}`), 200)
  t.equal(await as(`Bearer ${TOKEN}x`), 401)
  t.equal(await as(basic('boss:of-the-tests')), 200)
  t.equal(await as(basic('eye:sees-all')), 200)
  t.equal(await as(basic('eye:wrong')), 401)
  t.equal(await as(basic('app:app')), 401, 'a user that is none of the console')
  t.equal(await as(basic('nobody:app')), 401)
  t.equal(await as('Negotiate abc'), 401)
  t.equal((await get(`${local}/healthz`)).status, 200, 'probes have none')
  const strange = await get(`${local}/readyz?database=app`)
  t.equal(JSON.parse(strange.body).status === 'ready' || !/127\.0\.0\.1|ECONN/.test(strange.body), true)
  t.notMatch(pgbun.logs(), new RegExp(`${TOKEN}|sees-all|of-the-tests`), 'nothing secret in the log')
  t.match(pgbun.logs(), /HTTP: login refused.*user=eye/)
  const short = await runPgbun(t, ['--http-listen', '0', '--http-token', 'short'])
  t.match(short.stderr, /http_token.*16 to 512 printable/)
  t.notMatch(short.stderr, /short\b(?!er)/)
})

t.test('visitors that leave while PostgreSQL judges their password', async (t) => {
  const waiting = new Set<Socket>()
  const silent = createServer((socket) =>
    waiting.add(socket.on('error', () => {}).on('close', () => waiting.delete(socket))),
  )
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  t.teardown(() => silent.close())
  const { port } = silent.address() as AddressInfo
  const args = [
    '--http-token',
    TOKEN,
    '--stats-users',
    'eye',
    '--server-tls-mode',
    'disable',
    '--allow-cleartext-password',
  ]
  const { pgbun, url } = await start(t, { target: { host: '127.0.0.1', port }, args }, '0.0.0.0:0')
  const local = url.replace('0.0.0.0', '127.0.0.1')
  const authorization = `Basic ${Buffer.from('eye:x').toString('base64')}`
  const visitors = Array.from({ length: 25 }, () =>
    http.get(`${local}/metrics`, { agent: false, headers: { authorization } }).on('error', () => {}),
  )
  await waitFor(() => waiting.size > 0, { what: 'a login' })
  for (const visitor of visitors) visitor.destroy()
  silent.on('connection', (socket) => socket.destroy())
  for (const socket of waiting) socket.destroy()
  t.equal((await get(`${local}/metrics`, { headers: { authorization } })).status, 401, 'PostgreSQL is gone')
  t.equal((await get(`${local}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } })).status, 200)
  t.notMatch(pgbun.logs(), /internal error/)
})

t.test('without credentials that could be shown, only probes are answered', async (t) => {
  const target = await startScriptedPostgres(t)
  const { pgbun, url } = await start(t, { target }, '0.0.0.0:0')
  t.match(pgbun.logs(), /nobody may look: only \/healthz and \/readyz answer\. Set http_token, or name stats_users/)
  const local = url.replace('0.0.0.0', '127.0.0.1')
  for (const path of ['/healthz', '/readyz']) t.equal((await get(local + path)).status, 200, path)
  for (const path of ['/metrics', '/api/snapshot', '/api/stream', '/api/clients', '/api/queries', '/api/history'])
    for (const headers of [{}, { authorization: 'Bearer ' }, { authorization: 'Basic Og==' }])
      t.equal((await get(local + path, { headers })).status, 401, path)
})

t.test('TLS with the certificate for clients, which a reload replaces', async (t) => {
  const target = await startScriptedPostgres(t)
  const dir = t.testdir({})
  const { server, ca } = writeCertificates(dir, makeCertificates())
  const args = ['--client-tls-key-file', server.key, '--client-tls-cert-file', server.cert, '--http-token', TOKEN]
  const { pgbun, url } = await start(t, { target, args }, '0.0.0.0:0')
  t.match(url, /^https:/)
  const { readFileSync } = await import('node:fs')
  const seen = async (): Promise<{ status: number; serial: string }> => {
    let serial = ''
    const reply = await new Promise<Reply>((resolve, reject) => {
      const { port } = new URL(url)
      const sent = https.request(
        `https://localhost:${port}/metrics`,
        { agent: false, ca: readFileSync(ca.cert), headers: { authorization: `Bearer ${TOKEN}` } },
        (response) => {
          const { socket } = response
          if ('getPeerCertificate' in socket)
            serial = (socket as import('node:tls').TLSSocket).getPeerCertificate().serialNumber
          response.resume()
          response.on('end', () => resolve({ status: response.statusCode!, headers: {}, body: '' }))
        },
      )
      sent.on('error', reject)
      sent.end()
    })
    return { status: reply.status, serial }
  }
  const before = await seen()
  t.equal(before.status, 200)
  await t.rejects(get(url.replace('https://0.0.0.0', 'http://127.0.0.1')), 'without TLS there is no answer')
  writeCertificates(dir, makeCertificates())
  pgbun.signal('SIGHUP')
  await pgbun.waitForLog(/client certificates reloaded/)
  await waitFor(async () => (await seen()).serial !== before.serial, { what: 'the new certificate' })
})

t.test('a reload that fails is told, and pgbun stays ready', async (t) => {
  const target = await startScriptedPostgres(t)
  const dir = t.testdir({ 'pgbun.toml': '[pool]\npool_size = 3\n' })
  const file = path.join(dir, 'pgbun.toml')
  const { pgbun, url } = await start(t, { target, args: ['--config', file] })
  const last = async () => value((await get(`${url}/metrics`)).body, 'pgbun_config_last_reload_successful')
  t.equal(await last(), 1)
  writeFileSync(file, '[pool]\npool_size = 0\n')
  pgbun.signal('SIGHUP')
  await waitFor(async () => (await last()) === 0)
  const ready = await get(`${url}/readyz`)
  t.equal(ready.status, 200)
  t.match(JSON.parse(ready.body).checks.configuration, { ok: true, reason: /pool_size/ })
  writeFileSync(file, '[pool]\npool_size = 4\n')
  pgbun.signal('SIGHUP')
  await waitFor(async () => (await last()) === 1)
})

t.test('a database whose server does not answer', async (t) => {
  const { pgbun, url } = await start(t, { target: { host: '127.0.0.1', port: 1 } })
  const { status, body } = await get(`${url}/readyz?database=app`)
  t.equal(status, 503)
  t.match(JSON.parse(body), {
    status: 'not ready',
    checks: { listening: { ok: true }, 'database app': { ok: false, reason: /refused/ } },
  })
  t.equal((await get(`${url}/readyz`)).status, 200)
  t.match(await pgbun.stop(), { code: 0 })
})

t.test('a port in use', async (t) => {
  const { url } = await start(t)
  const { port } = new URL(url)
  const { code, stderr } = await runPgbun(t, [
    '--listen-port',
    '0',
    '--listen-host',
    '127.0.0.1',
    '--http-listen',
    port,
  ])
  t.equal(code, 1)
  t.match(stderr, new RegExp(`cannot listen on 127\\.0\\.0\\.1, port ${port}, for HTTP: another program listens there`))
})

t.test('while all else is at its limits', async (t) => {
  const target = await startScriptedPostgres(t)
  const args = ['--auth-type', 'trust', '--server-tls-mode', 'disable', '--max-client-conn', '1']
  const { pgbun, url } = await start(t, { target, args })
  await loginRaw(t, pgbun)
  const second = await connectRaw(t, pgbun)
  await t.rejects(second.login())
  for (const path of ['/healthz', '/readyz', '/metrics', '/api/snapshot'])
    t.equal((await get(url + path)).status, 200, path)
})

t.test('hostile clients', async (t) => {
  const target = await startScriptedPostgres(t)
  const { pgbun, url } = await start(t, { target, args: ['--auth-type', 'trust', '--server-tls-mode', 'disable'] })
  const { port } = new URL(url)
  const silent = (text = '') => {
    const socket = connect(Number(port), '127.0.0.1', () => socket.write(text))
    socket.on('error', () => {})
    t.teardown(() => socket.destroy())
    return socket
  }
  const sockets = Array.from({ length: 1000 }, (_, i) => silent(i % 2 ? 'GET /metrics HTTP/1.1\r\nHost: local' : ''))
  await waitFor(() => sockets.filter(({ closed }) => closed).length >= 700, { what: 'the oldest to be closed' })
  t.equal((await get(`${url}/readyz`)).status, 200, 'probes get through')
  const long = silent(`GET /${'x'.repeat(10_000_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  const garbage = silent('\x16\x03\x01\x00\x01\r\n\r\n')
  const upgrade = silent(
    'GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  )
  const proxy = silent('CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n')
  for (const socket of [long, garbage, upgrade, proxy]) {
    socket.resume()
    await waitFor(() => socket.closed, { what: 'its end' })
  }
  await waitFor(() => sockets.every(({ closed }) => closed), { what: 'the end of slow requests', timeout: 30_000 })
  t.equal((await get(`${url}/healthz`)).status, 200)
  t.notMatch(pgbun.logs(), /ERROR|WARN.*HTTP/, 'nobody hears of them')
})
