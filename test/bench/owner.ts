/**
 * Who started what: processes and directories of the benchmark end with it, in the order opposite to their start, on
 * Ctrl-C, too. Programs run in process groups of their own, so that Ctrl-C reaches the benchmark alone.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'

/** How long a program may take to end after it was asked to, in milliseconds. */
const GRACE = 10_000

const alive = new Set<ChildProcess>()
// An end that nothing prepared (an exception, process.exit) must not leave programs behind either.
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

/** A set of things that end together. */
export class Owner {
  #cleanups: (() => unknown)[] = []
  #ending: Promise<void> | undefined

  /** Run `cleanup` at the end, before those added earlier. */
  teardown(cleanup: () => unknown): void {
    this.#cleanups.unshift(cleanup)
  }

  /** End everything; what goes wrong is said on standard error and holds up nothing. May be called twice. */
  end(): Promise<void> {
    this.#ending ??= this.#end()
    return this.#ending
  }

  async #end(): Promise<void> {
    for (let cleanup = this.#cleanups.shift(); cleanup !== undefined; cleanup = this.#cleanups.shift()) {
      try {
        await cleanup()
      } catch (error) {
        process.stderr.write(`${(error as Error).message}\n`)
      }
    }
  }

  /** A new directory under the temporary one, removed at the end. */
  directory(name: string): string {
    const dir = mkdtempSync(path.join(os.tmpdir(), `pgbun-bench-${name}-`))
    this.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
    return dir
  }

  /** Start a program; at the end it gets `stopSignal`. @throws Error once the end has begun */
  start(command: string, args: string[], options: SpawnOptions = {}, stopSignal: NodeJS.Signals = 'SIGTERM'): Program {
    if (this.#ending) throw new Error(`${command} is not started any more: the benchmark ends`)
    const program = new Program(command, args, options)
    this.teardown(() => program.stop(stopSignal))
    return program
  }
}

/** A running program and the last of what it printed. */
export class Program {
  readonly child: ChildProcess
  /** Its exit code; null after a signal. Rejects where it could not be started. */
  readonly exit: Promise<number | null>
  /** The end of its standard output and error, mixed. */
  output = ''

  constructor(command: string, args: string[], options: SpawnOptions) {
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, ...options })
    alive.add(this.child)
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8')
      stream?.on('data', (text: string) => {
        this.output = (this.output + text).slice(-10_000)
      })
    }
    this.exit = new Promise((resolve, reject) => {
      this.child.once('error', reject)
      this.child.once('close', (code) => {
        alive.delete(this.child)
        resolve(code)
      })
    })
    this.exit.catch(() => alive.delete(this.child))
  }

  /** True until it ended. */
  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  /** Ask it to end, and see to it. */
  async stop(signal: NodeJS.Signals): Promise<void> {
    if (!this.running) return
    this.child.kill(signal)
    const timer = setTimeout(() => this.child.kill('SIGKILL'), GRACE)
    await this.exit.catch(() => {})
    clearTimeout(timer)
  }
}
