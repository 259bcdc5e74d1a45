/** The abilities of a `pg` pool, for `pg` itself and for what is built on it. */
import type pg from 'pg'
import type { Query } from './common-steps.ts'

export const queryOf =
  (client: pg.Pool | pg.ClientBase): Query =>
  async (sql, values) =>
    (await client.query(sql, values)).rows

export async function withClient(pool: pg.Pool, use: (client: pg.PoolClient) => Promise<void>): Promise<void> {
  const client = await pool.connect()
  try {
    await use(client)
  } finally {
    client.release()
  }
}

export async function transaction(pool: pg.Pool, use: (query: Query) => Promise<void>): Promise<void> {
  await withClient(pool, async (client) => {
    await client.query('begin')
    try {
      await use(queryOf(client))
      await client.query('commit')
    } catch (error) {
      await client.query('rollback')
      throw error
    }
  })
}
