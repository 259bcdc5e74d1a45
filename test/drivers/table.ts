/**
 * The table of drivers in TRANSACTION-MODE.md, made from the results of a run. It holds nothing that differs from run to
 * run. Rows of drivers that this run left out stay as they are in the page.
 */
import type { Result, Skipped } from './results.ts'
import { STEPS, type Step } from './scenario.ts'

const BEGIN = '<!-- drivers: begin -->'
const END = '<!-- drivers: end -->'
const columns = Object.keys(STEPS) as Step[]

/**
 * The page with its table made anew.
 * @param all whether the run was one of all drivers, so that a row without a result is a driver that is gone
 * @throws Error where the page has no place for the table
 */
export function writeTable(page: string, results: (Result | Skipped)[], all: boolean): string {
  const begin = page.indexOf(BEGIN)
  const end = page.indexOf(END)
  if (begin === -1 || end < begin) throw new Error(`the page has no ${BEGIN} with ${END} behind it`)
  const rows = new Map<string, string>()
  const found = new Map(results.map((result) => [cell(result.driver), result]))
  for (const line of page.slice(begin, end).split('\n')) {
    const driver = /^\| ([^|]+) \|/.exec(line)?.[1]
    if (!driver || driver === 'driver' || driver === '---') continue
    const result = found.get(driver)
    if (result ? 'skipped' in result : !all) rows.set(driver, line)
  }
  for (const [driver, result] of found) if (!('skipped' in result)) rows.set(driver, rowOf(result))
  const sorted = [...rows].sort(([one], [other]) => one.localeCompare(other, 'en')).map(([, row]) => row)
  const head = ['driver', 'version', ...columns.map((step) => STEPS[step])]
  const table = [line(head), line(head.map(() => '---')), ...sorted].join('\n')
  return `${page.slice(0, begin)}${BEGIN}\n${table}\n${page.slice(end)}`
}

function rowOf({ driver, version, steps, passed }: Result): string {
  return line([cell(driver), version, ...columns.map((step) => (steps.includes(step) ? (passed ? 'yes' : 'no') : ''))])
}

const cell = (text: string): string => text.replaceAll('|', '\\|')
const line = (cells: string[]): string => `| ${cells.join(' | ')} |`.replace(/ {2,}/g, ' ')
