/** Whether a text may set a limit of time that is too short for what pgbun asks behind it. May suspect too much. Pure. */

/** Such a text names a limit, and has a number below a second somewhere behind the first of its names. */
const LIMIT_NAME = /(?:statement|lock|transaction)_timeout/i
const SHORT = /\b(?!0\b)\d{1,3}(?:ms|us)?\b/i

/** True where `text` may set a limit to less than a second. */
export function setsShortLimit(text: string): boolean {
  const at = text.search(LIMIT_NAME)
  return at >= 0 && SHORT.test(text.slice(at))
}
