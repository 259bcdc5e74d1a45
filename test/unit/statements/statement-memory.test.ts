/** `max_prepared_statement_memory` is what statements take, as measured, whatever they look like. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { type ParseSettings, SettingValues, UNKNOWN_SETTINGS } from '../../../lib/settings/setting-values.ts'
import { ClientStatements } from '../../../lib/statements/client-statements.ts'
import { StatementStore } from '../../../lib/statements/shared-statements.ts'

const LIMIT = 48 * 1024 * 1024

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes in use. What a collection has found of buffers is freed beside it, and known to be free by the next one. */
function used(): number {
  for (let least = Number.POSITIVE_INFINITY; ; ) {
    collect()
    const { heapUsed, external } = process.memoryUsage()
    if (heapUsed + external >= least) return least
    least = heapUsed + external
  }
}

/** `text` in one piece, as it comes from a client: V8 makes ropes of what is put together. */
function flat(text: string): string {
  return Buffer.from(text, 'utf16le').toString('utf16le')
}

/** Texts and settings of the statement `i` of `client`. */
const SHAPES: Record<string, (client: number, i: number) => { sql: string; settings: ParseSettings }> = {
  'short texts': (client, i) => ({ sql: `SELECT ${client}, ${i}`, settings: NONE }),
  'texts just short enough to be looked up by': (client, i) => ({
    sql: `SELECT ${client}, ${i} -- ${'x'.repeat(220)}`,
    settings: NONE,
  }),
  'texts just too long for that': (client, i) => ({
    sql: `SELECT ${client}, ${i} -- ${'x'.repeat(260)}`,
    settings: NONE,
  }),
  'long texts': (client, i) => ({ sql: `SELECT ${client}, ${i} -- ${'x'.repeat(100_000)}`, settings: NONE }),
  'the same text for all': () => ({ sql: 'SELECT 1', settings: NONE }),
  'short texts of transactions': (_, i) => ({ sql: `SELECT ${i}`, settings: UNKNOWN_SETTINGS }),
  'settings of which each client has its own, in letters of two bytes': (client, i) => ({
    sql: `SELECT ${i}`,
    settings: new SettingValues(new Map([['app.text', flat(`${client}, ${i} ${'ż'.repeat(200)}`)]])),
  }),
  // Each statement has its own, which is hashed: no longer than it takes for them not to be kept.
  'settings just too long to be kept': (client, i) => ({
    sql: `SELECT ${i}`,
    settings: new SettingValues(new Map([['app.text', flat(`${client}, ${i} ${'ż'.repeat(4100)}`)]])),
  }),
}
const NONE = new SettingValues(new Map())

for (const [name, make] of Object.entries(SHAPES)) {
  t.test(name, async (t) => {
    const store = new StatementStore()
    const clients: ClientStatements[] = []
    const before = used()
    let full = false
    for (let client = 0; !full; client++) {
      const names = new ClientStatements(store, 'user')
      clients.push(names)
      for (let i = 0; i < 1000 && !full; i++) {
        const { sql, settings } = make(client, i)
        const body = Buffer.from(`${sql}\0\0\0`)
        full = names.judge(settings, body, LIMIT) !== 'fits'
        if (full) break
        const entry = names.hold(settings, body)
        const key = `statement ${client} ${i} ${'n'.repeat(40)}`
        names.change(key, entry, 1)
        names.settle(key, true)
        // What it is executed as in a transaction that has set something.
        names.executed(entry, UNKNOWN_SETTINGS)
      }
    }
    const taken = used() - before
    t.ok(store.bytes > LIMIT * 0.45 && store.bytes < LIMIT * 0.55, `${store.bytes} counted`)
    t.ok(taken <= store.bytes * 1.1, `${taken} bytes measured, ${store.bytes} counted`)
    for (const names of clients) names.destroy()
    t.equal(store.bytes, 0)
    t.equal(store.size, 0)
  })
}
