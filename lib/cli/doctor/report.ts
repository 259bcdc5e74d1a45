/** The report of `pgbun doctor` as text and as JSON. Pure. */

import { CHECKS, type Level, type Report, type UserRow } from './finding.ts'

const MARKS: Readonly<Record<Level, string>> = { ok: 'ok', warning: 'warning', problem: 'PROBLEM' }
const MARK_WIDTH = 9
const TITLES: Readonly<Record<string, string>> = {
  configuration: 'Configuration',
  files: 'Files',
  hosts: 'Hosts',
  logins: 'Logins',
  users: 'Users of auth_file',
  'pool sizes': 'Pool sizes',
}
const COLUMNS = [
  ['', ({ level }) => MARKS[level]],
  ['user', ({ user }) => user],
  ['at', ({ place }) => place],
  ['pgbun asks for', ({ client }) => client],
  ['auth_file has', ({ secret }) => secret],
  ['PostgreSQL asks for', ({ server }) => server],
  ['result', ({ level, verdict }) => (level === 'ok' ? verdict : 'see below')],
] as const satisfies [string, (row: UserRow) => string][]

/** Whether clients are kept out. */
export function isWell({ findings }: Report): boolean {
  return findings.every(({ level }) => level !== 'problem')
}

/** The report for people. */
export function reportText(report: Report): string {
  const lines: string[] = []
  for (const check of CHECKS) {
    const found = report.findings.filter((finding) => finding.check === check)
    const table = check === 'users' ? tableLines(report) : []
    if (found.length === 0 && table.length === 0) continue
    lines.push(TITLES[check]!, ...table)
    for (const { level, subject, message, remedy } of found) {
      const text = subject === '' ? message : `${subject}: ${message}`
      lines.push(`  ${MARKS[level].padEnd(MARK_WIDTH)}${text}`)
      if (remedy !== undefined) lines.push(`  ${' '.repeat(MARK_WIDTH)}-> ${remedy}`)
    }
    lines.push('')
  }
  return `${[...lines, conclusion(report)].map(oneLine).join('\n')}\n`
}

function tableLines({ users, moreUsers }: Report): string[] {
  if (users.length === 0) return []
  const rows = [
    COLUMNS.map(([title]) => title as string),
    ...users.map((user) => COLUMNS.map(([, cell]) => cell(user))),
  ]
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  widths[0] = MARK_WIDTH - 2
  const lines = rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ')}`.trimEnd())
  if (moreUsers > 0) lines.push(`  ${' '.repeat(MARK_WIDTH)}and ${moreUsers} more, which were not looked at`)
  return lines
}

/** Names, and what a server says, may hold line breaks and worse. */
function oneLine(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return line.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, ' ')
}

function conclusion({ findings }: Report): string {
  const count = (level: Level): number => findings.filter((finding) => finding.level === level).length
  const problems = amount(count('problem'), 'problem')
  const warnings = amount(count('warning'), 'warning')
  if (problems === undefined) return warnings === undefined ? 'All is well.' : `Nothing keeps clients out. ${warnings}.`
  return warnings === undefined ? `${problems}.` : `${problems}, ${warnings}.`
}

function amount(count: number, what: string): string | undefined {
  return count === 0 ? undefined : `${count} ${what}${count === 1 ? '' : 's'}`
}

/** The report for programs. */
export function reportJson(report: Report, version: string): string {
  const { findings, users, moreUsers } = report
  return `${JSON.stringify({ version, ok: isWell(report), findings, users, more_users: moreUsers }, null, 2)}\n`
}
