/**
 * Makes a leased server look like the client's session: the settings that differ are applied in one round trip before
 * the client's first message, and cost nothing where none differ (R15). The client's message waits for the answer: with
 * a setting refused it must not run under another's.
 */

import type { ServerConnection } from '../../server/connection.ts'
import { InternalQuery, type InternalQueryResult, type TimeLimits } from '../../server/internal-query.ts'
import type { ClientSettings, Setting } from '../../settings/client-settings.ts'
import { freshSettingsSql, settingsSql, withIdentity } from '../../settings/settings-sql.ts'
import { reportedKey } from '../../sql/parameter-names.ts'

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
  const settings = parameters.difference(server.settings)
  if (settings.length === 0) return true
  apply(server, parameters, settings, 'lifted where short', (result, reloaded) => {
    if (result.kind === 'error' && result.error.sqlstate === NOT_PERMITTED) {
      applyAfresh(server, parameters, done)
      return
    }
    if (result.kind === 'done') {
      // The client may want what was the default.
      if (reloaded && !applySettings(server, parameters, done)) return
      // All that differed is what the client wants now, in the server's spelling.
      parameters.noteMatch(server.settings)
    } else server.content.leftState()
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
  const applied: Applied = (result) => {
    if (result.kind !== 'done') server.content.leftState()
    done(result)
  }
  if (asItIs) run(server, parameters, settingsSql, settings, 'lifted', applied)
  else apply(server, parameters, settings, 'lifted', applied)
  return false
}

/** Settings were applied, or not; `reloaded`: the server's configuration has changed meanwhile. */
type Applied = (result: InternalQueryResult, reloaded: boolean) => void

function apply(
  server: ServerConnection,
  parameters: ClientSettings,
  differing: readonly Setting[],
  limits: TimeLimits,
  done: Applied,
): void {
  const settings = withIdentity(differing, parameters, server.settings)
  run(server, parameters, settingsSql, settings, limits, done)
}

/** The role that may set something may be the client's own, set before it. */
function applyAfresh(
  server: ServerConnection,
  parameters: ClientSettings,
  done: (result: InternalQueryResult) => void,
): void {
  const settings = parameters.all()
  run(server, parameters, freshSettingsSql, settings, 'lifted where canceled', (result) => {
    if (result.kind === 'done') {
      for (const name of server.settings.appliedNames())
        if (!parameters.has(name)) server.settings.wasSet(name, undefined)
    } else server.content.leftState()
    done(result)
  })
}

function run(
  server: ServerConnection,
  parameters: ClientSettings,
  write: (settings: readonly Setting[], plainly: boolean) => string,
  settings: readonly Setting[],
  limits: TimeLimits,
  done: Applied,
): void {
  InternalQuery.run(server, write(settings, server.settings.setsPlainly), limits, (result) => {
    if (result.kind === 'error' && result.error.routine === NO_PRIVILEGE && !server.settings.setsPlainly) {
      // Where set_config() is kept from the users of a database, SET is not.
      server.settings.setConfigRefused()
      run(server, parameters, write, settings, limits, done)
      return
    }
    let reloaded = false
    if (result.kind === 'done') {
      noteApplied(server, settings)
      reloaded = takeReported(server, parameters, settings)
    }
    done(result, reloaded)
  })
  // Until the answer is here, nobody knows what is set; the limits that the query runs under were looked at before.
  for (const { name } of settings) server.settings.doubt(name)
}

/**
 * What was set is wanted in the server's spelling from now on. What else changed meanwhile no session has set, so it is a new
 * default: the server's configuration was reloaded. Returns true where it was.
 */
function takeReported(server: ServerConnection, parameters: ClientSettings, settings: readonly Setting[]): boolean {
  server.effects.parametersTaken()
  const changes = parameters.changes(server.settings)
  const isSet = (name: string): boolean => settings.some((setting) => setting.name === reportedKey(name))
  const others = changes.filter((name) => !isSet(name))
  for (const name of others) server.noteDefault(name)
  parameters.absorb(server.settings, false, others.length === 0 ? changes : changes.filter(isSet))
  return others.length > 0
}

function noteApplied(server: ServerConnection, settings: readonly Setting[]): void {
  for (const { name, value } of settings) {
    server.settings.wasSet(name, value)
    // The server's configuration may have changed since its session began.
    const spelling = value === undefined ? server.settings.spelling(name) : undefined
    if (spelling !== undefined) server.noteDefault(spelling)
  }
}
