/**
 * The version of pgbun. A constant, because a compiled binary has no package.json to read; `npm version` rewrites it
 * and a test compares it with package.json.
 */
export const VERSION = '0.1.0'
