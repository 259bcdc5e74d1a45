/** How SQL of pgbun's own is written, so that it means the same in the session of any client. Pure. */

/** A client's search_path may have operators of its own. */
export const EQUAL = 'OPERATOR(pg_catalog.=)'
export const UNEQUAL = 'OPERATOR(pg_catalog.<>)'

/**
 * A string constant that means the same whatever standard_conforming_strings and client_encoding are: the server may
 * still have those of another client.
 */
export function quoteLiteral(value: string): string {
  const quoted = value.replaceAll('\0', '').replaceAll("'", "''")
  if (!UNSAFE.test(quoted)) return `'${quoted}'`
  const escaped = quoted.replaceAll('\\', '\\\\').replace(NOT_ASCII, (char) => {
    return `\\U${char.codePointAt(0)!.toString(16).padStart(8, '0')}`
  })
  return `E'${escaped}'`
}

/** What an escape string is needed for. */
const UNSAFE = /[\\\x80-\uffff]/
const NOT_ASCII = /[\u0080-\u{10ffff}]/gu
