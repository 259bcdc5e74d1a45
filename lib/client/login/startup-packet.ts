/**
 * What a startup packet asks pgbun for (protocol chapter "Start-up"): who, where, with which settings. The packets of a
 * program are all the same, byte for byte; so what was read of them is remembered, and their settings are shared.
 *
 * Comes in: the packet's body. Goes out: its meaning, which nobody may change, for login.ts.
 */

import { ProtocolError } from '../../protocol/reader.ts'
import { type ReplicationMode, readReplicationMode } from '../../protocol/replication-mode.ts'
import { readStartup, type StartupPacket } from '../../protocol/startup.ts'
import { keyOf, parseOptions } from '../../settings/client-settings.ts'
import { NO_SETTING_VALUES, SettingValues } from '../../settings/setting-values.ts'
import { BoundedMap } from '../../util/bounded-map.ts'
import type { NamedError } from '../lifecycle/ending.ts'

/** A client that wants to log in. */
export interface ClientStartup {
  readonly kind: 'client'
  /** Protocol version as on the wire. */
  readonly version: number
  readonly user: string
  readonly database: string
  readonly applicationName: string
  readonly replication: ReplicationMode
  /** Settings, `options` among them; of a replication client none: its own connection is opened with `parameters`. */
  readonly settings: SettingValues
  /** As they stood in the packet. */
  readonly parameters: ReadonlyMap<string, string>
  /** Protocol options (`_pq_.`): pgbun knows none. */
  readonly unknown: readonly string[]
}

/** A client that cannot get what it wants; it is told why. */
export interface RefusedStartup {
  readonly kind: 'refused'
  readonly user: string
  readonly database: string
  readonly error: NamedError
}

type Other = Exclude<StartupPacket, { kind: 'startup' }>

/** Not settings. */
const OWN = new Set(['user', 'database', 'replication', 'options'])
/** Packets remembered. */
const LIMIT = 256
/** Bytes of a packet that is. */
const MEMORABLE = 512
/** By the packet, one UTF-16 unit for each byte. */
const remembered = new BoundedMap<ClientStartup>(LIMIT)

/** Read the packet in `body`. @throws ProtocolError where it is none */
export function readClientStartup(body: Buffer): ClientStartup | RefusedStartup | Other {
  const bytes = body.length <= MEMORABLE ? body.toString('latin1') : ''
  const known = remembered.get(bytes)
  if (known !== undefined) return known
  const packet = readStartup(body)
  if (packet.kind !== 'startup') return packet
  const startup = understand(packet)
  if (bytes !== '' && startup.kind === 'client') remembered.set(bytes, startup)
  return startup
}

function understand({ version, parameters }: Extract<StartupPacket, { kind: 'startup' }>) {
  const user = parameters.get('user') ?? ''
  const database = parameters.get('database') || user
  const refused = (error: NamedError): RefusedStartup => ({ kind: 'refused', user, database, error })
  if (user === '') return refused({ kind: 'error', name: 'no_user' })
  const wanted = parameters.get('replication')
  const replication = wanted === undefined ? 'none' : readReplicationMode(wanted)
  if (replication === undefined) {
    const hint = 'Valid values are: "false", 0, "true", 1, "database".'
    return refused({ kind: 'error', name: 'replication_invalid', args: { args: { value: wanted! }, hint } })
  }
  try {
    const settings = readSettings(parameters, replication)
    return { kind: 'client', version, user, database, replication, parameters, ...settings } as const
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    return refused({ kind: 'error', name: 'protocol_violation', args: { args: { what: error.message } } })
  }
}

function readSettings(parameters: ReadonlyMap<string, string>, replication: ReplicationMode) {
  const unknown: string[] = []
  const values = new Map<string, string>()
  let applicationName = ''
  const take = (name: string, value: string): void => {
    if (replication === 'none') values.set(keyOf(name), value)
    if (name.toLowerCase() === 'application_name') applicationName = value
  }
  // Whatever their order in the packet, PostgreSQL applies `options` first.
  const options = replication === 'none' ? parameters.get('options') : undefined
  for (const option of parseOptions(options ?? '')) take(option.name, option.value!)
  for (const [name, value] of parameters) {
    if (OWN.has(name)) continue
    if (name.startsWith('_pq_.')) unknown.push(name)
    else take(name, value)
  }
  return { applicationName, unknown, settings: values.size === 0 ? NO_SETTING_VALUES : new SettingValues(values) }
}
