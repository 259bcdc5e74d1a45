/**
 * libpq's password file (`~/.pgpass`, PGPASSFILE): lines `host:port:database:user:password`, in which * stands for
 * anything and a backslash takes the meaning from a colon or backslash. As libpq, pgbun does not read a file that
 * others may read.
 */
import { readFileSync, statSync } from 'node:fs'

/** Whose password is looked for. */
export interface Login {
  host: string
  port: number
  database: string
  user: string
}

/** The first line of `text` that fits. Pure. */
export function passwordIn(text: string, { host, port, database, user }: Login): string | undefined {
  const wanted = [host, String(port), database, user]
  for (const line of text.split(/\r?\n/)) {
    const fields = line.startsWith('#') ? [] : fieldsOf(line)
    if (fields.length !== 5) continue
    if (wanted.every((value, i) => fields[i] === '*' || unescaped(fields[i]!) === value)) return unescaped(fields[4]!)
  }
  return undefined
}

/** The fields of a line as they are written: an escaped star is no star. The last one may have colons. */
function fieldsOf(line: string): string[] {
  const fields: string[] = []
  let field = ''
  for (let at = 0; at < line.length; at++) {
    if (line[at] === '\\' && at + 1 < line.length) field += line.slice(at, ++at + 1)
    else if (line[at] === ':' && fields.length < 4) {
      fields.push(field)
      field = ''
    } else field += line[at]
  }
  return [...fields, field]
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, '$1')
}

/**
 * Look into `file`. A file that is not there has no password.
 * @param warn told where the file is there and must not be used
 */
export function readPassword(file: string, login: Login, warn: (message: string) => void): string | undefined {
  let mode: number
  let text: string
  try {
    const found = statSync(file)
    if (!found.isFile()) {
      warn(`the password file ${file} is not used: it is no plain file`)
      return undefined
    }
    mode = found.mode
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'ENOTDIR') warn(`the password file ${file} is not used: ${message}`)
    return undefined
  }
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    warn(`the password file ${file} is not used: others may read it. chmod 600 ${file}`)
    return undefined
  }
  return passwordIn(text, login)
}
