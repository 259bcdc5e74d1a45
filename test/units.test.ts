/**
 * All of test/unit in one process: those are pure, and loading the test runner once for each of them took five times as
 * long as the tests do. A single one is run by its own path.
 *
 * They are imported by one module without a pause in between: the runner ends when it has nothing left to do, which must
 * not be before the last file has said what there is.
 */
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'

t.setTimeout(1_800_000)

const dir = path.join(import.meta.dirname, 'unit')
const files = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.test.ts'))
const imports = files.sort().map((file) => `import ${JSON.stringify(pathToFileURL(path.join(dir, file)).href)}\n`)
await import(`data:text/javascript,${encodeURIComponent(imports.join(''))}`).catch((error) => {
  // The runner would only say that tests are unfinished.
  console.error(error)
  throw error
})
