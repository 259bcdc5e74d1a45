/**
 * A temporary table that no text calls so was not noticed where search_path leads to the temporary schema by other ways
 * than the client's own SET: it stayed for the next client, and was lost to its own.
 */
import t, { type Test } from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, type LoginOptions, loginRaw, type RawClient } from '../fixtures/raw-client.ts'

const OBJECTS: readonly (readonly [string, string])[] = [
  ['CREATE TABLE mine (a int)', 'DROP TABLE mine'],
  ['CREATE TABLE mine AS SELECT 1 AS a', 'DROP TABLE mine'],
  ['SELECT 1 AS a INTO mine', 'DROP TABLE mine'],
  ['/* no INSERT */ SELECT 1 AS a INTO /* this */ mine', 'DROP TABLE mine'],
  ['CREATE VIEW mine AS SELECT 1', 'DROP VIEW mine'],
  ['CREATE SEQUENCE mine', 'DROP SEQUENCE mine'],
  ["CREATE TYPE mine AS ENUM ('a')", 'DROP TYPE mine'],
  ["CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", 'DROP FUNCTION pg_temp.mine()'],
  ['CREATE DOMAIN mine AS int', 'DROP DOMAIN mine'],
  ['CREATE AGGREGATE mine(int) (SFUNC = int4pl, STYPE = int)', 'DROP AGGREGATE pg_temp.mine(int)'],
  ['CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl)', 'DROP OPERATOR pg_temp.=== (int, int)'],
  ['CREATE COLLATION mine FROM "C"', 'DROP COLLATION pg_temp.mine'],
  ['SELECT public.makes()', 'DROP TABLE mine'],
]
/** How search_path comes to begin with pg_temp. */
const WAYS: readonly (readonly [string, LoginOptions, readonly string[]])[] = [
  ['ALTER ROLE', { user: 'of_role', password: 'x' }, []],
  ['ALTER ROLE IN DATABASE', { user: 'of_both', password: 'x' }, []],
  ['ALTER DATABASE', { database: 'of_database' }, []],
  ['options', { parameters: { options: '-c search_path=pg_temp,public' } }, []],
  ['SET', {}, ['SET search_path = pg_temp, public']],
  ['SET LOCAL', {}, ['BEGIN', 'SET LOCAL search_path = pg_temp, public']],
  ['set_config() for the transaction', {}, ['BEGIN', "SELECT set_config('search_path', 'pg_temp, public', true)"]],
]
const PRESENT =
  "SELECT EXISTS (SELECT 1 FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = pg_my_temp_schema())"

t.test('what is temporary by search_path', async (t) => {
  const makes = "FUNCTION public.makes() RETURNS void LANGUAGE plpgsql AS 'BEGIN CREATE TABLE mine (a int); END'"
  const target = await startPostgres(t, {
    bootstrapSql: [
      `CREATE ${makes}`,
      "CREATE FUNCTION public.path_of_its_own() RETURNS void LANGUAGE plpgsql SET search_path = pg_temp, public AS 'BEGIN CREATE TABLE mine (a int); END'",
      "CREATE ROLE of_role SUPERUSER LOGIN PASSWORD 'x'",
      "CREATE ROLE of_both SUPERUSER LOGIN PASSWORD 'x'",
      'ALTER ROLE of_role SET search_path = pg_temp, public',
      'ALTER ROLE of_both IN DATABASE postgres SET search_path = pg_temp, public',
      'CREATE DATABASE of_database TEMPLATE postgres',
      'ALTER DATABASE of_database SET search_path = pg_temp, public',
    ],
  })
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 2 })
  const attempt = async (t: Test, login: LoginOptions, before: readonly string[], create: string, drop: string) => {
    const mine = await loginRaw(t, pgbun, login)
    const other = await loginRaw(t, pgbun, login)
    for (const sql of before) await mine.rows(sql)
    t.equal(errorOf(await mine.query(create)).M, undefined, create)
    if (before[0] === 'BEGIN') await mine.rows('COMMIT')
    // The server that came free last is lent first.
    t.equal(await value(other, PRESENT), 'f', `${create}: nothing for another client`)
    t.equal(await value(mine, PRESENT), 't', `${create}: there for its own`)
    if (before[0] === 'BEGIN') await mine.rows('SET search_path = pg_temp, public')
    t.equal(errorOf(await mine.query(drop)).M, undefined, drop)
    t.equal(await value(mine, PRESENT), 'f', 'nothing is left')
    await Promise.all([mine.end(), other.end()])
  }
  for (const [way, login, before] of WAYS) {
    await t.test(way, async (t) => {
      for (const [i, [create, drop]] of OBJECTS.entries()) {
        if (way !== 'ALTER ROLE' && i % 4 > 0) continue
        // What such a function does under a path of the transaction alone, its text does not say.
        if (before[0] === 'BEGIN' && create.includes('makes')) continue
        await attempt(t, login, before, create, drop)
      }
    })
  }
  await t.test('a function with a path of its own', (t) => {
    return attempt(t, {}, [], 'SELECT public.path_of_its_own()', 'DROP TABLE pg_temp.mine')
  })
})

async function value(client: RawClient, sql: string): Promise<string | null> {
  return (await client.rows(sql))[0]![0]!
}
