/**
 * SASLprep (RFC 4013) of a password, as PostgreSQL does it before SCRAM.
 *
 * In: the password as the user typed it. Out: the form whose bytes go into PBKDF2. RFC 4013 would refuse a password
 * with prohibited characters; PostgreSQL and libpq fall back to the password as it stands, and so must everyone who
 * wants to agree with their verifiers. Two details are PostgreSQL's own and kept for the same reason: the prohibited
 * and bidirectional checks look at the text before NFKC, and U+200B, which is in both mapping tables, becomes a space.
 * Called by scram-keys.ts only; must never throw.
 */
import { isTextPassword } from './password-text.ts'
import { L_CAT, MAPPED_TO_NOTHING, NON_ASCII_SPACES, PROHIBITED, RAND_AL_CAT, UNASSIGNED } from './stringprep-tables.ts'

// biome-ignore lint/suspicious/noControlCharactersInRegex: the whole of ASCII is meant, control characters included
const ASCII_ONLY = /^[\x00-\x7f]*$/

/** The prepared password, or `password` itself where SASLprep refuses it. */
export function saslprep(password: string): string {
  if (ASCII_ONLY.test(password) || !isTextPassword(password)) return password
  const mapped: number[] = []
  for (const char of password) {
    const code = char.codePointAt(0)!
    if (NON_ASCII_SPACES.has(code)) mapped.push(0x20)
    else if (!MAPPED_TO_NOTHING.has(code)) mapped.push(code)
  }
  if (mapped.length === 0) return password
  if (mapped.some((code) => PROHIBITED.has(code) || UNASSIGNED.has(code))) return password
  if (!passesBidiCheck(mapped)) return password
  return mapped
    .map((code) => String.fromCodePoint(code))
    .join('')
    .normalize('NFKC')
}

/** RFC 3454 section 6: right-to-left text has no left-to-right letters, and begins and ends right-to-left. */
function passesBidiCheck(codes: number[]): boolean {
  if (!codes.some((code) => RAND_AL_CAT.has(code))) return true
  if (codes.some((code) => L_CAT.has(code))) return false
  return RAND_AL_CAT.has(codes[0]!) && RAND_AL_CAT.has(codes[codes.length - 1]!)
}
