/** The commands of the console that do something. Their words, checks and errors are PgBouncer's (admin.c). */

import { type ConsoleCall, ConsoleError, type ConsoleResult } from '../client/lifecycle/console-backend.ts'
import { isConsoleName } from '../config/console-names.ts'
import type { Control, ShutdownMode } from './control.ts'

/** One command. */
interface Command {
  /** What its argument is: nothing, a database that may or must be given, or anything. */
  readonly argument: 'none' | 'database' | 'any'
  /** What it does to a database, for the error where that is the console. */
  readonly action?: string
  run(control: Control, argument: string | undefined, call: ConsoleCall): void | Promise<void>
}

const MODES = new Map<string, ShutdownMode>([
  ['', 'now'],
  ['wait_for_servers', 'wait_for_servers'],
  ['wait_for_clients', 'wait_for_clients'],
])

/** By their words in lower case. */
export const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['reload', { argument: 'none', run: (control) => control.reload() }],
  [
    'pause',
    {
      argument: 'database',
      action: 'pause',
      run(control, database, { signal }) {
        if (control.paused || control.suspended) throw stateError('already suspended/paused')
        check(control, database, 'pause')
        return control.pause(database, signal)
      },
    },
  ],
  [
    'resume',
    {
      argument: 'database',
      run(control, database) {
        if (database === undefined) {
          if (!control.paused && !control.suspended) throw stateError('pooler is not paused/suspended')
        } else {
          check(control, database, 'resume')
          if (!control.isPaused(database)) throw stateError(`database ${database} is not paused`)
        }
        control.resume(database)
      },
    },
  ],
  [
    'suspend',
    {
      argument: 'none',
      run(control, _, { signal }) {
        if (control.paused || control.suspended) throw stateError('already suspended/paused')
        return control.suspend(signal)
      },
    },
  ],
  [
    'disable',
    { argument: 'database', run: (control, database) => control.disable(needed(control, database, 'disable')) },
  ],
  ['enable', { argument: 'database', run: (control, database) => control.enable(needed(control, database, 'enable')) }],
  [
    'reconnect',
    {
      argument: 'database',
      run(control, database) {
        check(control, database, 'reconnect')
        control.reconnect(database)
      },
    },
  ],
  [
    'kill',
    {
      argument: 'database',
      run(control, database) {
        if (control.paused || control.suspended) throw stateError('already suspended/paused')
        check(control, database, 'kill')
        control.kill(database)
      },
    },
  ],
  [
    'kill_client',
    {
      argument: 'any',
      run(control, argument) {
        if (argument === undefined || !/^\d{1,15}$/.test(argument)) throw invalid('invalid client pointer supplied')
        if (!control.killClient(Number(argument))) throw invalid('client not found')
      },
    },
  ],
  [
    'wait_close',
    {
      argument: 'database',
      run(control, database, { signal }) {
        check(control, database, 'wait in')
        return control.waitClose(database, signal)
      },
    },
  ],
])

/** SHUTDOWN with its word; undefined for a word that it does not have. */
export function shutdownMode(argument: string | undefined): ShutdownMode | undefined {
  return MODES.get((argument ?? '').toLowerCase())
}

/** The result of a command. */
export function done(tag: string): ConsoleResult {
  return { tag }
}

function needed(control: Control, database: string | undefined, action: string): string {
  if (database === undefined) throw invalid('a database is required')
  check(control, database, action)
  return database
}

/** @throws ConsoleError where there is no such database, or where it is the console */
function check(control: Control, database: string | undefined, action: string): void {
  if (database === undefined) return
  if (isConsoleName(database)) throw invalid(`cannot ${action} admin db: ${database}`)
  if (!control.serves(database)) throw new ConsoleError('console_no_database', { args: { database } })
}

function stateError(what: string): ConsoleError {
  return new ConsoleError('console_state', { args: { what } })
}

function invalid(what: string): ConsoleError {
  return new ConsoleError('console_invalid', { args: { what } })
}
