/** `postgres` (postgres.js) with no options: named statements, pipelining and a type query at connect are its defaults. */
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import postgres from 'postgres'
import { asTemplate, commonSteps, type Query, type Row } from './common-steps.ts'
import { testDriver } from './lab.ts'
import type { Work } from './scenario.ts'

type Sql = postgres.Sql | postgres.ReservedSql | postgres.TransactionSql
const transactionOf = new WeakMap<Query, postgres.TransactionSql>()

function queryOf(sql: Sql): Query {
  return async (query, values) => {
    if (!values) return await sql.unsafe<Row[]>(query)
    const [strings, ...parameters] = asTemplate(query, values as string[])
    return await sql<Row[]>(strings, ...parameters)
  }
}

function queryIn(sql: postgres.TransactionSql): Query {
  const query = queryOf(sql)
  transactionOf.set(query, sql)
  return query
}

async function withReserved(sql: postgres.Sql, use: (sql: postgres.ReservedSql) => Promise<void>): Promise<void> {
  const reserved = await sql.reserve()
  try {
    await use(reserved)
  } finally {
    reserved.release()
  }
}

testDriver('postgres', ['postgres'], {
  open: async ({ url }, { workers }) => postgres(url, { max: workers }),
  close: (sql) => sql.end(),
  connection: (sql, use) =>
    withReserved(sql, (reserved) =>
      use((text, values) => reserved.unsafe<Row[]>(text, values as string[] | undefined, { prepare: Boolean(values) })),
    ),
  steps: {
    ...commonSteps<postgres.Sql>({
      query: queryOf,
      session: (sql, use) => withReserved(sql, (reserved) => use(queryOf(reserved))),
      transaction: (sql, use) => sql.begin((inner) => use(queryIn(inner))),
      // It remembers an error in a savepoint it did not make itself, and rolls everything back.
      savepoint: (query, use) => transactionOf.get(query)!.savepoint((inner) => use(queryIn(inner))),
    }),
    async prepared(sql, work) {
      for (let i = 0; i < 12; i++) {
        const n = i % 6
        const tag = work.tag()
        const rows = await sql.unsafe(`select $1::text as tag, ${n}::int as n`, [tag], { prepare: true })
        work.check(`${tag} ${n}`, `${rows[0]?.tag} ${rows[0]?.n}`)
      }
      await work.fails('22012', sql`select 1 / ${0}::int as n`)
      work.check(1, (await sql`select 1 / ${1}::int as n`)[0]?.n)
    },
    // Without an await in between they leave on as few connections as there are, many on each.
    async pipeline(sql, work) {
      await Promise.all(
        Array.from({ length: 40 }, async (_, i) => {
          const tag = work.tag()
          if (i % 13 === 12) return work.fails('22P02', sql`select ${tag}::text::int as n`)
          if (i % 2) return work.check(tag, (await sql.unsafe(`select '${tag}' as tag`))[0]?.tag)
          work.check(tag, (await sql`select ${tag} as tag`)[0]?.tag)
        }),
      )
      await sql.begin((inner) =>
        Array.from({ length: 10 }, async () => {
          const tag = work.tag()
          work.check(tag, (await inner`select ${tag} as tag`)[0]?.tag)
        }),
      )
    },
    async stream(sql, work) {
      for (const stopAt of [250, 60]) {
        const tag = work.tag()
        let seen = 0
        for await (const rows of sql`select ${tag} || '-' || g as tag from generate_series(1, 250) as g`.cursor(30)) {
          for (const row of rows) if (row.tag === `${tag}-${seen + 1}`) seen++
          if (seen >= stopAt) break
        }
        work.check(stopAt, seen)
      }
    },
    // On a connection of its own: behind a COPY that it feeds, it would send other queries meant for the server.
    copy: (sql, work) => withReserved(sql, (reserved) => copy(reserved, work)),
    listen,
  },
})

async function copy(sql: postgres.ReservedSql, work: Work): Promise<void> {
  const tag = work.tag()
  const lines = Array.from({ length: 200 }, (_, n) => `${tag}\t${n}\n`)
  await pipeline(lines, await sql`copy copied (tag, n) from stdin`.writable())
  const out = await sql.unsafe(`copy (select tag, n from copied where tag = '${tag}' order by n) to stdout`).readable()
  work.check(lines.join(''), await text(out))
  work.check(200, (await sql`select count(*)::int as n from copied where tag = ${tag}`)[0]?.n)
}

async function listen(sql: postgres.Sql, work: Work): Promise<void> {
  const channel = work.tag()
  const heard: string[] = []
  let hear = (): void => {}
  const { unlisten } = await sql.listen(channel, (payload) => {
    heard.push(payload)
    hear()
  })
  for (let i = 0; i < 3; i++) {
    const tag = work.tag()
    const next = new Promise<void>((resolve) => {
      hear = resolve
    })
    await sql.notify(channel, tag)
    await next
    work.check(tag, heard[i])
  }
  await unlisten()
}
