/** What is set for one database or user: read from everywhere it can be written, and the order in which it counts. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { configJson, configToml } from '../../../lib/cli/show-config.ts'
import { parseHosts } from '../../../lib/config/hosts.ts'
import { resolveConfig } from '../../../lib/config/load.ts'
import { databaseValues, scopedValue } from '../../../lib/config/options.ts'
import { changesOf } from '../../../lib/config/reload.ts'
import { atOnce } from '../../../lib/util/steps.ts'

const TEXT = `[databases.reports]
session_state = "reset"

[users."old app"]
session_state = "error"

[pool]
session_state = "pin"
`

/** What is wrong with a file of this text, which is called f. */
function problemsOf(t: Test, text: string): string[] {
  const file = join(t.testdir({ 'b.toml': text }), 'b.toml')
  try {
    resolveConfig({ file })
  } catch (error) {
    return (error as Error).message.replaceAll(file, 'f').split('\n')
  }
  return []
}

t.test("the user's value, the database's, the general one", async (t) => {
  const file = join(t.testdir({ 'a.toml': TEXT }), 'a.toml')
  const options = { databases: { reports: { sessionState: 'reset' } }, users: { 'old app': { sessionState: 'error' } } }
  for (const { config } of [
    resolveConfig({ file }),
    resolveConfig({ options } as Parameters<typeof resolveConfig>[0]),
  ]) {
    const of = (database: string, user: string): string => scopedValue(config, 'sessionState', database, user)
    t.equal(of('reports', 'old app'), 'error')
    t.equal(of('reports', 'app'), 'reset')
    t.equal(of('shop', 'old app'), 'error')
    t.equal(of('shop', 'app'), 'pin')
    t.equal(of('__proto__', 'constructor'), 'pin', 'names are anything')
  }
})

t.test('names that every object of the runtime has', async (t) => {
  const names = ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__', 'prototype']
  const spellings: Record<string, (name: string) => string> = {
    header: (name) => `[users.${name}]\nsession_state = "error"\n[databases."${name}"]\nsession_state = "reset"\n`,
    'dotted keys': (name) => `users.${name}.session_state = "error"\ndatabases.${name}.session_state = "reset"\n`,
    'inline table': (name) =>
      `[users]\n${name} = { session_state = "error" }\n[databases]\n${name} = { session_state = "reset" }\n`,
  }
  for (const [how, text] of Object.entries(spellings)) {
    for (const name of names) {
      const file = join(t.testdir({ 'd.toml': text(name) }), 'd.toml')
      const { config } = resolveConfig({ file })
      t.strictSame([...config.users.entries()], [[name, { sessionState: 'error' }]], `${how}: ${name}`)
      t.equal(scopedValue(config, 'sessionState', 'shop', name), 'error')
      t.equal(scopedValue(config, 'sessionState', name, 'app'), 'reset')
      const others = names.filter((other) => other !== name)
      for (const other of others) t.equal(scopedValue(config, 'sessionState', other, other), 'pin')
      t.notOk('session_state' in Object || 'session_state' in {}, 'and nothing of the runtime has it')
    }
  }
  const all = names.map((name) => `[users.${name}]\nsession_state = "error"\n`).join('')
  const file = join(t.testdir({ 'd.toml': all }), 'd.toml')
  const resolved = resolveConfig({ file })
  t.strictSame([...resolved.config.users.keys()], names)
  writeFileSync(file, configToml(resolved))
  t.strictSame([...resolveConfig({ file }).config.users.keys()], names, 'shown, and read back')
  t.strictSame(Object.keys(JSON.parse(configJson(resolved, '1')).users), names)
  for (const text of [
    '[constructor]\nx = 1\n',
    'constructor = 1\n',
    '[pool]\nconstructor = 1\n',
    '[[__proto__]]\nx = 1\n',
  ]) {
    writeFileSync(file, text)
    t.throws(() => resolveConfig({ file }), /Unknown (section|key)/, text)
  }
  writeFileSync(file, '[users.constructor]\nsession_state = "pin"\n[users.constructor]\nsession_state = "pin"\n')
  t.throws(() => resolveConfig({ file }), /d\.toml:3: Not valid TOML: .*redefine/)
})

t.test('what cannot be', async (t) => {
  t.strictSame(problemsOf(t, '[databases]\nx = 1\n'), ["f:2: 'x' must be in a section [databases.NAME]"])
  t.strictSame(problemsOf(t, '[users."a b"]\nmax_client_conn = 1\nsession_state = "keep"\n'), [
    "f:2: 'max_client_conn' cannot be set in [users.a b]: it counts for all of pgbun",
    "f:3: Invalid session state 'keep'. Must be one of: pin, error, reset",
  ])
  t.strictSame(problemsOf(t, '[users.a]\nhost = "db"\nmin_pool_size = 3\npoolsize = 1\n'), [
    "f:2: 'host' cannot be set in [users.a]. It can be set in [databases.NAME]",
    "f:3: 'min_pool_size' cannot be set in [users.a]. It can be set in [databases.NAME]",
    "f:4: Unknown key 'poolsize' in [users.a]. Did you mean pool_size?",
  ])
  t.strictSame(
    problemsOf(
      t,
      '[databases.a]\nserver_host = "db"\nhots = "db"\nport = 70000\nreserve_pool = 1\nreserve_pool_size = 2\n' +
        'max_user_connections = 3\nquery_timeout = "soon"\nhost = "a b"\n',
    ),
    [
      "f:2: 'server_host' is called host in [databases.a]",
      "f:3: Unknown key 'hots' in [databases.a]. Did you mean host?",
      'f:6: reserve_pool_size and reserve_pool are the same option. Keep one of them',
      "f:7: 'max_user_connections' cannot be set in [databases.a]. It can be set in [users.NAME]",
      'f:4: Invalid port: 70000. Must be between 1 and 65535',
      'f:8: Invalid query_timeout: soon. Must be milliseconds as a whole number, or a number with a unit: ms, s, min, h, d',
      'f:9: Invalid host: a b. Must be host names, addresses or socket directories, separated by commas; one with a port of its own is written host:port',
    ],
  )
  const options = { users: { app: { maxClientConn: 3 } } } as Parameters<typeof resolveConfig>[0]['options']
  t.throws(() => resolveConfig({ options }), /users\.app\.maxClientConn: 'maxClientConn' cannot be set in users\.app/)
})

t.test('shown, and read back', async (t) => {
  const options = { databases: { 'a "b"': { sessionState: 'reset' } } } as const
  const resolved = resolveConfig({ options })
  const file = join(t.testdir({}), 'c.toml')
  writeFileSync(file, configToml(resolved))
  t.strictSame([...resolveConfig({ file }).config.databases], [...resolved.config.databases])
  t.match(JSON.parse(configJson(resolved, '0')), {
    databases: {
      'a "b"': {
        session_state: { value: 'reset', source: 'library', where: 'databases.a "b".sessionState' },
        pool_size: { value: 25, source: 'default' },
      },
    },
    users: {},
  })
  t.strictSame(atOnce(changesOf(resolveConfig({}).config, resolved.config)), ['databases'])
})

t.test('a database with a server of its own', async (t) => {
  const text = `[databases.app]
host = "db1,db2:5433, [::1]:5434,/run/pg"
port = 6000
user = "svc"
password = "hunter2"
pool_size = 50
[databases."*"]
[auth]
auth_type = "trust"
`
  const file = join(t.testdir({ 'a.toml': text }), 'a.toml')
  const resolved = resolveConfig({ file })
  const app = databaseValues(resolved.config, 'app')!
  t.strictSame(app, {
    host: 'db1,db2:5433, [::1]:5434,/run/pg',
    port: 6000,
    user: 'svc',
    password: 'hunter2',
    poolSize: 50,
  })
  t.strictSame(parseHosts(app.host!, app.port!), [
    { host: 'db1', port: 6000 },
    { host: 'db2', port: 5433 },
    { host: '::1', port: 5434 },
    { host: '/run/pg', port: 6000 },
  ])
  t.strictSame(databaseValues(resolved.config, 'other'), {}, 'a section without a value is one')
  t.equal(databaseValues(resolveConfig({}).config, 'other'), undefined)
  const shown = configToml(resolved)
  t.match(shown, /^password = "\*\*\*" +# .*a\.toml:5$/m)
  t.match(shown, /^# query_timeout = 0 +# default$/m, 'and what it ends up with')
  const json = configJson(resolved, '0')
  t.notMatch(json, /hunter2/)
  t.match(JSON.parse(json).databases.app.host, { value: app.host, source: 'file', where: `${file}:2` })
})

t.test('combinations of a database that cannot work', async (t) => {
  const trust = '[auth]\nauth_type = "trust"\n'
  const cases: Record<string, RegExp> = {
    '[databases.a]\nuser = "x"\n': /^f:2: user needs another auth_type than passthrough/,
    [`${trust}[databases.a]\npassword = "x"\n`]: /^f:4: password needs user/,
    [`${trust}[databases.a]\nuser = "u"\npassword = "x"\npassword_command = "y"\n`]:
      /^f:6: password and password_command are both set/,
    [`${trust}[databases.a]\nuser = "u"\npassword_file = "/not/there"\n`]:
      /^f:5: password_file names a file that does not exist: \/not\/there/,
    '[databases.a]\nhost = "localhost:6432"\n': /^f:2: pgbun would forward to itself: localhost, port 6432/,
    '[databases.a]\nport = 6432\n': /^f:2: pgbun would forward to itself: localhost, port 6432/,
    '[databases.a]\nhost = "db,db"\n': /^f:2: db, port 5432 is there twice/,
    '[databases.a]\nhost = "db:0"\n': /^f:2: The port of db must be between 1 and 65535/,
    '[databases.a]\npool_size = 3\nmin_pool_size = 4\n': /^f:3: min_pool_size 4 is larger than pool_size 3/,
    '[databases.a]\nserver_tls_negotiation = "direct"\n': /^f:2: server_tls_negotiation direct cannot fall back/,
    '[databases.a]\nserver_tls_mode = "require"\nserver_tls_key_file = "/x"\n': /server_tls_cert_file is not/,
    '[databases.pgbouncer]\n': /^f:1: The name "pgbouncer" is reserved/,
    '[pool]\nmin_pool_size = 4\n[users.a]\npool_size = 3\n': /^f:4: pool_size 3 is smaller than min_pool_size 4/,
  }
  for (const [text, expected] of Object.entries(cases)) t.match(problemsOf(t, text).join('\n'), expected, text)
})

t.test('server_host is no fault where every database has a host of its own', async (t) => {
  const listens = '[server]\nlisten_port = 5432\n'
  t.match(problemsOf(t, listens), [/pgbun would forward to itself: localhost, port 5432/])
  t.strictSame(problemsOf(t, `${listens}[databases.a]\nhost = "db.example.com"\n`), [])
  t.match(problemsOf(t, `${listens}[databases.a]\n`), [/^f:3: pgbun would forward to itself: localhost, port 5432/])
})

t.test('a password in a file that others can read', async (t) => {
  const trust = '[auth]\nauth_type = "trust"\n'
  const warnings = (password: string, mode: number): string[] => {
    const file = join(
      t.testdir({ 'f.toml': `${trust}[databases.a]\nuser = "u"\npassword = "${password}"\n` }),
      'f.toml',
    )
    chmodSync(file, mode)
    return resolveConfig({ file, env: { SECRET: 'hunter2' } }).warnings
  }
  t.match(warnings('hunter2', 0o644), [/f\.toml:5: password is in a file that can be read by every account/])
  t.notMatch(warnings('hunter2', 0o644).join(), /hunter2/)
  t.strictSame(warnings('hunter2', 0o600), [])
  t.strictSame(warnings('${SECRET}', 0o644), [])
})

t.test('variables of the environment in texts', async (t) => {
  const of = (text: string, env: Record<string, string> = {}) => {
    const file = join(t.testdir({ 'e.toml': text }), 'e.toml')
    return resolveConfig({ file, env }).config
  }
  t.equal(of('[server]\nserver_host = "${DB}"\n', { DB: 'db1' }).serverHost, 'db1')
  t.strictSame(of('[server]\nlisten_host = ["${A}", "x${A}y"]\n', { A: 'h' }).listenHost, ['h', 'xhy'])
  t.equal(of('[databases.a]\ndbname = "$${A}$"\n', { A: 'h' }).databases.get('a')!.dbname, '${A}$')
  t.throws(() => of('[databases.a]\n\ndbname = "${NOPE}"\n'), /e\.toml:3: The environment variable NOPE is not set/)
  t.throws(() => of('[databases.a]\ndbname = "${pass word}"\n'), /e\.toml:2: Not the name of an environment variable/)
})
