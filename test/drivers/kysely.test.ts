/** Kysely on its PostgreSQL dialect (`pg`): query builder, streaming through a cursor, its Migrator. */
import { CompiledQuery, Kysely, type Migration, Migrator, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import Cursor from 'pg-cursor'
import { commonSteps, type Query, type Row } from './common-steps.ts'
import { testDriver } from './lab.ts'

interface Database {
  copied: { tag: string; n: number }
}

function connectTo(url: string, max: number): Kysely<Database> {
  const pool = new pg.Pool({ connectionString: url, max })
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool, cursor: Cursor }) })
}

const queryOf =
  (db: Kysely<Database>): Query =>
  async (text, values) =>
    (await db.executeQuery<Row>(CompiledQuery.raw(text, values))).rows

const migrations: Record<string, Migration> = {
  '1-create': {
    async up(db) {
      await db.schema
        .createTable('city')
        .addColumn('id', 'serial', (column) => column.primaryKey())
        .addColumn('name', 'text', (column) => column.notNull())
        .execute()
      await sql`insert into ran values ('1-create')`.execute(db)
    },
  },
  '2-fill': {
    async up(db) {
      await sql`insert into city (name) values ('Bern'), ('Rome')`.execute(db)
      await db.schema.alterTable('city').addColumn('country', 'text').execute()
      await sql`insert into ran values ('2-fill')`.execute(db)
    },
  },
}

testDriver('kysely', ['kysely', 'pg'], {
  open: async ({ url }, { workers }) => connectTo(url, workers),
  close: (db) => db.destroy(),
  steps: {
    ...commonSteps<Kysely<Database>>({
      query: queryOf,
      session: (db, use) => db.connection().execute((connection) => use(queryOf(connection))),
      transaction: (db, use) => db.transaction().execute((transaction) => use(queryOf(transaction))),
    }),
    async stream(db, work) {
      const tag = work.tag()
      const rows = Array.from({ length: 100 }, (_, n) => ({ tag, n }))
      await db.insertInto('copied').values(rows).execute()
      for (const stopAt of [100, 30]) {
        let seen = 0
        for await (const row of db.selectFrom('copied').selectAll().where('tag', '=', tag).orderBy('n').stream(20)) {
          if (row.tag === tag && row.n === seen) seen++
          if (seen >= stopAt) break
        }
        work.check(stopAt, seen)
      }
    },
  },
  async migrate({ url }) {
    const db = connectTo(url, 2)
    const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } })
    const { error } = await migrator.migrateToLatest()
    await db.destroy()
    if (error) throw error
  },
})
