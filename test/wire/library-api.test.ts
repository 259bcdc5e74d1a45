/** What a program sees of the library beside its clients: loggers of both conventions, errors, types, the end by `await using`. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type Logger, pino } from 'pino'
import t, { type Test } from 'tap'
import {
  ConfigError,
  createPooler,
  type FieldsFirstDeps,
  type FieldsFirstLogger,
  ListenError,
  type MessageFirstLogger,
  type Pooler,
  type PoolerDeps,
  type PoolerOptions,
} from '../../lib/index.ts'
import { connectRaw, loginRaw } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'
import { startLab } from './lab.ts'

/** In front of a server that is not there: nobody is let in. */
const NOWHERE: PoolerOptions = {
  listenHost: '127.0.0.1',
  listenPort: 0,
  serverHost: '127.0.0.1',
  serverPort: 1,
  authType: 'trust',
}

const addressOf = (pooler: Pooler) => ({ host: '127.0.0.1', port: (pooler.address as { port: number }).port })

/** A pooler with that logger, at which one client was refused and one connection was closed again. */
async function withRefusal(t: Test, deps: PoolerDeps | FieldsFirstDeps, options: PoolerOptions = {}): Promise<Pooler> {
  const pooler = await createPooler({ ...NOWHERE, ...options }, deps as PoolerDeps)
  t.teardown(() => pooler.close({ timeoutMs: 0 }))
  const probe = await connectRaw(t, addressOf(pooler))
  probe.destroy()
  await t.rejects(loginRaw(t, addressOf(pooler), { user: 'bob\x1b[31m' }), { code: '57P03' })
  return pooler
}

const REFUSED = {
  msg: /^client refused: cannot connect to the server: connection to 127\.0\.0\.1, port 1 refused$/,
  user: 'bob\x1b[31m',
  database: 'postgres',
  sqlstate: '57P03',
  client: Number,
  age_ms: Number,
}

t.test('pino: message and fields arrive, also of a child', async (t) => {
  const lines: string[] = []
  const root = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) })
  const loggers: Record<string, Logger> = { root, child: root.child({ component: 'pooler' }) }
  for (const [name, logger] of Object.entries(loggers)) {
    await t.test(name, async (t) => {
      lines.length = 0
      await withRefusal(t, { logger })
      const records = () => lines.map((line) => JSON.parse(line))
      await waitFor(() => records().some(({ msg }) => /client refused/.test(msg)))
      t.match(
        records().find(({ msg }) => /client refused/.test(msg)),
        { ...REFUSED, level: 40, pid: process.pid },
      )
      t.ok(
        records().some(({ level, address }) => level === 20 && /^127/.test(address)),
        'debug lines, as its level says',
      )
      if (name === 'child') for (const record of records()) t.equal(record.component, 'pooler')
      // Each key once: some readers take the first of two, some the last.
      for (const line of lines) t.equal(JSON.stringify(JSON.parse(line)), line.trim())
    })
  }
})

t.test('pino: its own level counts', async (t) => {
  const lines: string[] = []
  const logger = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) })
  const pooler = await withRefusal(t, { logger }, { logLevel: 'debug' })
  await pooler.close({ timeoutMs: 0 })
  t.ok(lines.length > 0)
  for (const line of lines) t.match(JSON.parse(line).level, 40)
})

t.test('loggers that take the message first', async (t) => {
  const calls: { level: string; msg: string; fields?: Record<string, unknown> }[] = []
  const method =
    (level: string) =>
    (msg: string, fields?: Record<string, unknown>): void =>
      void calls.push({ level, msg, fields })
  const bare: MessageFirstLogger = {
    debug: method('debug'),
    info: method('info'),
    warn: method('warn'),
    error: method('error'),
  }
  // winston has children, too, and tells its level.
  const winston = { ...bare, child: () => winston, isLevelEnabled: () => true }
  for (const [name, logger] of Object.entries({ bare, winston })) {
    calls.length = 0
    const pooler = await withRefusal(t, { logger })
    await waitFor(() => calls.some(({ msg }) => /client refused/.test(msg)))
    const refused = calls.find(({ msg }) => /client refused/.test(msg))!
    t.match({ ...refused, ...refused.fields }, { ...REFUSED, level: 'warn' }, name)
    t.notOk(Object.values(refused.fields!).includes(undefined), 'no field without a value')
    const debug = (): boolean => calls.some(({ level }) => level === 'debug')
    t.equal(debug(), name === 'winston', `${name}: logLevel decides where the logger has no level`)
    await pooler.reload({ logLevel: 'debug' })
    await t.rejects(loginRaw(t, addressOf(pooler)))
    const probe = await connectRaw(t, addressOf(pooler))
    probe.destroy()
    await waitFor(debug)
  }
})

t.test('a logger that takes the fields first and cannot be told from the others', async (t) => {
  const calls: { fields: Record<string, unknown>; message: string }[] = []
  const method = (fields: Record<string, unknown>, message: string): void => void calls.push({ fields, message })
  const logger: FieldsFirstLogger = { debug: method, info: method, warn: method, error: method }
  await withRefusal(t, { logger, loggerArguments: 'fields-first' })
  await waitFor(() => calls.some(({ message }) => /client refused/.test(message)))
  const { fields, message } = calls.find((call) => /client refused/.test(call.message))!
  t.match({ ...fields, msg: message }, REFUSED)
})

t.test('a logger cannot harm a client, and clients cannot harm a terminal', async (t) => {
  const messages: string[] = []
  const bad = (message: string): never => {
    messages.push(message)
    throw new Error('disk full')
  }
  const lost = async (message: string): Promise<never> => bad(message)
  for (const logger of [
    { debug: bad, info: bad, warn: bad, error: bad },
    { debug: lost, info: lost, warn: lost, error: lost },
  ]) {
    const pooler = await createPooler({ ...NOWHERE, authType: 'plain', authFile: userlist(t) }, { logger })
    t.teardown(() => pooler.close({ timeoutMs: 0 }))
    await t.rejects(loginRaw(t, addressOf(pooler), { user: 'x\r\n\x1b[31m', password: 'no' }), { code: '28P01' })
  }
  t.ok(messages.some((message) => /password authentication failed for user "x\\u000d/.test(message)))
  // biome-ignore lint/suspicious/noControlCharactersInRegex: their absence is the assertion
  for (const message of messages) t.notMatch(message, /[\u0000-\u001f]/)
})

t.test('a logger without the methods is a mistake that is said', async (t) => {
  const logger = { info: () => {}, error: () => {} } as unknown as MessageFirstLogger
  await t.rejects(createPooler(NOWHERE, { logger }), {
    name: 'ConfigError',
    code: 'ERR_PGBUN_CONFIG',
    message: /logger: .*debug/,
  })
})

function userlist(t: Test, text = '"bob\x1b[31m" "secret"\n'): string {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-library-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const file = path.join(dir, 'users.txt')
  writeFileSync(file, text)
  return file
}

t.test('every mistake is a ConfigError with a code, and speaks of options as the program does', async (t) => {
  const bad = userlist(t, '"bob"\n')
  const mistakes: [PoolerOptions, RegExp][] = [
    [{ listenPort: 99999 }, /^listenPort: Invalid listenPort: 99999/],
    [{ serverConnectTimeout: 500 }, /^serverConnectTimeout: .*at least 1000/],
    [{ poolSyze: 3 } as PoolerOptions, /^poolSyze: Unknown option\. Did you mean poolSize/],
    [{ pool_size: 3 } as PoolerOptions, /^pool_size: Unknown option\. Write poolSize/],
    [
      { authFile: '/nowhere/auth_file.txt' },
      /^authFile: authFile names a file that does not exist: \/nowhere\/auth_file\.txt$/,
    ],
    [{ authFile: bad }, /^authFile: \/.*users\.txt:1: expected/],
    [{ authType: 'md5' }, /^authType: authType md5 needs authFile/],
    [{ clientTlsMode: 'require' }, /^clientTlsMode: .*Set clientTlsKeyFile and clientTlsCertFile, or clientTlsMode/],
    [{ clientTlsMode: 'require', clientTlsKeyFile: bad, clientTlsCertFile: bad }, /^clientTlsCertFile: /],
    [{ serverTlsCertFile: bad }, /^serverTlsCertFile: serverTlsCertFile is set, but serverTlsKeyFile is not/],
    [{ serverTlsNegotiation: 'direct' }, /^serverTlsNegotiation: .*Set serverTlsMode to require/],
    [{ listenHost: [] }, /^listenHost: Nothing to listen on: listenHost and unixSocketDir are both empty/],
    [{ minPoolSize: 50 }, /^minPoolSize: minPoolSize 50 is larger than poolSize 25/],
  ]
  for (const [options, message] of mistakes) {
    const error = await createPooler({ ...NOWHERE, ...options }, { logger: false }).catch((error) => error)
    t.ok(error instanceof ConfigError, String(error))
    t.match(error, {
      name: 'ConfigError',
      code: 'ERR_PGBUN_CONFIG',
      message,
      problems: [{ where: String, message: String }],
    })
    t.notMatch(error.message.replace(/\/\S+/g, '').replace(/^pool_size/, ''), /[a-z]_[a-z]/, error.message)
  }
})

t.test('reload throws what it documents, and changes nothing', async (t) => {
  const { pooler } = await startLab(t, { poolSize: 2 })
  const before = pooler.snapshot().pools
  const mistakes: [PoolerOptions, RegExp][] = [
    [{ listenPort: 7777, unixSocketDir: '/tmp' }, /^listenPort: Cannot change.*\nunixSocketDir: Cannot change/],
    [{ poolSize: 0 }, /^poolSize: Invalid poolSize: 0\. Must be between 1 and/],
    [{ authType: 'scram-sha-256', authFile: userlist(t, 'bob\n') }, /^authFile: .*users\.txt:1: expected/],
    [{ serverTlsMode: 'verify-ca', serverTlsCaFile: userlist(t, 'no certificate') }, /^serverTlsCaFile: /],
  ]
  for (const [options, message] of mistakes) {
    const error = await pooler.reload(options).catch((error) => error)
    t.ok(error instanceof ConfigError, String(error))
    t.match(error, { code: 'ERR_PGBUN_CONFIG', message })
  }
  t.same(pooler.snapshot().pools, before)
})

t.test('an address that is taken is a ListenError', async (t) => {
  const { pooler } = await startLab(t)
  const error = await createPooler({ ...NOWHERE, listenPort: addressOf(pooler).port }, { logger: false }).catch(
    (e) => e,
  )
  t.ok(error instanceof ListenError)
  t.match(error, { name: 'ListenError', code: 'EADDRINUSE', message: /choose another listenPort/ })
})

t.test('the compiler knows what a logger gets', async (t) => {
  const quiet = { debug() {}, warn() {}, error() {} }
  const users: unknown[] = []
  const deps = {
    first: await createPooler(NOWHERE, {
      logger: { ...quiet, info: (msg, fields) => void users.push(msg.length, fields?.user) },
    }),
    second: await createPooler(NOWHERE, {
      logger: { ...quiet, info: (fields, msg) => void users.push(msg.length, fields.user) },
      loggerArguments: 'fields-first',
    }),
    third: await createPooler(NOWHERE, { logger: { ...console, ...quiet, info() {} } }),
  }
  for (const pooler of Object.values(deps)) await pooler.close()
  t.ok(users.length > 0)
})

t.test('await using closes the pooler', async (t) => {
  let port = 0
  {
    await using pooler = await createPooler(NOWHERE, { logger: false })
    port = addressOf(pooler).port
    await connectRaw(t, { port })
    const state: 'session' | 'transaction' | 'statement' | undefined = pooler.snapshot().pools[0]?.mode
    t.equal(state, undefined)
  }
  await t.rejects(connectRaw(t, { port }), { code: 'ECONNREFUSED' })
})
