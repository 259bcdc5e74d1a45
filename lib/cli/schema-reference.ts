/**
 * Where the JSON Schema of the TOML file is: beside the option table, in lib/ and in what is installed. The compiled
 * program has no files, and therefore none.
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The URL of the schema, for editors of this machine. */
export function schemaReference(): string | undefined {
  const schema = new URL('../config/pgbun.schema.json', import.meta.url)
  return existsSync(fileURLToPath(schema)) ? schema.href : undefined
}
