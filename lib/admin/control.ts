/**
 * What the console can have done: a port, which daemon/control.ts implements. Each returns when it is done, and throws a
 * ConsoleError that says why it cannot be. Databases go by the names that clients use; without one, all are meant.
 */

/** How the process ends. */
export type ShutdownMode =
  /** Now. */
  | 'now'
  /** When what runs on servers has come to its end. */
  | 'wait_for_servers'
  /** When clients have left, or their time is up. */
  | 'wait_for_clients'

/** Acts on databases, clients and the process. */
export interface Control {
  readonly paused: boolean
  readonly suspended: boolean
  isPaused(database: string): boolean
  isDisabled(database: string): boolean
  /** Whether there is or can be such a database. */
  serves(database: string): boolean
  /** Lend out no servers; resolves when none is connected any more. An aborted `signal` takes it back. */
  pause(database: string | undefined, signal: AbortSignal): Promise<void>
  resume(database: string | undefined): void
  /** Read nothing from clients any more; resolves when all that was read has been answered as far as it goes. */
  suspend(signal: AbortSignal): Promise<void>
  disable(database: string): void
  enable(database: string): void
  /** Renew connections to servers as they become free. */
  reconnect(database: string | undefined): void
  /** End clients and servers at once, then pause. */
  kill(database: string | undefined): void
  /** End one client by its number; false where there is none. */
  killClient(id: number): boolean
  /** Have PostgreSQL cancel what that client runs; false where there is no such client. */
  cancelClient(id: number): Promise<boolean>
  /** Resolves when no connection is left that is to be renewed. */
  waitClose(database: string | undefined, signal: AbortSignal): Promise<void>
  /** Begin anew with the statistics of statements. */
  resetQueries(): void
  /** Read the configuration again. */
  reload(): Promise<void>
  /** Change an option until the next reload. */
  set(name: string, value: string): Promise<void>
  /** Begin to end the process. */
  shutDown(mode: ShutdownMode): void
}
