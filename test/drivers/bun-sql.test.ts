/** Bun.sql, in a process of its own, because it exists in Bun only. */
import { execFileSync } from 'node:child_process'
import path from 'node:path'
import { bunPath } from '../fixtures/runtimes.ts'
import { testRow } from './lab.ts'
import { runProgram } from './run-program.ts'
import type { Outcome } from './scenario.ts'

testRow({
  driver: 'Bun.sql',
  version: execFileSync(bunPath(), ['--version'], { encoding: 'utf8' }).trim(),
  async run(target, load) {
    const script = path.join(import.meta.dirname, 'bun-sql.ts')
    const output = await runProgram(bunPath(), [script, JSON.stringify({ target, load })])
    return JSON.parse(output) as Outcome
  },
})
