/**
 * What programs send to a PgBouncer, word for word, and what they demand of the answers; from their public sources. Where they
 * count columns, name them or go by their types, so does this.
 */
import t from 'tap'
import { ADMIN, backend, rows, run } from './sample-console.ts'

/** Statements by program. */
const STATEMENTS: Record<string, readonly string[]> = {
  'prometheus-community/pgbouncer_exporter': [
    'SHOW STATS',
    'SHOW VERSION;',
    'SHOW LISTS;',
    'SHOW CONFIG;',
    'SHOW databases;',
    'SHOW stats_totals;',
    'SHOW pools;',
  ],
  'jbub/pgbouncer_exporter': [
    'SHOW STATS',
    'SHOW POOLS',
    'SHOW DATABASES',
    'SHOW LISTS',
    'SHOW VERSION',
    'SHOW SERVERS',
    'SHOW CLIENTS',
  ],
  'spreaker/prometheus-pgbouncer-exporter': ['SHOW STATS', 'SHOW POOLS', 'SHOW DATABASES', 'SHOW CONFIG'],
  Datadog: [
    'SHOW STATS',
    'SHOW POOLS',
    'SHOW DATABASES',
    'SHOW CONFIG',
    'SHOW CLIENTS',
    'SHOW SERVERS',
    'SHOW VERSION;',
  ],
  Telegraf: ['SHOW STATS', 'SHOW POOLS', 'SHOW LISTS', 'SHOW DATABASES'],
  Netdata: ['SHOW VERSION;', 'SHOW CONFIG;', 'SHOW DATABASES;', 'SHOW STATS;', 'SHOW POOLS;'],
  pgmetrics: ['SHOW POOLS', 'SHOW SERVERS', 'SHOW CLIENTS', 'SHOW STATS', 'SHOW DATABASES'],
  pgSCV: ['SHOW POOLS', 'SHOW CLIENTS', 'SHOW CONFIG', 'SHOW VERSION', 'SHOW STATS_TOTALS'],
  pgwatch: ['SHOW VERSION', 'show stats', 'show clients', 'show pools'],
  check_postgres: ['SHOW CONFIG', 'SHOW POOLS'],
  pgbouncerhero: [
    'SHOW databases',
    'SHOW stats',
    'SHOW lists',
    'SHOW pools',
    'SHOW clients',
    'SHOW servers',
    'SHOW users',
    'SHOW config',
    'SHOW state',
    'RELOAD',
    'SUSPEND',
  ],
  'pgbouncer_fdw over dblink': [
    'show active_sockets',
    'show clients',
    'show dns_hosts',
    'show dns_zones',
    'show mem',
    'show peers',
  ],
  'pings of pgx, lib/pq and pgjdbc': ['-- ping', ';', ''],
}

for (const [program, statements] of Object.entries(STATEMENTS)) {
  t.test(program, async (t) => {
    for (const text of statements) {
      const read = backend.read(text, ADMIN)
      t.ok(read.length <= 1)
      for (const statement of read) {
        t.match(
          await statement.run({ parameters: [], signal: new AbortController().signal }),
          { tag: /^[A-Z]+$/ },
          text,
        )
      }
    }
  })
}

t.test('as many columns as are counted (pgmetrics, pgbouncer_fdw)', async (t) => {
  for (const [topic, count] of Object.entries({
    pools: 17,
    servers: 21,
    clients: 21,
    stats: 23,
    databases: 17,
    lists: 2,
    config: 4,
    version: 1,
  })) {
    t.equal(backend.read(`SHOW ${topic}`, ADMIN)[0]!.columns!.length, count, topic)
  }
})

t.test('labels are texts: a numeric is none to lib/pq (pgbouncer_exporter)', async (t) => {
  for (const [topic, labels] of [
    ['databases', ['name', 'host', 'port', 'database', 'force_user', 'pool_mode']],
    ['stats_totals', ['database']],
    ['pools', ['database', 'user']],
  ] as const) {
    const { columns } = backend.read(`SHOW ${topic}`, ADMIN)[0]!
    for (const label of labels) t.match(columns!.find(({ name }) => name === label)?.type, /text|int4/)
  }
})

t.test('names come before values (Netdata), and numbers are numbers (Telegraf)', async (t) => {
  for (const topic of ['databases', 'stats', 'pools', 'config']) {
    t.match(backend.read(`SHOW ${topic}`, ADMIN)[0]!.columns![0]!.name, /^(name|database|key)$/)
  }
  for (const [database, ...values] of await rows('SHOW STATS')) {
    t.type(database, 'string')
    for (const value of values) t.ok(Number.isInteger(value))
  }
})

t.test('the version is one of PgBouncer (Netdata, Datadog, pgwatch)', async (t) => {
  const [[version]] = (await rows('SHOW VERSION')) as [[string]]
  t.match(version, /PgBouncer/)
  t.match(/\d+\.\d+\.\d+/.exec(version)![0], /^1\.25\./)
  t.same((await run('SHOW VERSION')).notices, [], 'Datadog takes the first notice for it')
})

t.test('times are read by their first two words (Datadog)', async (t) => {
  for (const [connected, requested] of await rows('SHOW CLIENTS (connect_time, request_time)')) {
    for (const time of [connected, requested]) t.match(time, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \w+$/)
  }
})

t.test('SELECT 1 is refused with a protocol error: pgcli knows by that what it talks to', async (t) => {
  t.throws(() => backend.read('SELECT 1', ADMIN), { fields: { sqlstate: '08P01' } } as unknown as Error)
})
