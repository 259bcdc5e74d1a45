/** SIGHUP to a pgbun whose pid file is there, and which does not listen yet, ended it. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import t from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { waitFor } from '../fixtures/wait.ts'

t.test('SIGHUP while it starts', async (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-hang-up-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const pidFile = path.join(dir, 'pid')
  const started = startPgbun(t, { args: ['--pid-file', pidFile] })
  started.catch(() => {})
  const pid = await waitFor(() => existsSync(pidFile) && Number(readFileSync(pidFile, 'utf8')), {
    what: 'the pid file',
  })
  process.kill(pid, 'SIGHUP')
  const pgbun = await started
  await pgbun.waitForLog(/configuration reloaded/)
  t.equal(pgbun.pid, pid)
  t.match(await pgbun.stop(), { code: 0 })
})
