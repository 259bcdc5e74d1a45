/**
 * Runs scenarios one after the other and prints a line of JSON for each: how the same scenarios run on every runtime.
 * The name of the group is the first argument; without a second one all of its scenarios run.
 */

import { fileURLToPath } from 'node:url'
import { clientScenarios } from './client-scenarios.ts'
import { dialScenarios } from './dial-scenarios.ts'
import { listenScenarios } from './listen-scenarios.ts'
import { Scope } from './scope.ts'

export const groups = { client: clientScenarios, dial: dialScenarios, listen: listenScenarios }

export interface Result {
  name: string
  error?: string
}

/** Run one scenario and close what it opened. */
export async function run(scenario: (scope: Scope) => Promise<void>): Promise<void> {
  const scope = new Scope()
  try {
    await scenario(scope)
  } finally {
    await scope.end()
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, scenario] of Object.entries(groups[process.argv[2] as keyof typeof groups])) {
    if (process.argv[3] && !name.includes(process.argv[3])) continue
    const result: Result = { name }
    try {
      await run(scenario)
    } catch (error) {
      result.error = (error as Error).stack ?? String(error)
    }
    console.log(JSON.stringify(result))
  }
}
