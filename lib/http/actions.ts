/**
 * What an admin can have done by HTTP: the commands of the console that the live page has buttons for. The same checks, the
 * same words where something cannot be done.
 */

import { COMMANDS } from '../admin/commands.ts'
import type { Control } from '../admin/control.ts'
import { ConsoleError } from '../client/lifecycle/console-backend.ts'
import { delay } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { type Answer, json, problem } from './answer.ts'

/** A pause that takes longer goes on, and its answer does not wait for it. */
const PATIENCE_MS = 2000

/** Of databases: all are meant by null. */
const DATABASE_ACTIONS = ['pause', 'resume', 'reconnect'] as const
const CLIENT_ACTIONS = ['cancel', 'disconnect'] as const

/** What is asked for. */
export type ActionRequest =
  | { readonly action: (typeof DATABASE_ACTIONS)[number]; readonly database: string | null }
  | { readonly action: (typeof CLIENT_ACTIONS)[number]; readonly client: number }

/** What acts, and the log that has what was asked for. */
export interface ActionParts {
  readonly control: Control
  readonly log: Logger
}

/** Do what the JSON text `body` asks for, on behalf of somebody at `address`. */
export async function runAction(body: string, address: string, { control, log }: ActionParts): Promise<Answer> {
  const request = readAction(body)
  if (typeof request === 'string') return problem(400, request)
  const on = 'client' in request ? { client: request.client } : { database: request.database ?? 'all' }
  log.info(`HTTP: ${request.action}`, { ...on, address })
  try {
    return await act(request, control, log)
  } catch (error) {
    if (error instanceof ConsoleError) return problem(409, error.message)
    throw error
  }
}

async function act(request: ActionRequest, control: Control, log: Logger): Promise<Answer> {
  const done = json(200, { done: request.action })
  if ('client' in request) {
    if (request.action === 'cancel') {
      return (await control.cancelClient(request.client)) ? done : problem(409, 'client not found')
    }
    await command('kill_client', control, String(request.client))
    return done
  }
  const { action, database } = request
  const acting = command(action, control, database ?? undefined)
  if (action !== 'pause') {
    await acting
    return done
  }
  // Whoever has asked for it may leave: the pause is taken back by a resume alone.
  acting.catch((error: Error) => log.error(`HTTP: pause: ${error.message}`))
  const paused = await Promise.race([acting.then(() => true), delay(PATIENCE_MS, { ref: true }).then(() => false)])
  return paused ? done : json(202, { done: '', goesOn: 'pause: transactions under way come to their end first' })
}

async function command(name: string, control: Control, argument: string | undefined): Promise<void> {
  const { signal } = new AbortController()
  await COMMANDS.get(name)!.run(control, argument, { parameters: [], signal })
}

/** What is asked for, or what is wrong with it. */
export function readAction(body: string): ActionRequest | string {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return 'the body must be JSON: {"action": "pause", "database": "app"}'
  }
  const { action, database, client } = (typeof value === 'object' && value !== null ? value : {}) as Record<
    string,
    unknown
  >
  if (isOneOf(DATABASE_ACTIONS, action)) {
    if (database !== null && (typeof database !== 'string' || database === ''))
      return `${action} needs "database": a name, or null for all databases`
    return { action, database }
  }
  if (isOneOf(CLIENT_ACTIONS, action)) {
    if (typeof client !== 'number' || !Number.isSafeInteger(client) || client < 1)
      return `${action} needs "client": the number of a client, as SHOW CLIENTS and /api/clients have it`
    return { action, client }
  }
  return `"action" must be one of ${[...DATABASE_ACTIONS, ...CLIENT_ACTIONS].join(', ')}`
}

function isOneOf<Name extends string>(names: readonly Name[], value: unknown): value is Name {
  return (names as readonly unknown[]).includes(value)
}
