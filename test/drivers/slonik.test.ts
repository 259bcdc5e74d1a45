/** Slonik: its own pool, timeouts as startup parameters, DISCARD ALL whenever a connection goes back to its pool. */

import { createPgDriverFactory } from '@slonik/pg-driver'
import { type CommonQueryMethods, createPool, type DatabasePool, sql } from 'slonik'
import { z } from 'zod'
import { asTemplate, commonSteps, type Query, type Row } from './common-steps.ts'
import { testDriver } from './lab.ts'

const queryOf =
  (on: Pick<CommonQueryMethods, 'query'>): Query =>
  async (text, values) =>
    [...(await on.query(sql.unsafe(...asTemplate(text, values as string[])))).rows] as Row[]

testDriver('slonik', ['slonik'], {
  open: ({ url }, { workers }) =>
    createPool(url, {
      maximumPoolSize: workers,
      driverFactory: createPgDriverFactory(),
      connectionTimeout: 60_000,
      statementTimeout: 60_000,
      queryRetryLimit: 0,
      transactionRetryLimit: 0,
    }),
  close: (pool) => pool.end(),
  steps: {
    ...commonSteps<DatabasePool>({
      query: queryOf,
      session: (pool, use) => pool.connect((connection) => use(queryOf(connection))),
      transaction: (pool, use) => pool.transaction((transaction) => use(queryOf(transaction))),
      savepoint: undefined,
    }),
    async stream(pool, work) {
      const tag = work.tag()
      let seen = 0
      const row = z.object({ tag: z.string() })
      const query = sql.type(row)`select ${tag} || '-' || g as tag from generate_series(1, 100) as g`
      await pool.stream(query, (stream) => {
        stream.on('data', ({ data }) => {
          if (data.tag === `${tag}-${seen + 1}`) seen++
        })
      })
      work.check(100, seen)
    },
  },
})
