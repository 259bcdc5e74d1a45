/** The PostgreSQL behind the matrix, for run.ts and for a test file that is run alone. */
import { startPostgres, type Teardown, type TestPostgres } from '../fixtures/postgres.ts'

/** Starts it with the role `app`, which owns the databases of the drivers. */
export function startMatrixPostgres(owner: Teardown): Promise<TestPostgres> {
  return startPostgres(owner, {
    settings: { max_connections: '100' },
    bootstrapSql: ["create role app login password 'app'"],
  })
}
