/** TypeORM on `pg`: repositories, query runners, streaming, its migrations. */
import {
  DataSource,
  type DataSourceOptions,
  EntitySchema,
  MigrationExecutor,
  type MigrationInterface,
  type QueryRunner,
  Table,
} from 'typeorm'
import { commonSteps, type Query, type Row } from './common-steps.ts'
import { testDriver } from './lab.ts'

const Copied = new EntitySchema<{ tag: string; n: number }>({
  name: 'copied',
  columns: { tag: { type: 'text', primary: true }, n: { type: 'int', primary: true } },
})

class Create1767225600000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    const id = { name: 'id', type: 'serial', isPrimary: true }
    await runner.createTable(new Table({ name: 'city', columns: [id, { name: 'name', type: 'text' }] }))
    await runner.query("insert into ran values ('1-create')")
  }
  async down(): Promise<void> {}
}

class Fill1767225600001 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query("insert into city (name) values ('Bern'), ('Rome')")
    await runner.query('alter table city add column country text')
    await runner.query("insert into ran values ('2-fill')")
  }
  async down(): Promise<void> {}
}

async function connectTo(url: string, options: Partial<DataSourceOptions> = {}): Promise<DataSource> {
  const source = new DataSource({ type: 'postgres', url, logging: false, ...options } as DataSourceOptions)
  return await source.initialize()
}

const queryOf =
  (on: { query(text: string, values?: unknown[]): Promise<unknown> }): Query =>
  async (text, values) =>
    (await on.query(text, values)) as Row[]

async function withRunner(source: DataSource, use: (runner: QueryRunner) => Promise<void>): Promise<void> {
  const runner = source.createQueryRunner()
  try {
    await use(runner)
  } finally {
    await runner.release()
  }
}

testDriver('typeorm', ['typeorm', 'pg'], {
  open: ({ url }, { workers }) =>
    connectTo(url, { poolSize: workers, entities: [Copied] } as Partial<DataSourceOptions>),
  close: (source) => source.destroy(),
  steps: {
    ...commonSteps<DataSource>({
      query: queryOf,
      session: (source, use) => withRunner(source, (runner) => use(queryOf(runner))),
      transaction: (source, use) => source.transaction((manager) => use(queryOf(manager))),
    }),
    async stream(source, work) {
      const tag = work.tag()
      const copied = source.getRepository(Copied)
      await copied.insert(Array.from({ length: 100 }, (_, n) => ({ tag, n })))
      work.check(100, await copied.countBy({ tag }))
      await withRunner(source, async (runner) => {
        let seen = 0
        const rows = await runner.stream('select tag, n from copied where tag = $1 order by n', [tag])
        for await (const row of rows) if (row.tag === tag && row.n === seen) seen++
        work.check(100, seen)
      })
    },
  },
  // It has no lock of its own; on one query runner, the session's lock and the migrations share a connection.
  async migrate({ url }) {
    const source = await connectTo(url, { migrations: [Create1767225600000, Fill1767225600001] })
    await withRunner(source, async (runner) => {
      await runner.query('select pg_advisory_lock(1)')
      const executor = new MigrationExecutor(source, runner)
      executor.transaction = 'all'
      await executor.executePendingMigrations()
      await runner.query('select pg_advisory_unlock(1)')
    })
    await source.destroy()
  },
})
