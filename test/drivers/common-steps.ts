/**
 * The steps that every driver can do with three abilities: a query on its pool, several on one connection, and a
 * transaction. A driver's file says how it does these three, in its own way, and adds what only it has.
 */
import type { LoadStep, Work } from './scenario.ts'

// biome-ignore lint/suspicious/noExplicitAny: rows are whatever the statement selects
export type Row = Record<string, any>

/** Runs a text with `$1`-style parameters, each used once and in order, and brings its rows. */
export type Query = (text: string, values?: unknown[]) => Promise<Row[]>

export interface Abilities<Handle> {
  /** Wherever the driver's pool sends it. */
  query(handle: Handle): Query
  /** All on one connection of the driver, outside of a transaction. */
  session?(handle: Handle, use: (query: Query) => Promise<void>): Promise<unknown>
  /** The driver's own transaction: committed where `use` resolves, rolled back where it rejects. */
  transaction(handle: Handle, use: (query: Query) => Promise<void>): Promise<unknown>
  /** The driver's own savepoint, where it would not understand one written in SQL. */
  savepoint?(query: Query, use: (query: Query) => Promise<void>): Promise<unknown>
}

type Steps<Handle> = Partial<Record<LoadStep, (handle: Handle, work: Work) => Promise<void>>>

/** Thrown inside of a transaction to have it rolled back. */
class Rollback extends Error {}

export function commonSteps<Handle>(abilities: Abilities<Handle>): Steps<Handle> {
  const { session } = abilities
  const steps: Steps<Handle> = {
    queries: (handle, work) => queries(abilities.query(handle), work),
    transactions: (handle, work) => transactions(abilities, handle, work),
  }
  if (session) {
    steps.settings = (handle, work) => session(handle, (query) => settings(query, work)).then(() => {})
    steps.temporary = (handle, work) => session(handle, (query) => temporary(query, work)).then(() => {})
    steps.locks = (handle, work) => session(handle, (query) => locks(query, work)).then(() => {})
  }
  return steps
}

async function queries(query: Query, work: Work): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await Promise.all(
      [0, 1, 2].map(async (n) => {
        const tag = work.tag()
        const [row] = await query('select $1::text as tag, $2::int as n', [tag, n])
        work.check(`${tag} ${n}`, `${row?.tag} ${row?.n}`)
      }),
    )
    const tag = work.tag()
    work.check(tag, (await query(`select '${tag}' as tag`))[0]?.tag)
    await work.fails('22012', query('select 1 / $1::int as n', [0]))
  }
  const tag = work.tag()
  const rows = await query("select $1::text || '-' || g as tag from generate_series(1, 300) as g", [tag])
  work.check(`${tag}-1 ${tag}-300 300`, `${rows[0]?.tag} ${rows[299]?.tag} ${rows.length}`)
}

async function transactions<Handle>(abilities: Abilities<Handle>, handle: Handle, work: Work): Promise<void> {
  const { outcome } = work
  const kept = work.tag()
  await abilities.transaction(handle, async (query) => {
    await query('insert into ledger values ($1)', [kept])
    work.check(kept, (await query('select tag from ledger where tag = $1', [kept]))[0]?.tag)
  })
  outcome.committed.push(kept)

  const undone = work.tag()
  await rolledBack(
    abilities.transaction(handle, async (query) => {
      await query('insert into ledger values ($1)', [undone])
      work.check(undone, (await query('select tag from ledger where tag = $1', [undone]))[0]?.tag)
      throw new Rollback()
    }),
  )
  await rolledBack(
    abilities.transaction(handle, async (query) => {
      await query('insert into ledger values ($1)', [undone])
      await work.fails('22012', query('select 1 / $1::int as n', [0]))
      await work.fails('25P02', query('insert into ledger values ($1)', [undone]))
      throw new Rollback()
    }),
  )
  work.check(0, (await abilities.query(handle)('select tag from ledger where tag = $1', [undone])).length)

  const saved = work.tag()
  await abilities.transaction(handle, async (query) => {
    await rolledBack(
      (abilities.savepoint ?? savepoint)(query, async (inner) => {
        await inner('insert into ledger values ($1)', [undone])
        await work.fails('23505', inner('insert into ledger values ($1)', [undone]))
        throw new Rollback()
      }),
    )
    await query('insert into ledger values ($1)', [saved])
  })
  outcome.committed.push(saved)
}

async function savepoint(query: Query, use: (query: Query) => Promise<void>): Promise<void> {
  await query('savepoint here')
  try {
    await use(query)
  } catch (error) {
    await query('rollback to savepoint here')
    throw error
  }
}

async function rolledBack(transaction: Promise<unknown>): Promise<void> {
  try {
    await transaction
  } catch (error) {
    if (!(error instanceof Rollback)) throw error
    return
  }
  throw new Error('a transaction that was to be rolled back was not')
}

async function settings(query: Query, work: Work): Promise<void> {
  const tenant = work.tag()
  const shown = async (name: string) => (await query(`select current_setting('${name}') as tag`))[0]?.tag
  await query("select set_config('app.tenant', $1::text, false) as tag", [tenant])
  await query(`set application_name = '${tenant}'`)
  for (let i = 0; i < 4; i++) {
    work.check(tenant, await shown('app.tenant'))
    work.check(tenant, await shown('application_name'))
  }
  const other = work.tag()
  await query('begin')
  await query(`set local app.tenant = '${other}'`)
  work.check(other, await shown('app.tenant'))
  await query('commit')
  work.check(tenant, await shown('app.tenant'))
  await query('begin')
  await query(`set app.tenant = '${other}'`)
  work.check(other, await shown('app.tenant'))
  await query('rollback')
  work.check(tenant, await shown('app.tenant'))
  await query('reset application_name')
}

async function temporary(query: Query, work: Work): Promise<void> {
  const tags = [work.tag(), work.tag(), work.tag()]
  // The same name for all: another one's table would bring another one's tags.
  await query('create temporary table scratch (tag text)')
  for (const tag of tags) await query('insert into scratch values ($1)', [tag])
  for (const _ of tags) {
    const rows = await query('select tag from scratch order by tag')
    work.check([...tags].sort().join(' '), rows.map(({ tag }) => tag).join(' '))
  }
  await query('drop table scratch')
}

async function locks(query: Query, work: Work): Promise<void> {
  await query('select pg_advisory_lock(7)::text as locked')
  // Read here and written there, so that two at once would lose one of the two.
  const value = Number((await query('select n from counter'))[0]?.n)
  await query('update counter set n = $1::int', [value + 1])
  work.outcome.increments++
  work.check(true, (await query('select pg_advisory_unlock(7) as unlocked'))[0]?.unlocked)
}

/** A text with `$1`-style parameters in order, as the arguments of a driver's tagged template. */
export function asTemplate<Value>(text: string, values: Value[] = []): [TemplateStringsArray, ...Value[]] {
  const parts = text.split(/\$\d+/)
  // As the language makes it: hidden and frozen. Bun and Slonik take nothing else for a template.
  Object.defineProperty(parts, 'raw', { value: Object.freeze([...parts]) })
  return [Object.freeze(parts) as unknown as TemplateStringsArray, ...values]
}
