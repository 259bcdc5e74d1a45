/**
 * What the tests of the matrix found, as data: a file per driver in the directory PGBUN_DRIVERS_RESULTS, from which run.ts
 * makes the table of TRANSACTION-MODE.md. Without that directory nothing is written.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Step } from './scenario.ts'

export interface Result {
  driver: string
  version: string
  steps: Step[]
  queries: number
  mixUps: number
  passed: boolean
}

/** A driver that cannot run here, and why. */
export interface Skipped {
  driver: string
  skipped: string
}

export function writeResult(result: Result | Skipped): void {
  const dir = process.env.PGBUN_DRIVERS_RESULTS
  if (!dir) return
  mkdirSync(dir, { recursive: true })
  writeFileSync(path.join(dir, `${result.driver.replace(/\W+/g, '-')}.json`), `${JSON.stringify(result, null, 2)}\n`)
}

export function readResults(dir: string): (Result | Skipped)[] {
  return readdirSync(dir).map((file) => JSON.parse(readFileSync(path.join(dir, file), 'utf8')) as Result | Skipped)
}
