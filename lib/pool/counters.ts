/** Totals of one pool since it began. Plain numbers: bumped on the data path, read by snapshots. */

/** What is counted. Times are milliseconds, sizes bytes. */
export interface Counters {
  /** Transactions (outside of one: statements) that ended. */
  transactions: number
  /** ReadyForQuery messages: simple queries, pipelines up to a Sync, function calls. */
  queries: number
  /** Time servers were lent out. */
  leaseTime: number
  /** Time transactions took, what clients did in between included, and time in which requests ran. */
  transactionTime: number
  queryTime: number
  /** Time clients waited for a server. */
  waitTime: number
  /** Bytes from clients, and to clients. */
  received: number
  sent: number
  /** Named prepared statements that clients prepared (Parse) and used (Bind), and those that were prepared on servers. */
  clientParses: number
  binds: number
  serverParses: number
  /** Times a server was lent out. */
  leases: number
  /** Logins of clients. */
  logins: number
  /** Server connections opened, and attempts that failed. */
  opened: number
  openFailures: number
  /** Times clients began to keep their server because of session state, and how long they kept it. */
  pins: number
  pinTime: number
  /** Clients disconnected by `pin_idle_timeout`. */
  pinIdleTimeouts: number
  /** Statements refused by `session_state = error`, and transactions whose state `session_state = reset` has ended. */
  stateRefusals: number
  stateDiscards: number
  /** Requests sent behind those of other clients, and those of them that were run again (pipeline.ts). */
  sharedRequests: number
  sharedReruns: number
  /** Statements that had shown to be short, and were not; those that did what they were certain not to do. */
  expelledTexts: number
  wrongGuesses: number
}

/** What is counted together of databases beyond those that are told apart. */
export const OTHER_DATABASES = '(others)'

/** Add what `other` has counted to `sum`. */
export function addCounters(sum: Counters, other: Counters): void {
  for (const name of Object.keys(sum) as (keyof Counters)[]) sum[name] += other[name]
}

/** Counters at zero. */
export function createCounters(): Counters {
  return {
    transactions: 0,
    queries: 0,
    leaseTime: 0,
    transactionTime: 0,
    queryTime: 0,
    waitTime: 0,
    received: 0,
    sent: 0,
    clientParses: 0,
    binds: 0,
    serverParses: 0,
    leases: 0,
    logins: 0,
    opened: 0,
    openFailures: 0,
    pins: 0,
    pinTime: 0,
    pinIdleTimeouts: 0,
    stateRefusals: 0,
    stateDiscards: 0,
    sharedRequests: 0,
    sharedReruns: 0,
    expelledTexts: 0,
    wrongGuesses: 0,
  }
}
