/** Under which names clients find the console: PgBouncer's, which programs know, and pgbun's own. No database has them. */
export const CONSOLE_NAMES = ['pgbouncer', 'pgbun'] as const

/** Whether `name` is one of them. */
export function isConsoleName(name: string): boolean {
  return (CONSOLE_NAMES as readonly string[]).includes(name)
}
