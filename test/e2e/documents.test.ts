/** The TOML of the documents, as a user would copy it: with the files it names, each of them starts a pgbun. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import t from 'tap'
import { makeCertificates, writeCertificates } from '../fixtures/certificates.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { rootDir, startPostgres } from '../fixtures/postgres.ts'

const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-documents-'))
t.teardown(() => rmSync(dir, { recursive: true, force: true }))
const files = writeCertificates(dir, makeCertificates())
const userlist = path.join(dir, 'userlist.txt')
writeFileSync(userlist, '"postgres" "postgres"\n', { mode: 0o600 })
const appPassword = path.join(dir, 'app-password')
writeFileSync(appPassword, 'app\n', { mode: 0o600 })
const socketDir = path.join(dir, 'sockets')
mkdirSync(socketDir)

/** Where the paths of the documents are in this test. */
const paths: Record<string, string> = {
  'server.key': files.server.key,
  'server.crt': files.server.cert,
  'ca.crt': files.ca.cert,
  'root.crt': files.ca.cert,
  'db-ca.crt': files.ca.cert,
  'userlist.txt': userlist,
  'app-password': appPassword,
}

function blocksOf(file: string): string[] {
  const text = readFileSync(path.join(rootDir, file), 'utf8')
  return [...text.matchAll(/^```toml\n([\s\S]*?)^```/gm)].map(([, toml]) => toml!)
}

/** `toml` with paths of this test, on no address of its own. */
function onThisMachine(toml: string): string {
  return toml
    .replace(
      /^(\w+_file = )"(?:[^"]*\/)?([^"/]+)"/gm,
      (_, key, name) => `${key}${JSON.stringify(paths[name] ?? `not known: ${name}`)}`,
    )
    .replace(/^unix_socket_dir = .*/gm, `unix_socket_dir = ${JSON.stringify(socketDir)}`)
    .replace(/^http_listen = .*:/gm, 'http_listen = "127.0.0.1:')
    .replace(/^(http_listen = ".*):\d+"/gm, '$1:0"')
    .replace(/^pid_file = .*/gm, `pid_file = ${JSON.stringify(path.join(dir, 'pgbun.pid'))}`)
}

for (const file of ['README.md', 'CONFIG.md', 'TLS.md', 'TRANSACTION-MODE.md', 'CONSOLE.md', 'METRICS.md']) {
  t.test(`the TOML of ${file}`, async (t) => {
    for (const toml of blocksOf(file)) {
      const target = { host: 'localhost', port: 1 }
      const env = { DB_HOST: 'db.example.com', HTTP_TOKEN: 'a-token-of-the-tests' }
      const pgbun = await startPgbun(t, { config: onThisMachine(toml), target, env })
      t.match(await pgbun.stop(), { code: 0 }, toml.split('\n').slice(0, 3).join(' '))
    }
  })
}

t.test('the first TOML of the README serves', async (t) => {
  const server = await startPostgres(t)
  const pgbun = await startPgbun(t, { config: onThisMachine(blocksOf('README.md')[0]!), target: server })
  const client = await pgbun.connect()
  t.same((await client.query('SELECT 40 + 2 AS answer')).rows, [{ answer: 42 }])
  await t.rejects(pgbun.connect({ password: 'wrong' }), { code: '28P01' })
})

t.test('the probes of the Kubernetes manifest', async (t) => {
  const manifest = readFileSync(path.join(rootDir, 'docker/kubernetes/pgbun.yaml'), 'utf8')
  const toml = /^ {2}pgbun\.toml: \|\n((?: {4}.*\n|\n)*)/m.exec(manifest)![1]!.replace(/^ {4}/gm, '')
  const port = /- name: http\n\s+containerPort: (\d+)/.exec(manifest)![1]!
  t.match(toml, `http_listen = "*:${port}"`, 'the port of the probes')
  const pgbun = await startPgbun(t, {
    config: toml.replace(`*:${port}`, '*:0'),
    target: { host: 'localhost', port: 1 },
  })
  const [, httpPort] = await pgbun.waitForLog(/metrics and health at \S+:(\d+)/)
  const paths = Array.from(manifest.matchAll(/httpGet: \{ path: (\S+), port: http \}/g), ([, found]) => found!)
  t.same(paths, ['/readyz', '/readyz', '/healthz'])
  for (const found of paths) t.equal((await fetch(`http://127.0.0.1:${httpPort}${found}`)).status, 200, found)
})
