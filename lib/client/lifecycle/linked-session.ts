/** What the client's side of a server connection (server-link.ts) needs of its session. */

import type { Wire } from '../../net/wire.ts'
import type { Batch } from '../../protocol/batch.ts'
import type { ClientSettings } from '../../settings/client-settings.ts'
import type { Activity } from './activity.ts'
import type { ClientInfo } from './client-info.ts'
import type { ClientState } from './client-state.ts'
import type { EndReason, NamedError } from './ending.ts'
import type { ClientPorts } from './ports.ts'

/** The session whose server it is. */
export interface LinkedSession {
  readonly info: ClientInfo
  readonly settings: ClientSettings
  readonly activity: Activity
  readonly ports: ClientPorts
  readonly wire: Wire
  readonly state: ClientState
  /** The process shuts down: end the session at the next moment no transaction is open, or behind what waits for a server. */
  readonly closing: 'not' | 'between transactions' | 'when served'
  /** Something was read and not handled yet. */
  readonly hasInput: boolean
  /** Type of the message that stands at the head of it. */
  readonly nextType: number
  setState(next: ClientState): void
  /** Handle what was read as far as the state allows. */
  pump(): void
  /** Pause or resume the client's socket. */
  regulate(): void
  /** Handle `batch`, if there is one, before all that waits. */
  putBack(batch: Batch | undefined): void
  end(reason: EndReason): void
  endWith(name: NamedError['name'], args?: NamedError['args']): void
  onFault(error: unknown): void
}
