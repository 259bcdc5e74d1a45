/** What is set for one database or user: read from everywhere it can be written, and the order in which it counts. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { configJson, configToml } from '../../../lib/cli/show-config.ts'
import { resolveConfig } from '../../../lib/config/load.ts'
import { scopedValue } from '../../../lib/config/options.ts'
import { diffConfig } from '../../../lib/config/reload.ts'

const TEXT = `[databases.reports]
session_state = "reset"

[users."old app"]
session_state = "error"

[pool]
session_state = "pin"
`

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
  const problems = (text: string): string[] => {
    const file = join(t.testdir({}), 'b.toml')
    writeFileSync(file, text)
    try {
      resolveConfig({ file })
    } catch (error) {
      return (error as Error).message.replaceAll(file, 'f').split('\n')
    }
    return []
  }
  t.strictSame(problems('[databases]\nx = 1\n'), ["f:2: 'x' must be in a section [databases.NAME]"])
  t.strictSame(problems('[users."a b"]\npool_size = 1\nsession_state = "keep"\n'), [
    "f:2: 'pool_size' cannot be set in [users.a b]. Only session_state can",
    "f:3: Invalid session state 'keep'. Must be one of: pin, error, reset",
  ])
  const options = { users: { app: { poolSize: 3 } } } as Parameters<typeof resolveConfig>[0]['options']
  t.throws(() => resolveConfig({ options }), /users\.app\.poolSize: .*Only sessionState can/)
})

t.test('shown, and read back', async (t) => {
  const options = { databases: { 'a "b"': { sessionState: 'reset' } } } as const
  const resolved = resolveConfig({ options })
  const file = join(t.testdir({}), 'c.toml')
  writeFileSync(file, configToml(resolved))
  t.strictSame([...resolveConfig({ file }).config.databases], [...resolved.config.databases])
  t.match(JSON.parse(configJson(resolved, '0')), { databases: { 'a "b"': { sessionState: 'reset' } }, users: {} })
  t.strictSame(diffConfig(resolveConfig({}).config, resolved.config), { changed: ['databases'], needsRestart: [] })
})
