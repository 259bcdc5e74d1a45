/**
 * Processes around an embedded PostgreSQL: the watcher that cleans up after us, and small helpers.
 *
 * Called by embedded-postgres.ts only. What must hold: whatever ends this process, its PostgreSQL ends too.
 */
import { type SpawnOptions, spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import type { Account } from './embedded-binaries.ts'

/**
 * Reads a process id per line for as long as the parent lives. When the pipe closes without the word `done`, it ends
 * that process and removes its directories. The server removes its postmaster.pid last of all: waiting for that and not
 * only for the process id also works where nobody collects orphans, as in a container without an init process.
 */
const watcherScript = `
pid=0
while read -r word; do
  [ "$word" = done ] && exit 0
  pid=$word
done
if [ "$pid" -gt 0 ]; then
  kill "-$1" "$pid" 2>/dev/null
  n=0
  while [ "$n" -lt 200 ] && [ -e "$3/postmaster.pid" ] && kill -0 "$pid" 2>/dev/null; do
    sleep 0.1
    n=$((n + 1))
  done
  [ "$n" -lt 200 ] || kill -KILL "$pid" 2>/dev/null
fi
rm -rf "$2"
[ "$4" = keep ] || rm -rf "$3"
exit 0
`

/** Tell it a process id whenever one starts, `0` when it ended, `done` when there is nothing left to clean up. */
export interface Watcher {
  tell(word: string): void
}

/**
 * Starts the watcher.
 * @param signal what PostgreSQL gets, without `SIG`.
 * @param baseDir is removed afterwards.
 * @param dataDir is removed too unless `keepData`.
 */
export function startWatcher(
  signal: string,
  baseDir: string,
  dataDir: string,
  keepData: boolean,
  account: Account,
): Watcher {
  const args = [signal, baseDir, dataDir, keepData ? 'keep' : 'remove']
  const watcher = spawn('sh', ['-c', watcherScript, 'pgbun-embedded', ...args], {
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    ...(account && { uid: account.uid, gid: account.gid }),
  })
  watcher.on('error', () => {})
  watcher.stdin!.on('error', () => {})
  watcher.unref()
  unrefStream(watcher.stdin)
  return { tell: (word: string): void => void watcher.stdin!.write(`${word}\n`) }
}

/** Runs a program to its end. Rejects with what it printed when it fails. */
export function runToEnd(file: string, args: string[], input: string, options: SpawnOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const program = spawn(file, args, { ...options, stdio: ['pipe', 'ignore', 'pipe'] })
    let output = ''
    program.stderr!.on('data', (chunk) => {
      output += chunk
    })
    program.stdin!.on('error', () => {})
    program.stdin!.end(input)
    program.once('error', reject)
    program.once('close', (code) => {
      if (code === 0) resolve()
      else reject(new Error(`${path.basename(file)} failed with exit code ${code}\n${output.trim()}`))
    })
  })
}

/** Calls `handle` for each complete line of a text stream. */
export function eachLine(stream: NodeJS.ReadableStream, handle: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) handle(line)
  })
}

/** Pipes of a child keep the event loop alive like sockets do; on both runtimes they carry `unref`. */
export function unrefStream(stream: unknown): void {
  ;(stream as { unref?: () => void } | null)?.unref?.()
}

/** Process ids of the direct children, from /proc; none where there is no /proc. */
export function childrenOf(parent: number): number[] {
  if (!fs.existsSync('/proc/self/stat')) return []
  const children: number[] = []
  for (const name of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const stat = fs.readFileSync(`/proc/${name}/stat`, 'utf8')
      // "pid (name) state ppid …"; the name may hold anything, also a parenthesis.
      const ppid = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]
      if (Number(ppid) === parent) children.push(Number(name))
    } catch {
      // Gone since the listing.
    }
  }
  return children
}
