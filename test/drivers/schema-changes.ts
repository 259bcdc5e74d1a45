/**
 * Two connections run statements they know while a third changes the table below them, as a migration does under a running
 * program. What the two are answered from then on, rows and errors, is written down: lab.ts compares it with what the
 * same driver is answered by a direct connection. The programs of other languages do the very same.
 */
import type { Query, Row } from './common-steps.ts'
import { sqlstates } from './scenario.ts'

interface Statement {
  text: string
  values: unknown[]
}

interface SchemaChange {
  ddl: string
  statements: Statement[]
  /** What the row is afterwards, however a driver writes names and values. */
  row: RegExp
}

const byId: Statement = { text: 'select * from changing where id = $1::int', values: [1] }
const onlyN: Statement = { text: 'select n from changing where id = $1::int', values: [1] }
const addN: Statement = { text: 'insert into changing (id, n) values (2, $1)', values: [5] }

const changes: readonly SchemaChange[] = [
  {
    ddl: "alter table changing drop column b, add column c text default '555'",
    statements: [byId],
    row: row('n 7 at', 'c 555'),
  },
  { ddl: "alter table changing add column d text default 'd'", statements: [byId], row: row('b b n 7 at', 'd d') },
  { ddl: 'alter table changing alter n type bigint', statements: [byId, onlyN], row: /\bn\W+7\b/ },
  { ddl: 'alter table changing alter n type real', statements: [addN], row: /^$/ },
  { ddl: 'alter table changing alter n type bigint', statements: [addN], row: /^$/ },
  { ddl: 'alter table changing rename column b to bb', statements: [byId], row: row('bb b n 7 at') },
]

/** A row that begins with `id 1 a a`; what a time looks like is left open. */
function row(...parts: string[]): RegExp {
  return new RegExp(
    ['id 1 a a', ...parts].map((part) => part.replaceAll(' ', '\\W+')).join('\\W+(?:[-\\d.:TZ ]+\\W+)?'),
  )
}

/** Where a driver was answered otherwise through pgbun than directly, but for what is wanted. */
export function differences(direct: readonly string[], pooled: readonly string[]): string[] {
  let row = /^/
  const found: string[] = []
  for (let i = 0; i < Math.max(direct.length, pooled.length); i++) {
    const [wanted, got] = [direct[i] ?? 'nothing', pooled[i] ?? 'nothing']
    row = changes.find(({ ddl }) => ddl === wanted)?.row ?? row
    const healed = /: 0A000$/.test(wanted) && row.test(got)
    if (wanted !== got && !healed) found.push(`line ${i}: directly ${wanted}, through pgbun ${got}`)
  }
  return found
}

/** Runs `use` on a connection of its own whose statements have names. */
export type WithConnection = (use: (query: Query) => Promise<void>) => Promise<unknown>

/** What the two connections were answered, line by line. */
export async function schemaChanges(withConnection: WithConnection): Promise<string[]> {
  const lines: string[] = []
  await withConnection((first) =>
    withConnection((second) =>
      withConnection((blocker) =>
        withConnection(async (owner) => {
          for (const change of changes) await apply(change, { first, second, blocker, owner }, lines)
        }).then(() => {}),
      ).then(() => {}),
    ).then(() => {}),
  )
  return lines
}

type Parties = Record<'first' | 'second' | 'blocker' | 'owner', Query>

async function apply({ ddl, statements }: SchemaChange, parties: Parties, lines: string[]): Promise<void> {
  const { owner } = parties
  await owner('drop table if exists changing')
  await owner('create table changing (id int, a text, b text, n int, at timestamp)')
  await owner("insert into changing values (1, 'a', 'b', 7, '2024-01-02 03:04:05')")
  for (const statement of statements) await both(statement, 6, parties, lines)
  await owner(ddl)
  lines.push(ddl)
  for (const statement of statements) await both(statement, 3, parties, lines)
  const rows = await owner('select changing::text as row from changing order by 1')
  lines.push(...rows.map(({ row }) => String(row)))
}

async function both({ text, values }: Statement, times: number, parties: Parties, lines: string[]): Promise<void> {
  const { first, second, blocker } = parties
  for (let i = 0; i < times; i++) {
    // Whoever is in a transaction has one of the two servers, so that the others meet both.
    const blocked = i % 2 === 1
    if (blocked) {
      await blocker('begin')
      await blocker('select 1 as one')
    }
    lines.push(`first: ${await told(first(text, values))}`)
    lines.push(`second: ${await told(second(text, values))}`)
    if (blocked) await blocker('commit')
  }
}

async function told(answer: Promise<Row[]>): Promise<string> {
  try {
    // Names and values: mixed up columns would show.
    return JSON.stringify(await answer)
  } catch (error) {
    return sqlstates(error).join(' ') || String(error)
  }
}
