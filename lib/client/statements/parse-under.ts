/**
 * A Parse sent again under other settings than it was sent under first: PostgreSQL has evaluated literals by these, and a
 * direct connection would still have what came of it. So the settings of then are put in place around the Parse, within
 * the client's transaction and batch, and nothing of that is left behind it.
 *
 * In a transaction block what holds at the moment need not be known: a savepoint brings it back. Outside of one, and where
 * what holds is what the client wants, both are written out, for the transaction alone.
 *
 * Comes in: the Parse, and both settings. Goes out: messages, announced to the reply plan. Called by named-statements.ts.
 */

import { message } from '../../protocol/build.ts'
import { FRONTEND, TX_BLOCK } from '../../protocol/types.ts'
import { BIND, CLOSE, EXECUTE, PARSE, SKIP } from '../../replies/reply-kinds.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { ParseSettings } from '../../settings/setting-values.ts'
import { quoteLiteral } from '../../sql/quote.ts'
import { firstStatement } from '../../sql/tokens.ts'
import { STATEMENT_PREFIX } from '../../statements/server-statements.ts'
import { type StatementEntry, textOf } from '../../statements/shared-statements.ts'

/** Who the session is decides what it may set. */
const IDENTITY = ['session_authorization', 'role']

/** How a Parse of a statement that was parsed under `wanted` is sent under `present`. */
export type Way = 'as it is' | 'around' | 'savepoint' | 'wait'

/** What PostgreSQL runs alike behind another Execute of the same batch; VACUUM and CALL it does not. */
const PLAIN = /^(?:select|with|values|insert|update|delete|merge|table|\()/i

/** The way there is for a statement. Where there is none to be had, its Parse is sent as it is. */
export function wayOf(
  server: Pick<ServerConnection, 'plan' | 'txStatus'>,
  { settings: wanted, body }: Pick<StatementEntry, 'settings' | 'body'>,
  present: ParseSettings,
): Way {
  if (wanted.values === undefined || wanted.fingerprint === present.fingerprint) return 'as it is'
  const { plan, txStatus } = server
  // Whether a block is open is known when what was sent before is answered.
  if (plan.readies > 0) return 'wait'
  // Behind a Query or FunctionCall in the middle of a batch, PostgreSQL says that a block is open, which is none of the client's.
  const inBlock = txStatus === TX_BLOCK && !plan.executed && !plan.mixed
  if (present.values === undefined) return inBlock ? 'savepoint' : 'as it is'
  return inBlock || isPlain(textOf(body)) ? 'around' : 'as it is'
}

function isPlain(sql: string): boolean {
  const start = firstStatement(sql)
  return start >= 0 && PLAIN.test(sql.slice(start, start + 8))
}

/**
 * The messages around a Parse under `wanted`.
 * @param parse announces the Parse and returns it
 */
export function parseUnder(
  server: ServerConnection,
  way: Way,
  wanted: ParseSettings,
  present: ParseSettings,
  parse: () => Buffer,
): Buffer[] {
  switch (way) {
    case 'around': {
      const names = differing(wanted, present)
      return [
        ...put(server, names, wanted),
        parse(),
        // The role is given back first: it may be what the others need.
        ...put(server, names.toReversed(), present),
      ]
    }
    case 'savepoint':
      return [
        ...run(server, `SAVEPOINT ${SAVEPOINT}`),
        ...run(server, 'RESET ALL'),
        ...put(server, [...new Set([...IDENTITY.slice(1), ...wanted.values!.keys()])], wanted),
        parse(),
        ...run(server, `ROLLBACK TO SAVEPOINT ${SAVEPOINT}`),
        ...run(server, `RELEASE SAVEPOINT ${SAVEPOINT}`),
      ]
    default:
      return [parse()]
  }
}

const SAVEPOINT = `${STATEMENT_PREFIX}settings`
const NAME = Buffer.from(`${SAVEPOINT}\0`)
const [EMPTY, COUNT, STATEMENT, PORTAL] = [Buffer.alloc(1), Buffer.alloc(2), Buffer.from('S'), Buffer.from('P')]
const BIND_IT = message(FRONTEND.Bind, Buffer.concat([NAME, NAME, COUNT, COUNT, COUNT]))
const EXECUTE_IT = message(FRONTEND.Execute, Buffer.concat([NAME, Buffer.alloc(4)]))
const CLOSE_BOTH = [PORTAL, STATEMENT].map((kind) => message(FRONTEND.Close, Buffer.concat([kind, NAME])))

/** `sql` by messages of its own, under a name that is nobody's. */
function run({ plan }: ServerConnection, sql: string): Buffer[] {
  for (const kind of [PARSE, BIND, EXECUTE, CLOSE, CLOSE]) plan.expect(kind, SKIP)
  const parse = message(FRONTEND.Parse, Buffer.concat([NAME, Buffer.from(sql), EMPTY, COUNT]))
  return [parse, BIND_IT, EXECUTE_IT, ...CLOSE_BOTH]
}

/** What `settings` are, as far as it goes by these names. */
function put(server: ServerConnection, names: readonly string[], settings: ParseSettings): Buffer[] {
  const texts = (settings.steps ?? []).map(({ sql }) => sql)
  if (names.length > 0) texts.unshift(setSql(names, settings))
  return texts.flatMap((sql) => run(server, sql))
}

/** Names of what differs, those first on which it depends whether others may be set. */
function differing(wanted: ParseSettings, present: ParseSettings): string[] {
  const names = [...new Set([...wanted.values!.keys(), ...present.values!.keys()])].filter((name) => {
    return wanted.values!.get(name) !== present.values!.get(name)
  })
  for (const { name } of [...(wanted.steps ?? []), ...(present.steps ?? [])])
    if (!names.includes(name)) names.push(name)
  return [...IDENTITY.filter((name) => names.includes(name)), ...names.filter((name) => !IDENTITY.includes(name))]
}

/** For the transaction alone; without a value, what a new session has. */
function setSql(names: readonly string[], { values }: ParseSettings): string {
  const calls = names.map((name) => {
    const value = values?.get(name)
    return `pg_catalog.set_config(${quoteLiteral(name)}, ${value === undefined ? 'NULL' : quoteLiteral(value)}, true)`
  })
  return `SELECT ${calls.join(', ')}`
}
