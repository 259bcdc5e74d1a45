/**
 * What follows from the state that PostgreSQL says is in the session of a client's server: parameters become the client's own
 * and follow it; what cannot be moved is remembered by kind. Called by state-question.ts with the answer to its question.
 */

import type { ServerConnection } from '../../server/connection.ts'
import { type ClientSettings, isReadable } from '../../settings/client-settings.ts'
import { isUnlisted, kindsOf, type SessionState } from '../../settings/state-query.ts'
import { reportedKey } from '../../sql/parameter-names.ts'
import type { SettingNames } from '../../sql/setting-names.ts'
import { resets } from '../../sql/setting-texts.ts'
import { ANY, DISCARD, PREPARED, SETTINGS } from '../../sql/state-effects.ts'
import { ENCODED_VALUE, type RememberedState } from './remembered-state.ts'

/** The client that has left the state. */
export interface StateOwner {
  /** What it wants set. */
  readonly parameters: ClientSettings
  readonly remembered: RememberedState
}

/** What PostgreSQL was asked for. */
export interface Sought {
  /** What was looked for (sql/state-effects). */
  readonly effects: number
  /** What the client's texts say of parameters; unless that is all, every parameter was asked for that is set. */
  readonly names: SettingNames
  /** Parameters that were asked for by name. */
  readonly asked: readonly string[]
  /** What is or was set, where every parameter was asked for that is set. */
  readonly held: readonly string[]
  /** Reported parameters, in the server's spelling, that changed although no text names them. */
  readonly unexplained: readonly string[]
  /** Reported parameters that are as by default: where they are set all the same, that was not reported. */
  readonly unreported: readonly string[]
}

/**
 * `state` is what `client` has in the session of `server`. Returns the parameters, in the server's spelling, that it was told of
 * under a new default although it wants a value of its own.
 */
export function takeState(
  client: StateOwner,
  server: ServerConnection,
  sought: Sought,
  state: SessionState,
): readonly string[] {
  const { effects, names, unreported } = sought
  for (const kind of kindsOf(effects)) {
    if (state.pins.includes(kind)) client.remembered.find(kind)
    else client.remembered.lose(kind)
  }
  // No reset takes it away.
  if (state.pins.includes('replicationSlot')) server.retire('its client has made a temporary replication slot')
  if ((effects & PREPARED) !== 0) server.content.lookedForPrepared(client.remembered.kinds.has('prepare'))
  if ((effects & SETTINGS) !== 0) {
    restoreStartup(client, server, names)
    takeSettings(client, server, sought, state)
  }
  // DO and CALL may set a parameter of an application's that nobody can ask for.
  if ((effects & ANY) === ANY && (effects & DISCARD) === 0) server.content.leftState()
  const mistold = takeUnexplained(client, server, sought, state.settings)
  takeReported(
    client,
    server,
    unreported.filter((name) => state.settings.has(name)),
  )
  return mistold
}

/** The client has set `name` on `server`. */
export function takeSetting(client: StateOwner, server: ServerConnection, name: string, value: string): void {
  if (isReadable(server.settings, value)) client.parameters.set(name, value)
  else {
    client.parameters.setUnreadable(name, value)
    client.remembered.foundForGood('other', ENCODED_VALUE)
  }
  if (!server.settings.reports(name)) server.settings.wasSet(name, value)
}

/** These were set, perhaps to what they were by default: that is the client's wish when there is another default. */
export function takeReported({ parameters }: StateOwner, server: ServerConnection, keys: readonly string[]): void {
  for (const [name, value] of server.settings.reported) {
    const key = reportedKey(name)
    if (!keys.includes(key) || !isReadable(server.settings, value)) continue
    parameters.set(key, value)
    server.settings.wasSetInSight(key, name)
  }
}

/** What texts that say `names` took back to its default is, for the client, what it asked for at startup. */
export function restoreStartup({ parameters }: StateOwner, server: ServerConnection, names: SettingNames): void {
  if (names.resets !== 'none') parameters.restoreStartup(server.settings, (name) => resets(names, name))
}

/** What is or was set. */
export function heldSettings({ parameters }: StateOwner, server: ServerConnection): string[] {
  return [...parameters.names(), ...server.settings.appliedNames()]
}

/**
 * Parameters have changed: those that are set in the session are the client's, others were reset by code, or have another
 * default now, which is for who has no wish.
 */
function takeUnexplained(
  { parameters, remembered }: StateOwner,
  server: ServerConnection,
  { unexplained, names }: Sought,
  settings: ReadonlyMap<string, string>,
): readonly string[] {
  const own = unexplained.filter((name) => settings.has(reportedKey(name)))
  if (!parameters.absorb(server.settings, true, own)) remembered.foundForGood('other', ENCODED_VALUE)
  const mistold: string[] = []
  for (const name of unexplained) {
    if (own.includes(name)) continue
    const key = reportedKey(name)
    // A RESET may lead to a default that this server had not told of, because a wish was in its place.
    if (server.settings.isDefaultOf(key) || resets(names, key)) parameters.unset(key)
    else if (parameters.has(key)) mistold.push(name)
    server.noteDefault(name)
  }
  return mistold
}

function takeSettings(
  client: StateOwner,
  server: ServerConnection,
  { asked, held, names }: Sought,
  { settings, shown }: SessionState,
): void {
  const { parameters, remembered } = client
  const gone = new Set([...held, ...asked])
  for (const [name, value] of settings) {
    // What a RESET leaves: a parameter of an application's is '', there is no way back to not being there at all.
    const none = name === 'role' ? 'none' : ''
    // A reset before has left its name behind.
    if (value === '' && remembered.hiddenSettings.includes(name) && !parameters.has(name)) continue
    if (server.settings.reports(name) || (value === none && isReset(parameters, name, names))) continue
    gone.delete(name)
    takeSetting(client, server, name, value)
  }
  for (const name of gone) {
    if (server.settings.reports(name)) continue
    // A role that may not see it is not told whether it is set: not that it was reset.
    if (!isUnlisted(name) && !shown.has(name) && !resets(names, name)) {
      if (parameters.has(name) || server.settings.applied(name) !== undefined) server.settings.doubt(name)
      server.content.leftState()
      continue
    }
    parameters.unset(name)
    server.settings.wasSet(name, undefined)
  }
}

/** A text resets `name`, which PostgreSQL does not list, and it is what that leaves. RESET ALL leaves the role alone. */
function isReset(parameters: ClientSettings, name: string, names: SettingNames): boolean {
  if (name === 'role' && names.resets === 'all') return parameters.get(name) !== 'none'
  return isUnlisted(name) && resets(names, name)
}
