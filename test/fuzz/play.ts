/**
 * Plays one client's part of a script on a connection, and hands back all it was answered.
 *
 * How the end of a turn is told: by the number of ReadyForQuery messages where that does not depend on what fails, else
 * by a mark behind the turn, a row of Close messages, whose answer nothing else looks like (encode.ts).
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Message } from '../fixtures/messages.ts'
import type { Teardown } from '../fixtures/postgres.ts'
import { type Address, cancel, connectRaw, type LoggedIn, LoginError, type RawClient } from '../fixtures/raw-client.ts'
import { encode, FLUSH_MARK, MARKS, READY_MARK } from './encode.ts'
import { type ClientScript, type FuzzMessage, isSync, type Turn } from './script.ts'

/** So many of the turns of a client that is to be canceled are. */
const CANCELED = 0.2
/** A client that waits for an answer is canceled after half as many milliseconds, on the average. */
const CANCEL_MS = 20

export interface PlayOptions {
  address: Address
  user: string
  /** Send in the pieces the script says, and stop reading where it says so. */
  pieces: boolean
  /** How long to wait for one message, in milliseconds. */
  patience: number
  /** Play a last turn that is not waited for. */
  vanish: boolean
  /** Present the keys of clients that are to be canceled. */
  cancel: boolean
  /** Something is waited for in vain; the connection is still there. */
  onHang(): void
}

/** What a client was answered in one turn. */
export interface Answers {
  messages: Message[]
  /** The connection was closed in it. */
  closed: boolean
  /** What was waited for in vain. */
  missing?: string
}

export interface Played {
  turns: Answers[]
  /** Number of sessions begun. */
  logins: number
  /** Bytes received after the logins. */
  received: number
  /** Number of ReadyForQuery messages received after the logins. */
  readies: number
  /** Number of cancel requests for it. */
  cancels: number
}

/** Plays `script` from login to end. Never throws: what goes wrong is part of what comes out. */
export async function playClient(script: ClientScript, options: PlayOptions): Promise<Played> {
  const player = new Player(options, options.cancel && script.canceled === true)
  const played: Played = { turns: [], logins: 0, received: 0, readies: 0, cancels: 0 }
  for (const turn of script.turns) {
    if (turn.wait === 'nothing' && !options.vanish) break
    const answers = await player.play(turn)
    if (turn.wait === 'nothing') break
    played.turns.push(answers)
    for (const { type, body } of answers.messages) {
      played.received += 5 + body.length
      if (type === 'Z') played.readies++
    }
    if (answers.missing !== undefined) {
      options.onHang()
      break
    }
  }
  await player.leave(script.client % 2 === 0 ? 'terminate' : 'close')
  played.logins = player.logins
  played.cancels = player.cancels
  return played
}

class Player {
  logins = 0
  cancels = 0
  readonly #options: PlayOptions
  /** Its key is presented while it waits for answers. */
  readonly #canceled: boolean
  #client: RawClient | undefined
  #session: LoggedIn | undefined
  #teardowns: (() => unknown)[] = []
  /** A batch is open: something of the extended protocol was sent since the last Sync. */
  #open = false
  /** An error came in the open batch: nothing is answered until its Sync. */
  #skipping = false

  constructor(options: PlayOptions, canceled: boolean) {
    this.#options = options
    this.#canceled = canceled
  }

  async play(turn: Turn): Promise<Answers> {
    const answers: Answers = { messages: [], closed: false }
    try {
      if (turn.reconnect && this.#client) await this.leave(turn.reconnect)
      if (!this.#client) await this.#login()
      // Only a new session goes on behind a FATAL.
      if (this.#client!.closed) answers.closed = true
      else if (this.#canceled && Math.random() < CANCELED) await this.#exchangeCanceled(turn, answers)
      else await this.#exchange(turn, answers)
    } catch (error) {
      if (error instanceof LoginError || !this.#client) answers.missing = `login: ${(error as Error).message}`
      else if (this.#client.closed) answers.closed = true
      else answers.missing = (error as Error).message
    }
    return answers
  }

  async leave(how: 'terminate' | 'close'): Promise<void> {
    const client = this.#client
    this.#client = undefined
    this.#open = false
    this.#skipping = false
    if (client && how === 'terminate' && !client.closed) await client.end().catch(() => {})
    for (const teardown of this.#teardowns) teardown()
    this.#teardowns = []
  }

  async #login(): Promise<void> {
    const teardown: Teardown = { teardown: (handler: () => unknown) => void this.#teardowns.push(handler) }
    const client = await connectRaw(teardown, this.#options.address)
    this.#session = await client.login({ user: this.#options.user })
    this.#client = client
    this.logins++
  }

  async #exchangeCanceled(turn: Turn, answers: Answers): Promise<void> {
    const over = this.#exchange(turn, answers).finally(() => {
      answered = true
    })
    let answered = false
    const { pid, secret } = this.#session!
    const canceling = async (): Promise<void> => {
      while (!answered) {
        await Promise.race([over.catch(() => {}), sleep(Math.random() * CANCEL_MS)])
        if (answered) return
        this.cancels++
        await cancel({ teardown: () => {} }, this.#options.address, pid, secret)
      }
    }
    // What is sent after a cancel request is over is not hit by it.
    await Promise.all([over, canceling()])
  }

  async #exchange(turn: Turn, answers: Answers): Promise<void> {
    const client = this.#client!
    const parts = turn.messages.map(encode)
    if (turn.wait === 'nothing') {
      await this.#send(Buffer.concat(parts), turn)
      this.leave('close')
      return
    }
    if (turn.wait === 'flush') {
      await this.#send(Buffer.concat([...parts, FLUSH_MARK]), turn)
      this.#open = true
      const marks = MARKS + trailingCloses(turn.messages)
      // Behind an error, there is no answer to wait for.
      if (!this.#skipping) await this.#readUntil(client, answers, (tail) => tail.marks === marks || tail.error)
      this.#skipping ||= answers.messages.some(({ type }) => type === 'E')
      return
    }
    const readies = this.#open ? undefined : countReadies(turn.messages)
    if (readies === undefined) parts.push(READY_MARK)
    await this.#send(Buffer.concat(parts), turn)
    this.#open = false
    this.#skipping = false
    await this.#readUntil(client, answers, (tail) =>
      readies === undefined ? tail.ready && tail.marks === MARKS : tail.readies === readies,
    )
  }

  async #send(bytes: Buffer, { cuts, stall }: Turn): Promise<void> {
    const client = this.#client!
    if (!this.#options.pieces) {
      client.send(bytes)
      return
    }
    if (stall > 0) client.pause()
    let from = 0
    for (const { at, pause } of cuts) {
      const to = Math.floor(at * bytes.length)
      if (to > from) client.send(bytes.subarray(from, to))
      from = Math.max(from, to)
      await (pause === 0 ? new Promise(setImmediate) : sleep(pause))
    }
    client.send(bytes.subarray(from))
    if (stall === 0) return
    await sleep(stall)
    client.resume()
  }

  /** Read until the end of what came so far is what is waited for. */
  async #readUntil(client: RawClient, answers: Answers, done: (tail: Tail) => boolean): Promise<void> {
    const tail = { readies: 0, marks: 0, ready: false, error: false }
    while (!done(tail)) {
      const message = await client.readMessage(this.#options.patience)
      answers.messages.push(message)
      const { type } = message
      // Notices and the like may come anywhere.
      if (type === 'N' || type === 'S' || type === 'A') continue
      if (type === 'Z') tail.readies++
      else if (type !== '3') tail.marks = 0
      else tail.marks = tail.ready ? 1 : tail.marks + 1
      tail.ready = type === 'Z'
      tail.error = type === 'E'
    }
  }
}

interface Tail {
  readies: number
  /** CloseComplete messages in a row at the end, or in front of a ReadyForQuery there. */
  marks: number
  ready: boolean
  error: boolean
}

/** Close messages at the end, which are answered like the mark behind them. */
function trailingCloses(messages: readonly FuzzMessage[]): number {
  const answered = messages.filter(({ type }) => 'PBDCE'.includes(type))
  return answered.length - 1 - answered.findLastIndex(({ type }) => type !== 'C')
}

/**
 * How many ReadyForQuery messages answer `messages`, whatever fails in them; undefined where it depends on that, or
 * where the batch is still open at the end.
 */
export function countReadies(messages: readonly FuzzMessage[]): number | undefined {
  let readies = 0
  let open = false
  for (const item of messages) {
    switch (item.type) {
      case 'P':
      case 'B':
      case 'D':
      case 'C':
      case 'E':
        open = true
        break
      case 'Q':
      case 'F':
        // PostgreSQL skips it if something in the batch before it fails.
        if (open) return undefined
        readies++
        break
      case 'S':
        readies++
        open = false
    }
    const copies = item.type === 'Q' || item.type === 'E' ? item.copies : undefined
    // A Sync within a COPY is answered if that fails before it is read.
    if (copies?.some(({ parts }) => parts.some(isSync))) return undefined
  }
  return open ? undefined : readies
}
