/** Drizzle on `pg` and on `postgres`: its query builder, prepared statements, transactions, and its migrator. */

import path from 'node:path'
import { eq, sql } from 'drizzle-orm'
import { drizzle as drizzlePg } from 'drizzle-orm/node-postgres'
import { migrate as migratePg } from 'drizzle-orm/node-postgres/migrator'
import { integer, pgTable, text } from 'drizzle-orm/pg-core'
import { drizzle as drizzlePostgres } from 'drizzle-orm/postgres-js'
import { migrate as migratePostgres } from 'drizzle-orm/postgres-js/migrator'
import pg from 'pg'
import postgres from 'postgres'
import { asTemplate, commonSteps, type Query, type Row } from './common-steps.ts'
import { testDriver } from './lab.ts'
import { withClient } from './pg-pool.ts'
import type { Work } from './scenario.ts'

const copied = pgTable('copied', { tag: text('tag'), n: integer('n') })
const migrationsFolder = path.join(import.meta.dirname, 'migrations', 'drizzle')

function pgQuery(db: { execute(query: ReturnType<typeof sql>): PromiseLike<{ rows: Row[] }> }): Query {
  return async (query, values) => (await db.execute(sql(...asTemplate(query, values)))).rows
}

testDriver('drizzle-orm on pg', ['drizzle-orm', 'pg'], {
  async open({ url }, { workers }) {
    const pool = new pg.Pool({ connectionString: url, max: workers })
    return { pool, db: drizzlePg(pool) }
  },
  close: ({ pool }) => pool.end(),
  steps: {
    ...commonSteps<{ pool: pg.Pool; db: ReturnType<typeof drizzlePg> }>({
      query: ({ db }) => pgQuery(db),
      session: ({ pool }, use) => withClient(pool, (client) => use(pgQuery(drizzlePg(client)))),
      transaction: ({ db }, use) => db.transaction((inner) => use(pgQuery(inner))),
    }),
    async prepared({ db }, work) {
      const select = db
        .select()
        .from(copied)
        .where(eq(copied.tag, sql.placeholder('tag')))
        .prepare('rows_of_tag')
      for (let i = 0; i < 6; i++) {
        const tag = work.tag()
        const [inserted] = await db.insert(copied).values({ tag, n: i }).returning()
        work.check(`${tag} ${i}`, `${inserted?.tag} ${inserted?.n}`)
        const [row] = await select.execute({ tag })
        work.check(`${tag} ${i}`, `${row?.tag} ${row?.n}`)
      }
    },
  },
  // Its migrator has no lock of its own; this is how it is run from several places at once.
  async migrate({ url }) {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query('select pg_advisory_lock(1)')
    await migratePg(drizzlePg(client), { migrationsFolder })
    await client.query('select pg_advisory_unlock(1)')
    await client.end()
  },
})

type PostgresDb = Pick<ReturnType<typeof drizzlePostgres>, 'execute'>

function postgresQuery(db: PostgresDb): Query {
  return async (query, values) => await db.execute(sql(...asTemplate(query, values)))
}

testDriver('drizzle-orm on postgres', ['drizzle-orm', 'postgres'], {
  async open({ url }, { workers }) {
    const client = postgres(url, { max: workers })
    return { client, db: drizzlePostgres(client) }
  },
  close: ({ client }) => client.end(),
  steps: {
    ...commonSteps<{ client: postgres.Sql; db: ReturnType<typeof drizzlePostgres> }>({
      query: ({ db }) => postgresQuery(db),
      transaction: ({ db }, use) => db.transaction((inner) => use(inTransaction(inner))),
      savepoint: (query, use) => transactionOf.get(query)!.transaction((inner) => use(inTransaction(inner))),
    }),
    async prepared({ db }, work) {
      const select = db
        .select()
        .from(copied)
        .where(eq(copied.tag, sql.placeholder('tag')))
        .prepare('rows_of_tag')
      await Promise.all(Array.from({ length: 6 }, (_, i) => insertAndSelect(i, work)))

      async function insertAndSelect(n: number, work: Work): Promise<void> {
        const tag = work.tag()
        const [inserted] = await db.insert(copied).values({ tag, n }).returning()
        work.check(`${tag} ${n}`, `${inserted?.tag} ${inserted?.n}`)
        const [row] = await select.execute({ tag })
        work.check(`${tag} ${n}`, `${row?.tag} ${row?.n}`)
      }
    },
  },
  async migrate({ url }) {
    const client = postgres(url, { max: 1, onnotice: () => {} })
    await client`select pg_advisory_lock(1)`
    await migratePostgres(drizzlePostgres(client), { migrationsFolder })
    await client`select pg_advisory_unlock(1)`
    await client.end()
  },
})

type PostgresTransaction = Parameters<Parameters<ReturnType<typeof drizzlePostgres>['transaction']>[0]>[0]
const transactionOf = new WeakMap<Query, PostgresTransaction>()

function inTransaction(transaction: PostgresTransaction): Query {
  const query = postgresQuery(transaction)
  transactionOf.set(query, transaction)
  return query
}
