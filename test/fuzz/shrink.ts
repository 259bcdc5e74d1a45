/**
 * Cuts a failing script down: whatever can be left out while it still fails is left out. Greedy, from large parts to
 * small ones, until nothing more goes or the time is over.
 */

import { type FuzzMessage, legalTurns, type Script, sizeOf, type Turn } from './script.ts'

export interface ShrinkOptions {
  /** True where a script fails as the original did. */
  fails(script: Script): Promise<boolean>
  /** When to be content with what is reached, in milliseconds from now. */
  budget: number
}

/** The smallest script found that still fails. */
export async function shrink(script: Script, { fails, budget }: ShrinkOptions): Promise<Script> {
  const end = Date.now() + budget
  let best = script
  for (let size = Number.POSITIVE_INFINITY; weigh(best) < size; ) {
    size = weigh(best)
    for (const pass of PASSES) {
      // Each pass names candidates of the best script so far; `at` is where it goes on after one that failed.
      for (let at = 0; ; ) {
        const made = pass(best, at)
        if (made === undefined) break
        if (Date.now() > end) return best
        const candidate = made === SKIP ? made : legal(made)
        if (candidate !== SKIP && weigh(candidate) < weigh(best) && (await fails(candidate))) best = candidate
        else at++
      }
    }
  }
  return best
}

function legal(script: Script): Script {
  const clients = script.clients.map((client) => ({ ...client, turns: legalTurns(client.turns, script.settings.mode) }))
  return { ...script, clients }
}

/** A place where a pass has nothing to leave out. */
const SKIP = Symbol('nothing to do here')

/** The `at`th way to make `script` smaller; undefined when there is none any more. */
type Pass = (script: Script, at: number) => Script | typeof SKIP | undefined

/** What makes a script large, in the order of how much it hinders reading. */
function weigh(script: Script): number {
  return JSON.stringify(script).length + 100 * sizeOf(script)
}

const PASSES: Pass[] = [
  withoutClient,
  parts(2),
  inTurns((turns, at) => without(turns, at, (rest) => rest)),
  parts(4),
  inMessages((messages, at) => without(messages, at, (rest) => rest)),
  inTurns((turns, at) => replace(turns, at, plainer)),
  inMessages((messages, at) => replace(messages, at, simpler)),
  (script, at) => {
    const { settings } = script
    const candidates = [{ poolSize: 1 }, { statements: 200 }]
    return candidates[at] && { ...script, settings: { ...settings, ...candidates[at] } }
  },
]

function without<T, R>(list: readonly T[], at: number, make: (rest: T[]) => R): R | undefined {
  return at < list.length ? make(list.toSpliced(at, 1)) : undefined
}

/** The last client stays: there is nothing to see without one. */
function withoutClient(script: Script, at: number): Script | undefined {
  if (script.clients.length < 2) return undefined
  return without(script.clients, at, (clients) => ({ ...script, clients }))
}

function replace<T>(list: readonly T[], at: number, make: (item: T) => T | undefined): T[] | typeof SKIP | undefined {
  if (at >= list.length) return undefined
  const item = make(list[at]!)
  return item === undefined ? SKIP : list.with(at, item)
}

/** Candidates for the turns of each client in a row. */
function inTurns(change: (turns: Turn[], at: number) => Turn[] | typeof SKIP | undefined): Pass {
  return (script, at) => {
    for (const [number, client] of script.clients.entries()) {
      if (at >= client.turns.length) {
        at -= client.turns.length
        continue
      }
      const turns = change(client.turns, at)
      if (turns === undefined || turns === SKIP) return turns
      return { ...script, clients: script.clients.with(number, { ...client, turns }) }
    }
    return undefined
  }
}

/** Candidates for the messages of each turn in a row. */
function inMessages(change: (messages: FuzzMessage[], at: number) => FuzzMessage[] | typeof SKIP | undefined): Pass {
  return (script, at) => {
    for (const [number, client] of script.clients.entries()) {
      for (const [place, turn] of client.turns.entries()) {
        if (at >= turn.messages.length) {
          at -= turn.messages.length
          continue
        }
        const messages = change(turn.messages, at)
        if (messages === undefined || messages === SKIP) return messages
        const turns = client.turns.with(place, { ...turn, messages })
        return { ...script, clients: script.clients.with(number, { ...client, turns }) }
      }
    }
    return undefined
  }
}

/** One of `count` parts of a client's turns left out. */
function parts(count: number): Pass {
  return (script, at) => {
    const number = Math.floor(at / count)
    const client = script.clients[number]
    if (client === undefined) return undefined
    const length = Math.ceil(client.turns.length / count)
    if (length < 2) return SKIP
    const turns = client.turns.toSpliced((at % count) * length, length)
    return { ...script, clients: script.clients.with(number, { ...client, turns }) }
  }
}

/** The turn sent in one piece, or with one cut less. */
function plainer(turn: Turn): Turn | undefined {
  if (turn.stall > 0) return { ...turn, stall: 0 }
  if (turn.cuts.length > 0) return { ...turn, cuts: turn.cuts.slice(1) }
  if (turn.wait === 'nothing') return { ...turn, wait: 'ready' }
  if (turn.reconnect) return { ...turn, reconnect: undefined }
  return undefined
}

/** The message with less in it. */
function simpler(item: FuzzMessage): FuzzMessage | undefined {
  if ('copies' in item && item.copies) {
    const copies = item.copies.map((copy) => ({ ...copy, parts: copy.parts.slice(1) }))
    if (item.copies.some(({ parts }) => parts.length > 0)) return { ...item, copies }
  }
  if (item.type === 'B' && item.results.length > 0) return { ...item, results: [] }
  if (item.type === 'B' && item.formats.length > 0) return { ...item, formats: [] }
  if (item.type === 'P' && item.types.length > 0) return { ...item, types: [] }
  if (item.type !== 'Q' && item.type !== 'P') return undefined
  const sql = item.sql.replace(/«(.)\*(\d+)(\d)»/, '«$1*$2»')
  if (sql !== item.sql) return { ...item, sql }
  // Without its first statement; the data of its COPYs stay, and are ignored where there is nothing to take them.
  const rest = item.sql.indexOf('; ')
  if (item.type === 'Q' && rest > 0 && !item.sql.includes('$$')) return { ...item, sql: item.sql.slice(rest + 2) }
  return undefined
}
