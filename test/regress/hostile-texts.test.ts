/**
 * Long texts made to be slow to read: a Query of 200 bytes (comments), or of 150 kB of blanks, stopped the process for
 * everybody, because a regular expression tried all ways to divide them.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const PROGRAM = fileURLToPath(new URL('../fixtures/read-texts.ts', import.meta.url))
/** Generous: it takes seconds, or, where anything is not linear, hours. */
const DEADLINE_MS = 150_000

t.test('no text of 250 kB keeps its reader from coming to an end', { timeout: DEADLINE_MS + 30_000 }, async (t) => {
  const last = await new Promise<string>((resolve) => {
    const options = { timeout: DEADLINE_MS, maxBuffer: 1 << 26 }
    execFile(process.execPath, ['--import=tsx', PROGRAM], options, (_error, stdout, stderr) => {
      resolve(stdout.trimEnd().split('\n').at(-1) || stderr)
    })
  })
  t.equal(last, 'done')
})
