/**
 * A DateStyle has two halves, and PostgreSQL takes the one a value does not name from what is set at that moment
 * (check_datestyle in its commands/variable.c). On a server that others have used that would be another client's: a value
 * from a startup packet means the session's default there. Pure.
 */

const STYLE = /^(?:iso|sql|german|postgres.*)$/i
const ORDER = /^(?:ymd|dmy|mdy|us|euro.*|noneuro.*)$/i

/** `value` with the half it does not name, which is that of `current`, as a server reports it: `ISO, MDY`. */
export function completeDateStyle(value: string, current: string): string {
  const [style, order] = current.split(', ')
  if (style === undefined || order === undefined) return value
  const words = value.split(',').map((word) => word.trim())
  // DEFAULT stands for both; what is no word of these is for PostgreSQL to refuse.
  if (!words.every((word) => STYLE.test(word) || ORDER.test(word))) return value
  const ordered = words.some((word) => ORDER.test(word))
  if (!words.some((word) => STYLE.test(word))) return `${style}, ${value}`
  // German has an order of its own.
  return ordered || /^german$/i.test(words.at(-1)!) ? value : `${value}, ${order}`
}
