/** One pgbun per pid file; a file left behind by a dead process is no obstacle. */
import { spawnSync } from 'node:child_process'
import { existsSync, linkSync, lstatSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
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

t.test('a stale or empty file is replaced', async (t) => {
  const { pid } = spawnSync(process.execPath, ['--version'])
  for (const content of [`${pid}\n`, `${pid}`, `${pid}\r\n`, '']) {
    const path = join(t.testdir({ 'pgbun.pid': content }), 'pgbun.pid')
    const remove = writePidFile(path)
    t.equal(readFileSync(path, 'utf8'), `${process.pid}\n`, JSON.stringify(content))
    remove()
    t.notOk(existsSync(path))
  }
})

t.test('a file that is no pid file is neither overwritten nor removed', async (t) => {
  const { pid } = spawnSync(process.execPath, ['--version'])
  const contents = ['garbage', '-1', '0', '99999999999999999999', `${pid} users\n`, ` ${pid}`, `${pid}\n${pid}\n`, '\n']
  for (const content of contents) {
    const path = join(t.testdir({ 'pgbun.pid': content }), 'pgbun.pid')
    t.throws(() => writePidFile(path), { message: `pid_file ${path} holds something else than a process id` })
    t.equal(readFileSync(path, 'utf8'), content, JSON.stringify(content))
  }
  const dir = t.testdir({ 'pgbun.pid': {} })
  t.throws(() => writePidFile(join(dir, 'pgbun.pid')), /pgbun\.pid cannot be written: it is a directory \(EISDIR\)/)
  t.throws(() => writePidFile('/dev/null'), /holds something else/)
})

t.test('a link is not followed, wherever it leads', async (t) => {
  const { pid } = spawnSync(process.execPath, ['--version'])
  const dir = t.testdir({ text: 'precious', stale: `${pid}\n`, empty: '' })
  for (const target of ['text', 'stale', 'empty', 'nowhere']) {
    const path = join(dir, `to-${target}.pid`)
    symlinkSync(join(dir, target), path)
    t.throws(() => writePidFile(path), { message: `pid_file ${path} is a symbolic link` })
    t.ok(lstatSync(path).isSymbolicLink())
  }
  t.same([readFileSync(join(dir, 'text'), 'utf8'), readFileSync(join(dir, 'stale'), 'utf8')], ['precious', `${pid}\n`])
  t.notOk(existsSync(join(dir, 'nowhere')))
  linkSync(join(dir, 'stale'), join(dir, 'second-name.pid'))
  t.throws(() => writePidFile(join(dir, 'second-name.pid')), /holds something else/)
  t.equal(readFileSync(join(dir, 'stale'), 'utf8'), `${pid}\n`)
})

t.test('what took the place of the file is not removed', async (t) => {
  const dir = t.testdir({ other: `${process.pid}\n` })
  const path = join(dir, 'pgbun.pid')
  const replacements: Record<string, () => void> = {
    'a link': () => symlinkSync(join(dir, 'other'), path),
    'another file with our id': () => writeFileSync(path, `${process.pid}\n`),
    'a text': () => writeFileSync(path, 'precious'),
  }
  for (const [what, replace] of Object.entries(replacements)) {
    const remove = writePidFile(path)
    // Kept, so that no new file gets its number.
    renameSync(path, join(dir, `before ${what}`))
    replace()
    remove()
    t.ok(lstatSync(path), what)
    rmSync(path)
  }
  t.equal(readFileSync(join(dir, 'other'), 'utf8'), `${process.pid}\n`)
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
    message: 'pid_file /no/such/dir/pgbun.pid cannot be written: there is no such file or directory (ENOENT)',
  })
})
