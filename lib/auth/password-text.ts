/**
 * Passwords between bytes and strings without loss.
 *
 * PostgreSQL takes a password as bytes in whatever encoding the client has; pgbun keeps it as a string. UTF-8 becomes
 * the string one expects. Anything else is kept byte for byte: every byte from 0x80 becomes the lone surrogate
 * U+DC00 + byte, which no real text contains, so that encoding it again gives the client's bytes and the password that
 * PostgreSQL would accept is not spoilt on the way. Whoever reads or writes a password on the wire goes through here.
 */
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const LONE_SURROGATE = /\p{Surrogate}/u

/** The password held in `bytes` (no terminator). Never fails: see the file head for bytes that are not UTF-8. */
export function decodePassword(bytes: Buffer): string {
  try {
    return strictUtf8.decode(bytes)
  } catch {
    let text = ''
    for (const byte of bytes) text += String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte)
    return text
  }
}

/** The bytes of a password: the inverse of decodePassword, UTF-8 for every ordinary string. */
export function encodePassword(password: string): Buffer {
  if (!LONE_SURROGATE.test(password)) return Buffer.from(password, 'utf8')
  const parts: Buffer[] = []
  for (const char of password) {
    const code = char.codePointAt(0)!
    parts.push(code >= 0xdc80 && code <= 0xdcff ? Buffer.from([code - 0xdc00]) : Buffer.from(char, 'utf8'))
  }
  return Buffer.concat(parts)
}

/** Whether the password is text, so that Unicode rules such as SASLprep mean something for it. */
export function isTextPassword(password: string): boolean {
  return !LONE_SURROGATE.test(password)
}
