/** One pgbun per pid file; a file left behind by a dead process is no obstacle. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { writePidFile } from '../../../lib/cli/pid-file.ts'

t.test('written, and removed at the end', async (t) => {
  const path = join(t.testdir({}), 'pgbun.pid')
  const remove = writePidFile(path)
  t.equal(readFileSync(path, 'utf8'), `${process.pid}\n`)
  remove()
  t.notOk(existsSync(path))
  t.doesNotThrow(remove, 'twice is harmless')
})

t.test('the file of a running process is left alone', async (t) => {
  const path = join(t.testdir({ 'pgbun.pid': `${process.ppid}\n` }), 'pgbun.pid')
  t.throws(() => writePidFile(path), {
    message: `pid_file ${path} belongs to process ${process.ppid}, which is running`,
  })
  t.equal(readFileSync(path, 'utf8'), `${process.ppid}\n`)
})

t.test('a stale or damaged file is replaced', async (t) => {
  const { pid } = spawnSync(process.execPath, ['--version'])
  for (const content of [`${pid}\n`, '', 'garbage', '-1', '0', '99999999999999999999']) {
    const path = join(t.testdir({ 'pgbun.pid': content }), 'pgbun.pid')
    const remove = writePidFile(path)
    t.equal(readFileSync(path, 'utf8'), `${process.pid}\n`, JSON.stringify(content))
    remove()
  }
})

t.test('a file another process took over is not removed', async (t) => {
  const path = join(t.testdir({}), 'pgbun.pid')
  const remove = writePidFile(path)
  writeFileSync(path, '1\n')
  remove()
  t.equal(readFileSync(path, 'utf8'), '1\n')
})

t.test('a path that cannot be written is named', async (t) => {
  t.throws(() => writePidFile('/no/such/dir/pgbun.pid'), {
    message: 'pid_file /no/such/dir/pgbun.pid cannot be written (ENOENT)',
  })
})
