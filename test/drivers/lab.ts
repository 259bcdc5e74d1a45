/**
 * One row of the matrix as a tap test: a driver's load directly on PostgreSQL first, small, so that what fails there is
 * not blamed on pgbun; then in full through pgbun in transaction mode with a pool of 2.
 *
 * After each load the database is asked whether what the driver was told is true: every committed row there and no
 * other, no increment lost under the advisory lock, each migration run exactly once.
 * The PostgreSQL comes from run.ts in PGBUN_DRIVERS_POSTGRES; a file that is run alone starts its own.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import pg from 'pg'
import t, { type Test } from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startMatrixPostgres } from './matrix-postgres.ts'
import { type Language, languages, missingFor, runLoad } from './programs.ts'
import { writeResult } from './results.ts'
import { type Driver, type Load, type Outcome, runScenario, type Target } from './scenario.ts'
import { differences } from './schema-changes.ts'

/** How many server connections pgbun has for each load. */
const POOL_SIZE = 2
const FULL: Load = { workers: 12, rounds: 5 }
const SMALL: Load = { workers: 4, rounds: 1 }

/** A PostgreSQL with the user `app`, as its superuser reaches it. */
export interface Server {
  host: string
  port: number
  user: string
  password: string
}

export interface MatrixRow {
  /** As in the table. */
  driver: string
  version: string
  run(target: Target, load: Load): Promise<Outcome>
  /** Why it cannot run here; shown as a skipped test, and its row of the table stays as it is. */
  missing?: string
}

/** Tests a driver that runs on the Node of the tests. Its version is that of its package. */
export function testDriver<Handle>(driver: string, packages: string[], definition: Driver<Handle>): void {
  testRow({ driver, version: versions(packages), run: (target, load) => runScenario(definition, target, load) })
}

/** A driver of another language: its row, the name that its program has for it, and the packages whose versions are shown. */
export interface Program {
  driver: string
  program: string
  packages: string[]
}

/** Tests the drivers of a language, one after another; all are skipped where its tool chain is not on this machine. */
export function testPrograms(name: keyof typeof languages, programs: Program[]): void {
  const language: Language = languages[name]
  const missing = missingFor(language)
  // run.ts has built them; where a test file is run alone, this does.
  if (!missing) t.before(() => language.build())
  for (const { driver, program, packages } of programs) {
    const version = packages
      .map((name, i) => (i === 0 ? '' : `${shortName(name)} `) + language.version(name))
      .join(', ')
    testRow({ driver, version, missing, run: (target, load) => runLoad(language, program, target, load) })
  }
}

/** `pgx` of `pgx/v5`, `gorm` of `gorm.io/gorm`. */
const shortName = (name: string): string =>
  name
    .replace(/\/v\d+$/, '')
    .split('/')
    .at(-1)!

/** Tests one row of the matrix. */
export function testRow(row: MatrixRow): void {
  if (row.missing) writeResult({ driver: row.driver, skipped: row.missing })
  t.test(row.driver, { skip: row.missing ?? false }, async (t) => {
    const server = await serverOf(t)
    const name = row.driver.toLowerCase().replace(/\W+/g, '_')
    let direct: Outcome | undefined
    await t.test('directly', async (t) => {
      direct = await load(t, server, `${name}_direct`, row, SMALL)
    })
    await t.test('through pgbun', async (t) => {
      const pgbun = await startPgbun(t, {
        target: server,
        poolMode: 'transaction',
        poolSize: POOL_SIZE,
        args: ['--auth-type', 'scram-sha-256', '--auth-file', authFile(t)],
      })
      t.teardown(() => t.passing() || t.comment(`the end of pgbun's log:\n${pgbun.logs().slice(-5000)}`))
      const outcome = await load(t, server, `${name}_pooled`, row, FULL, pgbun.port)
      t.same(differences(direct?.changes ?? [], outcome.changes), [], 'tables change as they do directly')
      t.notMatch(pgbun.logs(), /^\S+ +ERROR\b/im, 'pgbun logged no error of its own')
      const { steps, queries, mixUps } = outcome
      const { driver, version } = row
      writeResult({ driver, version, steps, queries, mixUps: mixUps.length, passed: t.passing() })
    })
  })
}

async function load(t: Test, server: Server, database: string, row: MatrixRow, load: Load, port?: number) {
  const admin = new pg.Client({ ...server, database: 'postgres' })
  await admin.connect()
  t.teardown(() => admin.end())
  await admin.query(`create database ${database} owner app`)
  const owner = new pg.Client({ ...server, user: 'app', password: 'app', database })
  await owner.connect()
  t.teardown(() => owner.end())
  await owner.query(`
    create table ledger (tag text primary key);
    create table copied (tag text, n int);
    create table counter (n int);
    insert into counter values (0);
    create table ran (name text)`)
  // A server connection more than the pool may have would be refused by PostgreSQL itself; one of these is ours.
  if (port) await owner.query(`alter database ${database} connection limit ${POOL_SIZE + 1}`)

  const at = { host: '127.0.0.1', port: port ?? server.port, user: 'app', password: 'app', database }
  const url = `postgres://app:app@${at.host}:${at.port}/${database}`
  const outcome = await row.run({ ...at, url }, load)
  t.same(outcome.mixUps.slice(0, 20), [], `no mix-up in ${outcome.queries} queries`)
  t.ok(outcome.queries > load.workers * load.rounds, 'there were queries')
  const rows = async (sql: string) => (await owner.query({ text: sql, rowMode: 'array' })).rows.map(([first]) => first)
  const ledger = await rows('select tag from ledger order by tag collate "C"')
  t.same(ledger, [...outcome.committed].sort(), `${ledger.length} committed rows and no other`)
  t.same(await rows('select n from counter'), [outcome.increments], `none of ${outcome.increments} increments is lost`)
  if (outcome.steps.includes('migrations')) {
    t.same(await rows('select name from ran order by name'), ['1-create', '2-fill'], 'each migration ran once')
    t.same(await rows('select name from city order by name'), ['Bern', 'Rome'], 'and did what it does')
  }
  return outcome
}

/** The PostgreSQL of the matrix. */
export async function serverOf(t: Test): Promise<Server> {
  const given = process.env.PGBUN_DRIVERS_POSTGRES
  if (given) return JSON.parse(given) as Server
  const { host, port, user, password } = await startMatrixPostgres(t)
  return { host, port, user, password }
}

/** pgbun proves passwords itself here, so that the only connections to PostgreSQL are those of the pool. */
function authFile(t: Test): string {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-drivers-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const file = path.join(dir, 'userlist.txt')
  writeFileSync(file, '"app" "app"\n', { mode: 0o600 })
  return file
}

function versions(packages: string[]): string {
  const require = createRequire(import.meta.url)
  const { dependencies } = require('./package.json') as { dependencies: Record<string, string> }
  return packages
    .map((name, i) => {
      const file = path.join(import.meta.dirname, 'node_modules', name, 'package.json')
      const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string }
      if (version !== dependencies[name]) throw new Error(`${name} ${version} is installed, not ${dependencies[name]}`)
      return i === 0 ? version : `${name} ${version}`
    })
    .join(', ')
}
