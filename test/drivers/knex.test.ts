/** Knex on `pg`: query builder, transactions, stream, its migrations with their lock table. */
import knex, { type Knex } from 'knex'
import { commonSteps, type Query } from './common-steps.ts'
import { testDriver } from './lab.ts'

/** It warns of each lock that it finds taken. */
const silent: Knex.Logger = { warn() {}, error() {}, debug() {}, deprecate() {} }

function connectTo(url: string, max: number): Knex {
  return knex({ client: 'pg', connection: url, pool: { min: 0, max }, log: silent })
}

/** Knex has `?` for parameters, in the same order. */
const queryOf =
  (db: Knex, connection?: unknown): Query =>
  async (text, values) => {
    const raw = db.raw(text.replace(/\$\d+/g, '?'), (values ?? []) as Knex.RawBinding[])
    return (await (connection ? raw.connection(connection) : raw)).rows
  }

async function withConnection(db: Knex, use: (query: Query) => Promise<void>): Promise<void> {
  const connection = await db.client.acquireConnection()
  try {
    await use(queryOf(db, connection))
  } finally {
    await db.client.releaseConnection(connection)
  }
}

const migrations: Knex.Migration[] = [
  {
    async up(db) {
      await db.schema.createTable('city', (table) => {
        table.increments('id')
        table.text('name').notNullable()
      })
      await db('ran').insert({ name: '1-create' })
    },
    async down() {},
  },
  {
    async up(db) {
      await db('city').insert([{ name: 'Bern' }, { name: 'Rome' }])
      await db.schema.alterTable('city', (table) => void table.text('country'))
      await db('ran').insert({ name: '2-fill' })
    },
    async down() {},
  },
]

const migrationSource: Knex.MigrationSource<Knex.Migration> = {
  getMigrations: async () => migrations,
  getMigrationName: (migration) => `${migrations.indexOf(migration) + 1}`,
  getMigration: async (migration) => migration,
}

testDriver('knex', ['knex', 'pg'], {
  open: async ({ url }, { workers }) => connectTo(url, workers),
  close: (db) => db.destroy(),
  steps: {
    ...commonSteps<Knex>({
      query: (db) => queryOf(db),
      session: withConnection,
      transaction: (db, use) => db.transaction((transaction) => use(queryOf(transaction))),
    }),
    async stream(db, work) {
      const tag = work.tag()
      await db('copied').insert(Array.from({ length: 100 }, (_, n) => ({ tag, n })))
      for (const stopAt of [100, 30]) {
        let seen = 0
        const rows = db('copied').where({ tag }).orderBy('n').stream({ batchSize: 20 })
        for await (const row of rows) {
          if (row.tag === tag && row.n === seen) seen++
          if (seen >= stopAt) break
        }
        work.check(stopAt, seen)
      }
    },
  },
  // Its lock is a row of a table. Two that make this table at once leave two rows, which nobody can ever lock, also on a
  // direct connection; so the tables are made under a lock of the session, on the only connection there is. Who finds
  // Knex' own lock taken then fails at once and is to be started again.
  async migrate({ url }) {
    const db = connectTo(url, 1)
    await db.raw('select pg_advisory_lock(1)')
    await db.migrate.list({ migrationSource })
    await db.raw('select pg_advisory_unlock(1)')
    for (;;) {
      try {
        await db.migrate.latest({ migrationSource })
        break
      } catch (error) {
        if ((error as Error).name !== 'MigrationLocked') throw error
      }
    }
    await db.destroy()
  },
})
