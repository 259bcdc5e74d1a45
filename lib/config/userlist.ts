/**
 * The user list: PgBouncer's `auth_file` format.
 *
 * In: the text of the file. Out: one secret per user. Lines are `"user" "secret"`, a quote inside a field is doubled,
 * what follows the second field is ignored, and so are empty lines and lines that begin with `;` or `#`. As in
 * PgBouncer the last line of a user counts, and a secret that has exactly the form of PostgreSQL's md5 hash or SCRAM
 * verifier is one; anything else is a password in plain text. Called by the loader at start and at reload; all
 * problems of a file are reported together, with file and line, and never with a secret.
 */

/** What is known about a user's password. */
export type Secret =
  | { kind: 'plain'; password: string }
  /** `hash` as PostgreSQL stores it: 'md5' and 32 hex digits. */
  | { kind: 'md5'; hash: string }
  | ScramSecret

/** A SCRAM-SHA-256 verifier (RFC 5803), as in pg_authid.rolpassword. */
export interface ScramSecret {
  kind: 'scram'
  iterations: number
  salt: Buffer
  storedKey: Buffer
  serverKey: Buffer
}

/** Longest user name in bytes: PgBouncer's limit; PostgreSQL itself truncates at 63. */
const MAX_USER_BYTES = 127
/** Longest secret in bytes: what fits into a password message; cloud tokens are longer than any password. */
export const MAX_SECRET_BYTES = 65531
/** Highest iteration count taken from a verifier; PostgreSQL's own limit. */
const MAX_ITERATIONS = 2147483647

/** How a verifier begins. */
export const SCRAM_PREFIX = 'SCRAM-SHA-256$'
const SCRAM_KEY_BYTES = 32
const MAX_PROBLEMS = 20

/** A file that cannot be used. `message` lists every problem, one per line. */
export class UserlistError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'UserlistError'
    this.problems = problems
  }
}

/**
 * The secrets of a user list by user name.
 *
 * @param fileName named in errors only
 * @throws UserlistError
 */
export function parseUserlist(text: string, fileName: string): Map<string, Secret> {
  const secrets = new Map<string, Secret>()
  const problems: string[] = []
  const lines = text.replace(/^\uFEFF/, '').split('\n')
  for (const [index, line] of lines.entries()) {
    const content = line.trim()
    if (content === '' || content.startsWith(';') || content.startsWith('#')) continue
    const entry = parseLine(content)
    if (typeof entry === 'string') {
      problems.push(`${fileName}:${index + 1}: ${entry}`)
      if (problems.length === MAX_PROBLEMS) break
    } else secrets.set(entry.user, entry.secret)
  }
  if (problems.length > 0) throw new UserlistError(problems)
  return secrets
}

/** A line's user and secret, or what is wrong with it. */
function parseLine(line: string): { user: string; secret: Secret } | string {
  const user = readQuoted(line, 0)
  if (!user) return `expected "user" "secret", both in double quotes${unclosed(line, 0)}`
  const gap = /^\s+/.exec(line.slice(user.end))
  if (!gap) return 'expected white space and "secret" after the user name'
  const secretStart = user.end + gap[0].length
  const secret = readQuoted(line, secretStart)
  if (!secret) return `expected "secret" in double quotes after the user name${unclosed(line, secretStart)}`
  const fault = userFault(user.value) ?? fieldFault(secret.value, 'secret', MAX_SECRET_BYTES)
  if (fault !== undefined) return fault
  const parsed = parseSecret(secret.value)
  if (!parsed) {
    return 'the secret begins like a SCRAM verifier but is not SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>; copy it whole from pg_authid.rolpassword'
  }
  return { user: user.value, secret: parsed }
}

/** Why the file cannot have a user of that name; undefined where it can. */
export function userFault(name: string): string | undefined {
  return name === '' ? 'the user name is empty' : fieldFault(name, 'user name', MAX_USER_BYTES)
}

/** Why nobody can have that password by a line of the file; undefined where somebody can. */
export function passwordFault(password: string): string | undefined {
  if (password === '') return 'the password is empty'
  if (parseSecret(password)?.kind !== 'plain') {
    return 'the password has the form of a hash that PostgreSQL stores. Such a hash is written into auth_file as it is'
  }
  return fieldFault(password, 'password', MAX_SECRET_BYTES)
}

/** The line of the file for `user`, who has no fault. */
export function userlistLine(user: string, secret: string): string {
  return [user, secret].map((field) => `"${field.replaceAll('"', '""')}"`).join(' ')
}

function fieldFault(value: string, what: string, maxBytes: number): string | undefined {
  if (value.includes('\0')) return `the ${what} contains a zero byte`
  if (value.includes('\n')) return `the ${what} contains a line break`
  return Buffer.byteLength(value) > maxBytes ? `the ${what} is longer than ${maxBytes} bytes` : undefined
}

/**
 * What a stored secret is: a verifier, an md5 hash, or otherwise a plain password. Undefined for something that begins
 * as a SCRAM verifier and is none: taking it for a password would only make every login fail later.
 */
export function parseSecret(text: string): Secret | undefined {
  if (/^md5[0-9a-f]{32}$/.test(text)) return { kind: 'md5', hash: text }
  if (!text.startsWith(SCRAM_PREFIX)) return { kind: 'plain', password: text }
  const match = /^([1-9][0-9]{0,9}):([^$:]+)\$([^$:]+):([^$:]+)$/.exec(text.slice(SCRAM_PREFIX.length))
  if (!match) return undefined
  const iterations = Number(match[1])
  const salt = decodeBase64(match[2]!)
  const storedKey = decodeBase64(match[3]!)
  const serverKey = decodeBase64(match[4]!)
  if (iterations > MAX_ITERATIONS || !salt || salt.length === 0) return undefined
  if (storedKey?.length !== SCRAM_KEY_BYTES || serverKey?.length !== SCRAM_KEY_BYTES) return undefined
  return { kind: 'scram', iterations, salt, storedKey, serverKey }
}

function readQuoted(line: string, start: number): { value: string; end: number } | undefined {
  const match = /^"([^"]*(?:""[^"]*)*)"(?!")/.exec(line.slice(start))
  if (!match) return undefined
  return { value: match[1]!.replaceAll('""', '"'), end: start + match[0].length }
}

function unclosed(line: string, start: number): string {
  return line[start] === '"' ? '; the closing quote is missing (a quote inside a field is written "")' : ''
}

/** Strict base64; undefined for anything that does not encode back to itself. */
function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}
