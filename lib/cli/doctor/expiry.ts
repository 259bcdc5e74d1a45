/** How long certificates are still good. Pure. */

const DAY_MS = 86_400_000
/** Time enough to renew one. */
const SOON_DAYS = 30

/** What is wrong with a certificate that ends at `validTo`, as the end of a sentence; nothing where it is good for long. */
export function expiryFault(
  validTo: Date | string | undefined,
  at = Date.now(),
): { expired: boolean; what: string } | undefined {
  if (validTo === undefined) return undefined
  const end = new Date(validTo)
  const days = Math.floor((end.getTime() - at) / DAY_MS)
  // Also a date that cannot be read.
  if (!(days < SOON_DAYS)) return undefined
  const date = end.toISOString().slice(0, 10)
  if (end.getTime() <= at) return { expired: true, what: `has expired on ${date}` }
  return { expired: false, what: `expires on ${date}, in ${days} ${days === 1 ? 'day' : 'days'}` }
}
