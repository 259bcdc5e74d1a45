/**
 * Bun's own driver, `Bun.sql`; run by Bun, from bun-sql.test.ts. In: the target and the load as JSON in argument 2. Out:
 * the outcome as JSON on standard output.
 */
import { SQL } from 'bun'
import { asTemplate, commonSteps, type Query } from './common-steps.ts'
import { type Driver, type Load, runScenario, type Target, type Work } from './scenario.ts'

function queryOf(sql: SQL): Query {
  return async (query, values) => {
    if (!values) return await sql.unsafe(query)
    return await sql(...asTemplate(query, values))
  }
}

const transactionOf = new WeakMap<Query, Bun.TransactionSQL>()

function queryIn(sql: Bun.TransactionSQL): Query {
  const query = queryOf(sql)
  transactionOf.set(query, sql)
  return query
}

async function withReserved(sql: SQL, use: (query: Query) => Promise<void>): Promise<void> {
  const reserved = await sql.reserve()
  try {
    await use(queryOf(reserved))
  } finally {
    reserved.release()
  }
}

const bunSql: Driver<SQL> = {
  open: async ({ url }, { workers }) => new SQL(url, { max: workers }),
  close: (sql) => sql.close(),
  connection: withReserved,
  steps: {
    ...commonSteps<SQL>({
      query: queryOf,
      session: withReserved,
      transaction: (sql, use) => sql.begin((inner) => use(queryIn(inner))),
      savepoint: (query, use) => transactionOf.get(query)!.savepoint((inner) => use(queryIn(inner))),
    }),
    async prepared(sql, work) {
      for (let i = 0; i < 12; i++) {
        const n = i % 6
        const tag = work.tag()
        const [row] = await sql.unsafe(`select $1::text as tag, ${n}::int as n`, [tag])
        work.check(`${tag} ${n}`, `${row?.tag} ${row?.n}`)
      }
      await work.fails('22012', sql`select 1 / ${0}::int as n`)
      work.check(1, (await sql`select 1 / ${1}::int as n`)[0]?.n)
    },
    pipeline,
    listen,
  },
}

async function pipeline(sql: SQL, work: Work): Promise<void> {
  await Promise.all(
    Array.from({ length: 40 }, async (_, i) => {
      const tag = work.tag()
      if (i % 13 === 12) return work.fails('22P02', sql`select ${tag}::text::int as n`)
      if (i % 2) return work.check(tag, (await sql.unsafe(`select '${tag}' as tag`))[0]?.tag)
      work.check(tag, (await sql`select ${tag}::text as tag`)[0]?.tag)
    }),
  )
}

async function listen(sql: SQL, work: Work): Promise<void> {
  const channel = work.tag()
  const heard: string[] = []
  let hear = (): void => {}
  const subscription = await sql.listen(channel, (payload) => {
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
  await subscription.unlisten()
}

const { target, load } = JSON.parse(process.argv[2]!) as { target: Target; load: Load }
console.log(JSON.stringify(await runScenario(bunSql, target, load)))
process.exit(0)
