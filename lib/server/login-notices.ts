/**
 * What PostgreSQL says by NoticeResponse while a session begins (protocol chapter "Start-up"): a collation that has
 * changed, what a login event trigger raises. Every session hears it, so a pool's clients do, at the place where
 * PostgreSQL says it. Pure.
 */

import { message } from '../protocol/build.ts'
import { readError } from '../protocol/error-response.ts'
import { BACKEND } from '../protocol/types.ts'

/** The parameter that decides what is shown. */
export const CLIENT_MIN_MESSAGES = 'client_min_messages'
/** Its values, from the most that is shown to the least. INFO is shown always. */
const LEVELS = ['DEBUG', 'LOG', 'NOTICE', 'WARNING', 'ERROR', 'FATAL', 'PANIC']
/** Bytes of all notices of one login that are kept. */
const LIMIT = 16_384
const HEADER = 5

/** Those of `notices`, NoticeResponse messages, that a session with this `client_min_messages` is shown. */
export function shownNotices(notices: readonly Buffer[], minimum: string | undefined): readonly Buffer[] {
  if (minimum === undefined || notices.length === 0) return notices
  const least = LEVELS.indexOf(minimum.replace(/\d$/, '').toUpperCase())
  return notices.filter((notice) => {
    const { severity } = readError(notice.subarray(HEADER))
    return severity === 'INFO' || LEVELS.indexOf(severity) >= least
  })
}

/** The notices of one login. */
export class LoginNotices {
  /** Messages in front of the first ParameterStatus: said before any setting of the session is in force. */
  readonly early: Buffer[] = []
  /** Messages behind BackendKeyData. */
  readonly late: Buffer[] = []
  #bytes = 0

  /** A NoticeResponse with this body came; `late`: behind BackendKeyData. */
  add(body: Buffer, late: boolean): void {
    this.#bytes += body.length
    if (this.#bytes <= LIMIT) (late ? this.late : this.early).push(message(BACKEND.NoticeResponse, body))
  }
}

/** Of a login that went without a word. */
export const NO_NOTICES = new LoginNotices()
