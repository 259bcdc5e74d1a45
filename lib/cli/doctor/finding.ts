/** What `pgbun doctor` finds: plain data, for the text and the JSON alike. Nothing secret is ever in it. */

/** `problem` keeps clients out; `warning` may do so some day, or is worth a look. */
export type Level = 'ok' | 'warning' | 'problem'

/** The kinds of checks, in the order of the report. */
export const CHECKS = ['configuration', 'files', 'hosts', 'logins', 'users', 'pool sizes'] as const

export type Check = (typeof CHECKS)[number]

/** One line of the report. */
export interface Finding {
  check: Check
  level: Level
  /** What it is about: a file, a host, a database, a user; '' for all. */
  subject: string
  message: string
  /** What to do about it. */
  remedy?: string
}

/** How one user of auth_file gets in. */
export interface UserRow {
  level: Level
  user: string
  /** Where: the database that was asked for, and its host. */
  place: string
  /** What pgbun asks the client for. */
  client: string
  /** What auth_file has for the user. */
  secret: string
  /** What PostgreSQL asks pgbun for. */
  server: string
  verdict: string
  remedy?: string
}

/** All that was found. */
export interface Report {
  findings: Finding[]
  users: UserRow[]
  /** So many users were left out of `users`. */
  moreUsers: number
}

/** Findings of one kind of check, taken down one by one. */
export class Findings {
  readonly found: Finding[] = []
  readonly #check: Check

  constructor(check: Check) {
    this.#check = check
  }

  add(level: Level, subject: string, message: string, remedy?: string): void {
    this.found.push({ check: this.#check, level, subject, message, ...(remedy === undefined ? {} : { remedy }) })
  }
}

/** Run `work` for each of `items`, at most `limit` at once; the results are in the order of the items. */
export async function eachAtOnce<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  const entries = items.entries()
  const next = async (): Promise<void> => {
    for (const [index, item] of entries) results[index] = await work(item)
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, next))
  return results
}
