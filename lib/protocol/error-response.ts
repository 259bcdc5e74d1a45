/**
 * Reads an ErrorResponse or NoticeResponse. Every field is optional and may be missing, doubled or cut (CVE-2026-6666
 * was a reader that took SQLSTATE for granted): what is not there is ''.
 */

/** The fields that decide something or are logged. */
export interface ErrorSummary {
  severity: string
  sqlstate: string
  message: string
  detail: string
  /** The function of the server that raised it; some errors are told apart by it alone. */
  routine: string
}

/** Of a statement that a cancel request, or a limit of time for it, has ended. */
const CANCELED = '57014'
/** Of a limit of time for locks, and of a lock that was not to be waited for (NOWAIT), which another routine says. */
const NO_LOCK = '55P03'
/** Where PostgreSQL looks for what interrupts a statement. */
const INTERRUPTS = 'ProcessInterrupts'

/**
 * Whether it is the error of a statement that a cancel request, or a limit of time for it or for locks, has ended.
 *
 * PostgreSQL may notice that a limit has passed only when the statement is over and was answered. The error is not the answer
 * to the next request then: it comes ahead of that, with a ReadyForQuery of its own.
 */
export function isHeldUp({ sqlstate, routine }: ErrorSummary): boolean {
  return sqlstate === CANCELED || (sqlstate === NO_LOCK && (routine === INTERRUPTS || routine === ''))
}

/** Read what is there of a body, which may be cut off. */
export function readError(body: Buffer): ErrorSummary {
  const found: Record<string, string> = {}
  let pos = 0
  while (pos < body.length && body[pos] !== 0) {
    const key = String.fromCharCode(body[pos]!)
    let end = body.indexOf(0, pos + 1)
    if (end < 0) end = body.length
    found[key] ??= body.toString('utf8', pos + 1, end)
    pos = end + 1
  }
  return {
    // V is the severity untranslated, since PostgreSQL 9.6.
    severity: found.V ?? found.S ?? '',
    sqlstate: found.C ?? '',
    message: found.M ?? '',
    detail: found.D ?? '',
    routine: found.R ?? '',
  }
}
