/**
 * Long texts made to be slow to read: a Query of 200 bytes (comments), of 150 kB of blanks, or of 250 kB that name a limit
 * of time again and again, stopped the process for everybody, because a regular expression tried all ways to divide them.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { typescript } from '../fixtures/runtimes.ts'

const PROGRAM = fileURLToPath(new URL('../fixtures/read-texts.ts', import.meta.url))
/** Generous: it takes ten seconds of a processor, or, where anything is not linear, hours. */
const DEADLINE_MS = 400_000

t.test('reading takes a time that grows no faster than the text', { timeout: DEADLINE_MS + 30_000 }, async (t) => {
  const lines = await new Promise<string[]>((resolve) => {
    const options = { timeout: DEADLINE_MS, maxBuffer: 1 << 26 }
    execFile(process.execPath, [typescript, PROGRAM], options, (_error, stdout, stderr) => {
      resolve((stdout + stderr).trimEnd().split('\n'))
    })
  })
  for (const line of lines) if (line !== 'done' && !line.startsWith('reading: ')) t.fail(line)
  t.equal(lines.at(-1), 'done')
})
