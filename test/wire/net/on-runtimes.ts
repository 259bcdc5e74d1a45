/**
 * Runs a group of scenarios as tap tests: in this process, and on the other runtimes by run.ts. Bun is that of the
 * development dependencies; another Node, which must strip types by itself, is named by PGBUN_TEST_NODE24.
 */

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { bunPath } from '../../fixtures/runtimes.ts'
import { groups, type Result, run } from './run.ts'

const SCRIPT = fileURLToPath(new URL('./run.ts', import.meta.url))

/** Commands that run a TypeScript file, by the name of the runtime. */
export function otherRuntimes(): Record<string, string> {
  const { PGBUN_TEST_NODE24: node24 } = process.env
  return { Bun: bunPath(), ...(node24 ? { 'another Node': node24 } : {}) }
}

export function testOnRuntimes(group: keyof typeof groups): void {
  const scenarios = Object.entries(groups[group])
  for (const [name, scenario] of scenarios) {
    t.test(name, async (t) => {
      await run(scenario)
      t.pass(name)
    })
  }
  for (const [runtime, command] of Object.entries(otherRuntimes())) {
    t.test(`on ${runtime}`, async (t) => {
      const child = spawn(command, [SCRIPT, group], { stdio: ['ignore', 'pipe', 'inherit'] })
      t.teardown(() => child.kill())
      const exited = new Promise((resolve) => child.on('close', resolve))
      const passed: string[] = []
      for await (const line of createInterface(child.stdout)) {
        const { name, error }: Result = JSON.parse(line)
        passed.push(name)
        if (error) t.fail(name, { error })
        else t.pass(name)
      }
      t.equal(await exited, 0, 'and the process ends by itself')
      t.strictSame(
        passed,
        scenarios.map(([name]) => name),
      )
    })
  }
}
