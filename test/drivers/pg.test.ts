/** `pg` (node-postgres) with its companions: cursor, query stream, COPY streams. */
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from, to } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { commonSteps } from './common-steps.ts'
import { testDriver } from './lab.ts'
import { queryOf, transaction, withClient } from './pg-pool.ts'
import type { Work } from './scenario.ts'

testDriver('pg', ['pg', 'pg-cursor', 'pg-query-stream', 'pg-copy-streams'], {
  open: async ({ url }, { workers }) => new pg.Pool({ connectionString: url, max: workers }),
  close: (pool) => pool.end(),
  connection: (pool, use) =>
    withClient(pool, (client) =>
      use(async (text, values) => (await client.query(values ? { name: text, text, values } : text)).rows),
    ),
  steps: {
    ...commonSteps<pg.Pool>({
      query: queryOf,
      session: (pool, use) => withClient(pool, (client) => use(queryOf(client))),
      transaction,
    }),
    async prepared(pool, work) {
      for (let i = 0; i < 12; i++) {
        const n = i % 6
        const tag = work.tag()
        const named = { name: `tagged-${n}`, text: `select $1::text as tag, ${n}::int as n`, values: [tag] }
        const { rows } = await pool.query(named)
        work.check(`${tag} ${n}`, `${rows[0]?.tag} ${rows[0]?.n}`)
      }
      const broken = { name: 'broken', text: 'select 1 / $1::int as n', values: [0] }
      await work.fails('22012', pool.query(broken))
      work.check(1, (await pool.query({ ...broken, values: [1] })).rows[0]?.n)
    },
    async stream(pool, work) {
      await withClient(pool, async (client) => {
        await cursor(client, work)
        const tag = work.tag()
        let seen = 0
        const text = "select $1::text || '-' || g as tag from generate_series(1, 250) as g"
        for await (const row of client.query(new QueryStream(text, [tag], { batchSize: 40 }))) {
          if (row.tag === `${tag}-${seen + 1}`) seen++
        }
        work.check(250, seen)
      })
    },
    copy: (pool, work) => withClient(pool, (client) => copy(client, work)),
    listen: (pool, work) => withClient(pool, (client) => listen(client, pool, work)),
  },
})

testDriver('pg, pipeline: true', ['pg'], {
  open: async ({ url }, { workers }) => new pg.Pool({ connectionString: url, max: workers, pipeline: true }),
  close: (pool) => pool.end(),
  steps: {
    ...commonSteps<pg.Pool>({
      query: queryOf,
      session: (pool, use) => withClient(pool, (client) => use(queryOf(client))),
      transaction,
    }),
    pipeline: (pool, work) =>
      withClient(pool, async (client) => {
        const results = await Promise.all(
          Array.from({ length: 30 }, async (_, i) => {
            const tag = work.tag()
            if (i % 10 === 9) return work.fails('22012', client.query('select 1 / $1::int', [0]))
            const name = i % 3 === 0 ? `piped-${i % 5}` : undefined
            const n = i % 5
            const { rows } = await client.query({ name, text: `select $1::text as tag, ${n} as n`, values: [tag] })
            work.check(`${tag} ${n}`, `${rows[0]?.tag} ${rows[0]?.n}`)
          }),
        )
        work.check(30, results.length)
      }),
  },
})

/** Reads half of a cursor and closes it, then all of another, inside of one transaction. */
async function cursor(client: pg.PoolClient, work: Work): Promise<void> {
  await client.query('begin')
  for (const batches of [2, 99]) {
    const tag = work.tag()
    const cursor = client.query(
      new Cursor("select $1::text || '-' || g as tag from generate_series(1, 100) as g", [tag]),
    )
    let seen = 0
    for (let i = 0; i < batches; i++) {
      const rows = await cursor.read(30)
      if (rows.length === 0) break
      for (const row of rows) if (row.tag === `${tag}-${seen + 1}`) seen++
    }
    work.check(Math.min(100, batches * 30), seen)
    await cursor.close()
  }
  await client.query('commit')
}

async function copy(client: pg.PoolClient, work: Work): Promise<void> {
  const tag = work.tag()
  const lines = Array.from({ length: 200 }, (_, n) => `${tag}\t${n}\n`)
  await pipeline(lines, client.query(from('copy copied (tag, n) from stdin')))
  const out = client.query(to(`copy (select tag, n from copied where tag = '${tag}' order by n) to stdout`))
  work.check(lines.join(''), await text(out))
  await work.fails('22P02', pipeline([`${tag}\tno number\n`], client.query(from('copy copied (tag, n) from stdin'))))
  const { rows } = await client.query('select count(*)::int as n from copied where tag = $1', [tag])
  work.check(200, rows[0]?.n)
}

async function listen(client: pg.PoolClient, pool: pg.Pool, work: Work): Promise<void> {
  const channel = work.tag()
  await client.query(`listen ${channel}`)
  for (let i = 0; i < 3; i++) {
    const tag = work.tag()
    const heard = once(client, 'notification')
    await pool.query('select pg_notify($1, $2)', [channel, tag])
    const [message] = (await heard) as [pg.Notification]
    work.check(`${channel} ${tag}`, `${message.channel} ${message.payload}`)
  }
  await client.query(`unlisten ${channel}`)
}
