/**
 * Makes a leased server look like the client's session: the settings that differ are applied in one round trip before
 * the client's first message, and cost nothing where none differ (R15). The client's message waits for the answer: with
 * a setting refused it must not run under another's.
 */

import type { ServerConnection } from '../../server/connection.ts'
import { InternalQuery, type InternalQueryResult } from '../../server/internal-query.ts'
import { type ClientSettings, type Setting, UNKNOWN } from '../../settings/client-settings.ts'
import {
  freshSettingsSql,
  isLimited,
  limitsOf,
  settingsSql,
  withIdentity,
  withoutLimits,
} from '../../settings/settings-sql.ts'
import { reportedKey, spellingOf } from '../../sql/parameter-names.ts'

const NO_TEXTS: readonly string[] = []
/** SQLSTATE where the role at hand may not set a parameter. */
const NOT_PERMITTED = '42501'
/** Which function says so where it is about an object, as a function is. */
const NO_PRIVILEGE = 'aclcheck_error'

/**
 * Apply what `parameters` wants on `server`, which has nothing else of its client's. Returns true where there is nothing
 * to do; otherwise `done` is called when the server answered, and `server` is busy until then.
 */
export function applySettings(
  server: ServerConnection,
  parameters: ClientSettings,
  done: (result: InternalQueryResult) => void,
): boolean {
  const settings = parameters.difference(server)
  if (settings.length === 0) return true
  const { dirty } = server
  apply(server, parameters, settings, isLimited(server, NO_TEXTS), (result, reloaded) => {
    if (result.kind === 'error' && result.error.sqlstate === NOT_PERMITTED) {
      server.dirty = dirty
      applyAfresh(server, parameters, done)
      return
    }
    if (result.kind === 'done') {
      // The client may want what was the default.
      if (reloaded && !applySettings(server, parameters, done)) return
      // All that differed is what the client wants now, in the server's spelling.
      parameters.noteMatch(server)
    }
    done(result)
  })
  return false
}

/**
 * Apply settings on `server` that become or are what `parameters` wants; otherwise as applySettings. Its limits of time
 * may be too short for that.
 * @param asItIs who the session is, is the client's business alone: it keeps the server, and nobody asks any more
 */
export function applySome(
  server: ServerConnection,
  parameters: ClientSettings,
  settings: readonly Setting[],
  asItIs: boolean,
  done: (result: InternalQueryResult) => void,
): boolean {
  if (settings.length === 0) return true
  if (asItIs) run(server, parameters, settingsSql, settings, true, done)
  else apply(server, parameters, settings, true, done)
  return false
}

/** Settings were applied, or not; `reloaded`: the server's configuration has changed meanwhile. */
type Applied = (result: InternalQueryResult, reloaded: boolean) => void

function apply(
  server: ServerConnection,
  parameters: ClientSettings,
  differing: readonly Setting[],
  limited: boolean,
  done: Applied,
): void {
  const settings = withIdentity(differing, parameters, server)
  run(server, parameters, settingsSql, settings, limited, done)
}

/** The role that may set something may be the client's own, set before it. */
function applyAfresh(
  server: ServerConnection,
  parameters: ClientSettings,
  done: (result: InternalQueryResult) => void,
): void {
  const settings = parameters.all()
  run(server, parameters, freshSettingsSql, settings, false, (result) => {
    if (result.kind === 'done') {
      for (const name of server.applied.keys()) if (!parameters.has(name)) server.applied.delete(name)
    }
    done(result)
  })
}

function run(
  server: ServerConnection,
  parameters: ClientSettings,
  write: (settings: readonly Setting[], plainly: boolean) => string,
  settings: readonly Setting[],
  limited: boolean,
  done: Applied,
): void {
  // Until the answer is here, nobody knows what is set.
  for (const { name } of settings) server.applied.set(name, UNKNOWN)
  const { dirty } = server
  const sql = write(settings, server.setsPlainly)
  const unlimited = (): string => withoutLimits(limitsOf(server)) + sql
  InternalQuery.run(server, limited ? unlimited() : sql, unlimited, (result) => {
    if (result.kind === 'error' && result.error.routine === NO_PRIVILEGE && !server.setsPlainly) {
      // Where set_config() is kept from the users of a database, SET is not.
      server.setsPlainly = true
      server.dirty = dirty
      run(server, parameters, write, settings, limited, done)
      return
    }
    let reloaded = false
    if (result.kind === 'done') {
      noteApplied(server, settings)
      reloaded = takeReported(server, parameters, settings)
    } else server.dirty = true
    done(result, reloaded)
  })
}

/**
 * What was set is wanted in the server's spelling from now on. What else changed meanwhile no session has set, so it is a new
 * default: the server's configuration was reloaded. Returns true where it was.
 */
function takeReported(server: ServerConnection, parameters: ClientSettings, settings: readonly Setting[]): boolean {
  server.parametersChanged = false
  const changes = parameters.changes(server)
  const isSet = (name: string): boolean => settings.some((setting) => setting.name === reportedKey(name))
  const others = changes.filter((name) => !isSet(name))
  for (const name of others) noteDefault(server, name)
  parameters.absorb(server, false, others.length === 0 ? changes : changes.filter(isSet))
  return others.length > 0
}

/** What `server` reports of `name` (in its spelling) is what a new session has: where RESET goes to. */
export function noteDefault(server: ServerConnection, name: string): void {
  const current = server.parameters.get(name)!
  if (server.baseline.get(name) !== current) server.owner.onServerParameter(server, name, current)
}

function noteApplied(server: ServerConnection, settings: readonly Setting[]): void {
  for (const { name, value } of settings) {
    const spelling = spellingOf(server.parameters, name)
    if (value === undefined) server.applied.delete(name)
    else if (spelling === undefined) server.applied.set(name, value)
    else noteReported(server, name, spelling)
    // The server's configuration may have changed since its session began.
    if (value === undefined && spelling !== undefined) noteDefault(server, spelling)
  }
}

/**
 * The reported parameter `name` was set on `server`. What was set to its default looks as if it were not, and would stay
 * when there is another default.
 */
export function noteReported(server: ServerConnection, name: string, spelling: string): void {
  const value = server.parameters.get(spelling)!
  const hidden = server.baseline.get(spelling) === value && name !== 'session_authorization'
  if (hidden) server.applied.set(name, value)
  else server.applied.delete(name)
}
