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
const MAX_SECRET_BYTES = 65531
/** Highest iteration count taken from a verifier; PostgreSQL's own limit. */
const MAX_ITERATIONS = 2147483647

const SCRAM_PREFIX = 'SCRAM-SHA-256$'
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
  if (user.value === '') return 'the user name is empty'
  if (user.value.includes('\0') || secret.value.includes('\0')) return 'a field contains a zero byte'
  if (Buffer.byteLength(user.value) > MAX_USER_BYTES) return `the user name is longer than ${MAX_USER_BYTES} bytes`
  if (Buffer.byteLength(secret.value) > MAX_SECRET_BYTES) return `the secret is longer than ${MAX_SECRET_BYTES} bytes`
  const parsed = parseSecret(secret.value)
  if (!parsed) {
    return 'the secret begins like a SCRAM verifier but is not SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>; copy it whole from pg_authid.rolpassword'
  }
  return { user: user.value, secret: parsed }
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
