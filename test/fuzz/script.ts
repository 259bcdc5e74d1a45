/**
 * What a case of the fuzzer is made of, as plain data: it is written to a file, read again and cut down.
 *
 * A script stays legal whatever is taken out of it (shrink.ts relies on that): the data of a COPY FROM belong to the
 * message that may begin it, and PostgreSQL ignores them where that turns out not to be a COPY; and `legalTurns`
 * takes out what must not be sent.
 */

/** A value of a Bind or FunctionCall. `length` makes a long one of its text, repeated. */
export type Value = string | null | { text: string; length: number }

/** What a client sends to a COPY FROM STDIN. `sync` and `flush` are messages PostgreSQL ignores there. */
export interface CopyStream {
  parts: ({ data: string } | { message: 'sync' | 'flush' })[]
  end: 'done' | 'fail'
}

/** A client's message, by its type letter. */
export type FuzzMessage =
  | { type: 'Q'; sql: string; copies?: CopyStream[] }
  | { type: 'P'; name: string; sql: string; types: number[] }
  | { type: 'B'; portal: string; statement: string; values: Value[]; formats: number[]; results: number[] }
  | { type: 'D'; kind: 'S' | 'P'; name: string }
  | { type: 'C'; kind: 'S' | 'P'; name: string }
  | { type: 'E'; portal: string; limit: number; copies?: CopyStream[] }
  | { type: 'F'; oid: number; values: Value[] }
  | { type: 'S' }
  | { type: 'H' }
  /** CopyData, CopyDone and CopyFail where no COPY runs. */
  | { type: 'd'; data: string }
  | { type: 'c' }
  | { type: 'f' }

/** A place where sending stops for a moment: so far into the turn's bytes (0 to 1), so many milliseconds. */
export interface Cut {
  at: number
  pause: number
}

/** Messages sent in one go, and what is waited for behind them. */
export interface Turn {
  messages: FuzzMessage[]
  /**
   * `ready`: every answer, with the batch ended. `flush`: every answer, with the batch left open; only for messages of
   * the extended protocol. `nothing`: the client vanishes behind them, without reading; only in the last turn.
   */
  wait: 'ready' | 'flush' | 'nothing'
  cuts: Cut[]
  /** Do not read for so many milliseconds after sending. */
  stall: number
  /** Leave and come back as a new session first: with a Terminate, or without a word. */
  reconnect?: 'terminate' | 'close'
}

/** One client from login to end. */
export interface ClientScript {
  /** Its number: it has the table `fuzz.t<number>` to itself. */
  client: number
  turns: Turn[]
  /** Somebody presents its cancel key all the time. */
  canceled?: boolean
}

export type PoolMode = 'session' | 'transaction' | 'statement'

/** pgbun as it runs the case. */
export interface Settings {
  mode: PoolMode
  poolSize: number
  /** `max_prepared_statements` */
  statements: number
  /** `server_pipelining_budget` in milliseconds, where `server_pipelining` is `auto`. */
  pipelining?: number
  /** Servers are killed meanwhile, at random. */
  kills?: boolean
}

/** A whole case. */
export interface Script {
  settings: Settings
  clients: ClientScript[]
}

/** The turns without what must not be sent in a pool of `mode`. */
export function legalTurns(turns: readonly Turn[], mode: PoolMode): Turn[] {
  const legal = withoutStaleExecute(mode === 'statement' ? withoutMixedBatch(turns) : turns)
  return legal.map((turn) => ({ ...turn, messages: withoutSyncInDoubt(turn.messages) }))
}

/**
 * Without each Query and FunctionCall between a message of the extended protocol and its Sync: PostgreSQL answers it with
 * the status of a transaction block, which statement mode refuses.
 */
function withoutMixedBatch(turns: readonly Turn[]): Turn[] {
  let open = false
  return turns.map((turn) => {
    if (turn.reconnect) open = false
    const messages = turn.messages.filter(({ type }) => {
      if (type === 'S') open = false
      else if ('PBDEC'.includes(type)) open = true
      return !open || (type !== 'Q' && type !== 'F')
    })
    if (turn.wait !== 'flush') open = false
    return { ...turn, messages }
  })
}

/**
 * Without each Execute of the unnamed portal that may run into that of a Query: where a Query fails inside a
 * transaction, PostgreSQL (18.4) keeps its portal without the statement it was for, and crashes if that is executed.
 */
function withoutStaleExecute(turns: readonly Turn[]): Turn[] {
  let queried = false
  let bound = false
  return turns.map((turn) => {
    if (turn.reconnect) queried = false
    const messages = turn.messages.filter((item) => {
      if (item.type === 'Q') queried = true
      if (item.type === 'Q' || item.type === 'F' || item.type === 'S') bound = false
      // What follows in the same batch is not reached unless the Bind was.
      if (item.type === 'B' && item.portal === '') bound = true
      return item.type !== 'E' || item.portal !== '' || bound || !queried
    })
    if (turn.wait !== 'flush') bound = false
    return { ...turn, messages }
  })
}

/**
 * Without a Sync inside the COPY FROM of an Execute where more of the same batch follows it: if the COPY fails, whether
 * that is skipped depends on whether PostgreSQL had read the Sync by then, which pgbun cannot know. It closes the
 * connection where that happens.
 */
function withoutSyncInDoubt(messages: readonly FuzzMessage[]): FuzzMessage[] {
  let more = false
  return messages
    .toReversed()
    .map((item) => {
      const follows = more
      more = item.type !== 'S' && (more || !'Hdcf'.includes(item.type))
      if (item.type !== 'E' || !item.copies || !follows) return item
      const copies = item.copies.map(({ parts, end }) => ({ parts: parts.filter((part) => !isSync(part)), end }))
      return { ...item, copies }
    })
    .toReversed()
}

/** True for a Sync among the data of a COPY. */
export function isSync(part: CopyStream['parts'][number]): boolean {
  return 'message' in part && part.message === 'sync'
}

/** Number of messages in a script. */
export function sizeOf(script: Script): number {
  let size = 0
  for (const { turns } of script.clients) for (const { messages } of turns) size += messages.length
  return size
}

/** The long statements of a script are written short: `«x*5000»` stands for 5000 times x. */
export function expand(text: string): string {
  return text.replace(/«(.)\*(\d+)»/g, (_, char: string, count: string) => char.repeat(Number(count)))
}
