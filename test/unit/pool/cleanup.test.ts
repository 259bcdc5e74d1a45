/** What a pool does with a server before another client gets it: a table of cases. */
import t from 'tap'
import { type Cleanup, type CleanupPool, type CleanupServer, cleanup, type Moment } from '../../../lib/pool/cleanup.ts'
import type { PoolMode, PoolSettings } from '../../../lib/pool/settings.ts'
import { SessionContent } from '../../../lib/server/session-content.ts'
import { ServerSettings } from '../../../lib/settings/server-settings.ts'
import { ServerStatements } from '../../../lib/statements/server-statements.ts'
import { StatementStore } from '../../../lib/statements/shared-statements.ts'

/** Time of all decisions. */
const AT = 100_000

/** What is special about a case: what the client has left, and how server and pool are. */
interface Case {
  /** What happened in the session, after client 1 has used it. */
  left?: (content: SessionContent) => void
  /** What is set there and does not show. */
  set?: Record<string, string>
  server?: Partial<CleanupServer>
  pool?: Partial<CleanupPool>
  settings?: Partial<PoolSettings>
  functions?: Partial<CleanupPool['functions']>
  mode?: PoolMode
  /** Who is to get the server. */
  client?: number
}

const SETTINGS = {
  size: 10,
  reserveSize: 0,
  minSize: 0,
  resetQuery: 'DISCARD ALL',
  checkQuery: 'SELECT 1',
  checkDelayMs: 30_000,
  idleTimeoutMs: 600_000,
  lifetimeMs: 3_600_000,
} as PoolSettings

function decide(moment: Moment, { left, set, server, pool, settings, functions, mode, client }: Case): Cleanup {
  const content = new SessionContent(new ServerStatements(new StatementStore()))
  content.usedBy(1)
  left?.(content)
  const applied = new ServerSettings(new Map())
  for (const [name, value] of Object.entries(set ?? {})) applied.wasSet(name, value)
  const idle = moment === 'idle' || moment === 'wanted'
  const subject: CleanupServer = {
    content,
    settings: applied,
    state: idle ? 'idle' : 'active',
    settled: true,
    cancels: 0,
    closeReason: undefined,
    openedAt: AT - 1000,
    usedAt: AT - 10,
    lifetimeShare: 1,
    ...server,
  }
  const rules: CleanupPool = {
    settings: { ...SETTINGS, ...settings },
    functions: { defaultsStamp: 0, wanted: () => false, overdue: () => false, ...functions },
    connected: 1,
    closing: false,
    ...pool,
  }
  return cleanup(moment, subject, rules, AT, mode, client)
}

const keepStatements = /^SET SESSION AUTHORIZATION DEFAULT; .*DISCARD TEMP$/
const dirty = (content: SessionContent): void => content.leftState()
const disowned = (content: SessionContent): void => {
  content.leftState()
  content.disown()
}

const abandonedCode = (content: SessionContent): void => {
  content.ranCode()
  content.disown()
}
const nothingPrepared = (content: SessionContent): void => {
  content.ranCode()
  content.lookedForPrepared(false)
}
const dirtyAndDoubted = (content: SessionContent): void => {
  content.leftState()
  content.doubtRole()
}
const orderDoubted = (content: SessionContent): void => {
  content.leftState()
  content.doubtOrder()
}

/** What a decision is in short: its kind, and what it is about. */
function brief(decision: Cleanup): string {
  switch (decision.kind) {
    case 'run':
      return `run ${keepStatements.test(decision.sql) ? 'KEEP STATEMENTS' : decision.sql}`
    case 'check':
      return `check ${decision.sql}`
    case 'close':
      return `close: ${decision.reason}`
    case 'drain':
      return decision.cancel ? 'drain, cancel' : 'drain'
    case 'ask-functions':
      return decision.hurried ? 'ask-functions, hurried' : 'ask-functions'
    default:
      return decision.kind
  }
}

function table(title: string, moment: Moment, rows: [what: string, Case, decision: string][]): void {
  t.test(title, async (t) => {
    for (const [what, given, decision] of rows) t.equal(brief(decide(moment, given)), decision, what)
  })
}

const DEFAULTS_CHANGED = 'close: ALTER ROLE or ALTER DATABASE has changed what sessions begin with'

table('a lease that has ended in an orderly way', 'done', [
  ['nothing was left', {}, 'nothing'],
  ['state was left: its client may come back for it', { left: dirty }, 'nothing'],
  ['state was left that nobody comes back for', { left: disowned }, 'run KEEP STATEMENTS'],
  ['so it is where SQL has prepared statements', { left: abandonedCode }, 'run DISCARD ALL'],
  ['a cancel request is under way: the pool waits for it', { server: { cancels: 1 } }, 'nothing'],
  ['the session would time out', { set: { idle_session_timeout: '5s' } }, 'end-idle-limit'],
  ['it would not', { set: { idle_session_timeout: '0', statement_timeout: '5s' } }, 'nothing'],
  ['a reset takes that along', { left: disowned, set: { idle_session_timeout: '5s' } }, 'run KEEP STATEMENTS'],
  ['it is not to be used again', { server: { closeReason: 'why' } }, 'close: why'],
  ['LOAD was run', { left: (c) => c.ranLoad() }, 'close: its client has run LOAD'],
  ['the pool is closing', { pool: { closing: true } }, 'close: shutting down'],
  ['new sessions begin with something else', { functions: { defaultsStamp: 1 } }, DEFAULTS_CHANGED],
  ['it is old', { server: { openedAt: AT - 4_000_000 } }, 'close: server_lifetime'],
  ['not as old as it may become', { server: { openedAt: AT - 3_500_000 } }, 'nothing'],
  [
    'its share of the lifetime is over',
    { server: { openedAt: AT - 3_500_000, lifetimeShare: 0.9 } },
    'close: server_lifetime',
  ],
  ['there is no lifetime', { server: { openedAt: AT - 4_000_000 }, settings: { lifetimeMs: 0 } }, 'nothing'],
  ['there are too many', { pool: { connected: 11 } }, 'close: pool_size was made smaller'],
  ['the reserve is in use', { pool: { connected: 11 }, settings: { reserveSize: 1 } }, 'nothing'],
])

table('a session that has ended', 'done', [
  ['the reset query', { mode: 'session' }, 'run DISCARD ALL'],
  ['it is the operator’s', { mode: 'session', settings: { resetQuery: 'SELECT 7' } }, 'run SELECT 7'],
  ['no reset query: the operator vouches', { mode: 'session', left: dirty, settings: { resetQuery: '' } }, 'nothing'],
  [
    'for what nobody owns, too, nobody vouches',
    { mode: 'session', left: disowned, settings: { resetQuery: '' } },
    'run KEEP STATEMENTS',
  ],
  ['a cancel request must not hit the reset', { mode: 'session', server: { cancels: 1 } }, 'drain'],
  [
    'the session’s own limit is in the reset',
    { mode: 'session', set: { idle_session_timeout: '5s' } },
    'run DISCARD ALL',
  ],
])

for (const [moment, drain] of [
  ['abandoned', 'drain, cancel'],
  ['finishing', 'drain'],
] as const) {
  table(`a client that has left: ${moment}`, moment, [
    ['something is outstanding', { server: { settled: false } }, drain],
    ['a cancel request is', { server: { cancels: 1 } }, drain],
    ['nothing is after all', {}, 'nothing'],
    ['an end of the connection waits, too', { server: { settled: false, closeReason: 'why' } }, drain],
  ])
}

table('what was left has come to its end', 'drained', [
  ['no second time', { server: { cancels: 1 } }, 'nothing'],
  ['the reset of a session', { mode: 'session' }, 'run DISCARD ALL'],
  ['the end of the connection', { server: { closeReason: 'why' } }, 'close: why'],
])

table('nothing holds a server any more', 'free', [
  ['it is offered as it is', { left: dirty }, 'nothing'],
  ['or closed', { left: (c) => c.ranLoad() }, 'close: its client has run LOAD'],
  ['its age was looked at before', { server: { openedAt: AT - 4_000_000 } }, 'nothing'],
])

table('a client is to get a server', 'wanted', [
  ['a clean one', { client: 2 }, 'nothing'],
  ['the same client', { client: 1, left: dirty }, 'nothing'],
  ['the same, of which nobody shall have it as it is', { client: 1, left: disowned }, 'run KEEP STATEMENTS'],
  ['another client', { client: 2, left: dirty }, 'run KEEP STATEMENTS'],
  ['code was run', { client: 2, left: (c) => c.ranCode() }, 'run DISCARD ALL'],
  ['a name of another client is there', { client: 2, left: (c) => c.names.leave('a') }, 'run DISCARD ALL'],
  ['a name of the same client is', { client: 1, left: (c) => c.names.leave('a') }, 'nothing'],
  [
    'the client that left it was asked what SQL has prepared',
    { client: 2, left: nothingPrepared },
    'run KEEP STATEMENTS',
  ],
  ['the role may be gone', { client: 1, left: (c) => c.doubtRole() }, 'ask-role'],
  ['a reset comes first', { client: 2, left: dirtyAndDoubted }, 'run KEEP STATEMENTS'],
  ['an error may have come ahead of an answer', { client: 1, left: (c) => c.doubtOrder() }, 'ask-order'],
  ['which comes before a reset', { client: 2, left: orderDoubted }, 'ask-order'],
  ['functions are to be asked for', { client: 1, functions: { wanted: () => true } }, 'ask-functions, hurried'],
  ['the role comes first', { client: 1, left: (c) => c.doubtRole(), functions: { wanted: () => true } }, 'ask-role'],
  ['a check of what idled for long', { client: 1, server: { usedAt: AT - 30_000 } }, 'check SELECT 1'],
  ['not of what comes from another client', { client: 1, server: { usedAt: AT - 30_000, state: 'busy' } }, 'nothing'],
  ['no check query', { client: 1, server: { usedAt: AT - 30_000 }, settings: { checkQuery: undefined } }, 'nothing'],
  ['a reset is check enough', { client: 2, left: dirty, server: { usedAt: AT - 30_000 } }, 'run KEEP STATEMENTS'],
  ['it is not to be used again', { client: 2, left: dirty, server: { closeReason: 'why' } }, 'close: why'],
])

table('the janitor passes by an idle server', 'idle', [
  ['nothing is left', {}, 'nothing'],
  ['its client did not come back', { left: dirty }, 'run KEEP STATEMENTS'],
  ['nor for a name', { left: (c) => c.names.leave('a') }, 'run DISCARD ALL'],
  ['functions were not asked for lately', { functions: { overdue: () => true } }, 'ask-functions'],
  ['nor here', { functions: { wanted: () => true } }, 'ask-functions'],
  ['a reset comes first', { left: dirty, functions: { overdue: () => true } }, 'run KEEP STATEMENTS'],
  ['what is asked could be answered by what was asked before', { left: orderDoubted }, 'ask-order'],
  ['it idles for too long', { server: { usedAt: AT - 600_001 } }, 'close: server_idle_timeout'],
  ['it is one of a few', { server: { usedAt: AT - 600_001 }, settings: { minSize: 1 } }, 'nothing'],
  ['it may idle for ever', { server: { usedAt: AT - 600_001 }, settings: { idleTimeoutMs: 0 } }, 'nothing'],
  ['it is old', { left: dirty, server: { openedAt: AT - 4_000_000 } }, 'close: server_lifetime'],
])
