/**
 * Makes a leased server look like the client's session: the settings that differ are applied in one round trip before
 * the client's first message, and cost nothing where none differ (R15). The client's message waits for the answer: with
 * a setting refused it must not run under another's.
 */

import type { ServerConnection } from '../server/connection.ts'
import { Task, type TaskResult } from '../server/task.ts'
import { type ClientParameters, type Setting, settingsSql, UNKNOWN } from '../session/parameters.ts'

/**
 * Apply what `parameters` wants on `server`. Returns true where there is nothing to do; otherwise `done` is called when
 * the server answered, and `server` is busy until then.
 */
export function applySettings(
  server: ServerConnection,
  parameters: ClientParameters,
  done: (result: TaskResult) => void,
): boolean {
  return applyAll(server, parameters, parameters.difference(server), done)
}

/** Apply `settings` on `server`, which become or are what `parameters` wants; otherwise as applySettings. */
export function applyAll(
  server: ServerConnection,
  parameters: ClientParameters,
  settings: readonly Setting[],
  done: (result: TaskResult) => void,
): boolean {
  if (settings.length === 0) return true
  // Until the answer is here, nobody knows what is set.
  for (const { name } of settings) server.applied.set(name, UNKNOWN)
  Task.run(server, settingsSql(settings), (result) => {
    if (result.kind === 'done') {
      noteApplied(server, settings)
      server.parametersChanged = false
      // The server's spelling of the values: the next comparison finds them equal.
      parameters.absorb(server)
    } else server.dirty = true
    done(result)
  })
  return false
}

/** A transaction of the client ended: what its statements set is what it wants from now on. */
export function adoptSettings(server: ServerConnection, parameters: ClientParameters): void {
  if (!server.parametersChanged) return
  server.parametersChanged = false
  parameters.absorb(server)
}

function noteApplied(server: ServerConnection, settings: readonly Setting[]): void {
  const reported = new Map<string, string>()
  for (const name of server.parameters.keys()) reported.set(name.toLowerCase(), name)
  for (const { name, value } of settings) {
    const spelling = reported.get(name)
    if (value === undefined || spelling !== undefined) server.applied.delete(name)
    else server.applied.set(name, value)
    if (value !== undefined || spelling === undefined) continue
    // Where RESET goes to is what a new session has: the server's configuration may have changed since this one began.
    const current = server.parameters.get(spelling)!
    if (server.baseline.get(spelling) !== current) server.owner.onServerParameter(server, spelling, current)
  }
}
