/** What command tags say of the session and of the database. */
import t from 'tap'
import {
  ALTERS_MEANING,
  CHANGES_DEFAULTS,
  CHANGES_LOGINS,
  CHANGES_SESSION,
  DEALLOCATES,
  DEALLOCATES_ALL,
  DISCARDS,
  LOADS,
  MAKES,
  MAKES_CODE,
  maySay,
  PREPARES,
  REPLACES_ROLES,
  readTag,
} from '../../../lib/server/command-tags.ts'

const TAGS: [string, number][] = [
  ['SELECT 1', 0],
  ['INSERT 0 1', 0],
  ['BEGIN', 0],
  ['SET', CHANGES_SESSION],
  ['SET CONSTRAINTS', CHANGES_SESSION],
  ['RESET', CHANGES_SESSION],
  ['LISTEN', CHANGES_SESSION],
  ['UNLISTEN', CHANGES_SESSION],
  ['DO', CHANGES_SESSION],
  ['CALL', CHANGES_SESSION],
  ['PREPARE', CHANGES_SESSION | PREPARES],
  ['PREPARE TRANSACTION', CHANGES_SESSION | PREPARES],
  ['LOAD', CHANGES_SESSION | LOADS],
  ['DEALLOCATE', CHANGES_SESSION | DEALLOCATES],
  ['DEALLOCATE ALL', CHANGES_SESSION | DEALLOCATES_ALL],
  ['DISCARD ALL', CHANGES_SESSION | DEALLOCATES_ALL | DISCARDS],
  ['DISCARD TEMP', CHANGES_SESSION],
  ['CREATE TABLE', MAKES],
  ['CREATE TABLE AS', MAKES],
  ['CREATE INDEX', MAKES],
  ['ALTER TABLE', MAKES | ALTERS_MEANING],
  ['DROP TABLE', ALTERS_MEANING],
  ['CREATE FUNCTION', MAKES | ALTERS_MEANING | MAKES_CODE],
  ['CREATE TRIGGER', MAKES | MAKES_CODE],
  ['CREATE MATERIALIZED VIEW', MAKES | ALTERS_MEANING | MAKES_CODE],
  ['DROP FUNCTION', ALTERS_MEANING],
  ['CREATE ROLE', MAKES | REPLACES_ROLES],
  ['DROP ROLE', REPLACES_ROLES],
  ['ALTER ROLE', MAKES | CHANGES_DEFAULTS | CHANGES_LOGINS],
  ['ALTER DATABASE', MAKES | CHANGES_DEFAULTS | CHANGES_LOGINS],
  ['REVOKE', CHANGES_LOGINS],
  ['REVOKE ROLE', CHANGES_LOGINS],
]

t.test('each tag', async (t) => {
  for (const [tag, said] of TAGS) {
    const body = Buffer.from(`${tag}\0`)
    t.equal(maySay(body, 0) ? readTag(body) : 0, said, tag)
  }
})

t.test('a tag that is none', async (t) => {
  for (const tag of ['', 'DEALLOCATE', 'DISCARD', 'DISCARD AL', 'CREATE', 'SETTLE\0', 'do\0', 'DISCARD ALLOWED\0']) {
    t.doesNotThrow(() => readTag(Buffer.from(tag)), tag)
    t.equal(readTag(Buffer.from(tag)) & (DISCARDS | DEALLOCATES | DEALLOCATES_ALL), 0, tag)
  }
})
