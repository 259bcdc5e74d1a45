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

/**
 * SQLSTATEs of a statement that a cancel request, or a limit of time for it or for locks, has ended.
 *
 * PostgreSQL may notice that a limit has passed only when the statement is over and was answered. The error is not the answer
 * to the next request then: it comes ahead of that, with a ReadyForQuery of its own.
 */
export const HELD_UP: ReadonlySet<string> = new Set(['57014', '55P03'])

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
