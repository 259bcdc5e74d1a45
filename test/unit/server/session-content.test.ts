/** What the session of a server connection holds, and of whom. */
import t from 'tap'
import { CHANGES_LOGINS, MAKES, MAKES_CODE, REPLACES_ROLES } from '../../../lib/server/command-tags.ts'
import { SessionContent } from '../../../lib/server/session-content.ts'
import { ServerStatements } from '../../../lib/statements/server-statements.ts'
import { StatementStore } from '../../../lib/statements/shared-statements.ts'

const fresh = (): SessionContent => new SessionContent(new ServerStatements(new StatementStore()))

t.test('a new session holds nothing, of nobody', async (t) => {
  const content = fresh()
  t.notOk(content.needsReset)
  t.equal(content.lastUser, 0)
  t.equal(content.sequenceOwner, 0)
})

t.test('values of sequences are one client’s, or of several', async (t) => {
  const content = fresh()
  content.usedBy(1)
  content.usedBy(1)
  t.equal(content.sequenceOwner, 1)
  content.usedBy(2)
  t.equal(content.sequenceOwner, -1)
  content.usedBy(2)
  t.equal(content.sequenceOwner, -1, 'those of the first are there still')
  content.sequencesForgotten(2)
  t.equal(content.sequenceOwner, 2)
})

t.test('a reset leaves nothing of anybody; of values of sequences a text of pgbun’s own alone', async (t) => {
  for (const wholly of [true, false]) {
    const content = fresh()
    content.usedBy(1)
    content.leftState()
    t.ok(content.needsReset)
    content.wasReset(wholly)
    t.notOk(content.needsReset)
    t.equal(content.lastUser, 0)
    t.equal(content.sequenceOwner, wholly ? 0 : 1)
  }
})

t.test('code may have done anything, a name that is left is enough', async (t) => {
  const ran = fresh()
  ran.ranCode()
  t.ok(ran.dirty && ran.sqlPrepared && ran.needsReset)
  const named = fresh()
  named.names.leaveNameless()
  t.ok(named.needsReset)
  t.notOk(named.dirty)
  named.deallocatedAll(false)
  t.notOk(named.needsReset)
})

t.test('what a client ran before more was known of functions is taken for code', async (t) => {
  const unused = fresh()
  unused.functionsKnown(1)
  t.notOk(unused.dirty, 'nobody has run anything')
  const used = fresh()
  used.usedBy(1)
  used.functionsKnown(1)
  t.ok(used.dirty)
  used.wasReset(true)
  used.usedBy(2)
  used.functionsKnown(1)
  t.notOk(used.dirty, 'nothing more is known')
})

t.test('that a role may be another under its name counts more than that it was changed', async (t) => {
  const content = fresh()
  content.noteTag(CHANGES_LOGINS, false)
  t.equal(content.rolesChanged, 'logins')
  content.noteTag(REPLACES_ROLES, false)
  content.noteTag(CHANGES_LOGINS, false)
  t.equal(content.rolesChanged, 'replaced')
  content.rolesNoted()
  t.equal(content.rolesChanged, undefined)
})

t.test('what is made may be code where a suspected function was named', async (t) => {
  for (const [said, suspected, changed] of [
    [MAKES, false, false],
    [MAKES, true, true],
    [MAKES | MAKES_CODE, false, true],
  ] as const) {
    const content = fresh()
    content.noteTag(said, suspected)
    t.equal(content.functionsChanged, changed)
  }
})
