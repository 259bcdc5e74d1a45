/**
 * `pgbun ctl`: a command of the console of any pgbun or PgBouncer, once or again and again. Rows go to standard output,
 * notices and errors to standard error.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { consoleHelp } from '../admin/topics.ts'
import type { Config } from '../config/options.ts'
import { askOnce } from './ask-password.ts'
import { findConsole } from './console/console-place.ts'
import { openConsole } from './console/open-console.ts'
import type { QueryResults } from './console/query-results.ts'
import { jsonText, tableText } from './console/result-text.ts'
import { SessionEnd, type SimpleSession } from './console/simple-session.ts'
import type { CliRequest } from './parse-args.ts'
import { onHangUp } from './signals.ts'
import { visible } from './terminal-text.ts'

/** What is to be asked, and how the answer is shown. */
export type CtlRequest = Pick<CliRequest, 'statement' | 'url' | 'json' | 'everyMs' | 'saysWhere'>

/** What can be typed, for who types nothing. */
export function ctlHelp(): string {
  const rows = consoleHelp()
  const width = Math.max(...rows.map(([command]) => command.length).filter((length) => length <= WIDEST))
  const lines = rows.map(([command, meaning]) =>
    command.length > width
      ? `  ${command}\n  ${' '.repeat(width)}  ${meaning}`
      : `  ${command.padEnd(width)}  ${meaning}`,
  )
  return [
    'Usage: pgbun ctl [--url URL] COMMAND [--json] [--watch SECONDS]',
    '',
    'Runs a command of the console of a pgbun or PgBouncer:',
    '',
    ...lines,
    '',
  ].join('\n')
}

const WIDEST = 28

/** Ask, and show. Returns the exit code. @throws ConsoleUnreachable, SessionEnd */
export async function runCtl(request: CtlRequest, config: Config): Promise<number> {
  // Of a terminal that is closed nobody reads any more.
  onHangUp(() => process.exit(129))
  const place = findConsole({
    url: request.url,
    env: process.env,
    config,
    configured: request.saysWhere,
    name: 'pgbun ctl',
    warn: complain,
  })
  const question = `Password of "${visible(place.user)}": `
  const { session } = await openConsole(place, process.stdin.isTTY ? () => askOnce(question) : undefined)
  try {
    if (request.everyMs === undefined) return show(await answerOf(session, request.statement), request)
    return await watch(session, request, request.everyMs)
  } finally {
    await session.close()
  }
}

/** Ends with the first error, or with the program. */
async function watch(session: SimpleSession, request: CtlRequest, ms: number): Promise<number> {
  for (;;) {
    const began = performance.now()
    const answer = await answerOf(session, request.statement)
    const time = new Date().toISOString().slice(0, 19).replace('T', ' ')
    const head = `${time} UTC, every ${ms / 1000} s: ${visible(request.statement)}\n\n`
    const code = show(answer, request, request.json ? '' : process.stdout.isTTY ? CLEAR + head : head)
    if (code !== 0 || answer === 'shut down') return code
    await sleep(Math.max(0, ms - (performance.now() - began)))
  }
}

/** Home, and clear what is there: what has scrolled away stays. */
const CLEAR = '\x1b[H\x1b[2J'

type Answer = QueryResults | 'shut down'

/** SHUTDOWN ends the connection before it can be answered. */
async function answerOf(session: SimpleSession, statement: string): Promise<Answer> {
  try {
    return await session.ask(statement)
  } catch (error) {
    if (!(error instanceof SessionEnd)) throw error
    const wanted = /^\s*shutdown\b/i.test(statement) && (!error.lastWords || SHUTDOWNS.has(error.sqlstate))
    if (wanted) return 'shut down'
    throw new SessionEnd(`${visible(error.message)} (SQLSTATE ${visible(error.sqlstate)})`, error.sqlstate)
  }
}

/** admin_shutdown, and what PgBouncer says with every error of its own. */
const SHUTDOWNS = new Set(['57P01', '08P01'])

/** Print an answer in one piece, behind `head`. Returns the exit code. */
function show(answer: Answer, { json, everyMs }: CtlRequest, head = ''): number {
  if (answer === 'shut down') {
    process.stdout.write(json ? '[]\n' : 'SHUTDOWN\n')
    return 0
  }
  for (const { severity, message, detail } of answer.notices) {
    process.stderr.write(`${visible(severity)}: ${visible(message)}\n`)
    if (detail !== '') process.stderr.write(`${detail.replaceAll('\t', '  ').split('\n').map(visible).join('\n')}\n`)
  }
  const stream = everyMs !== undefined
  const texts = answer.results.map((result) => (json ? jsonText(result, stream) : tableText(result)))
  const gap = stream && !json && !process.stdout.isTTY ? '\n' : ''
  process.stdout.write(head + texts.join('') + gap)
  if (answer.error === undefined) return 0
  const { message, sqlstate, detail } = answer.error
  complain(`${visible(message)} (SQLSTATE ${visible(sqlstate)})`)
  if (detail !== '') complain(visible(detail))
  return 1
}

function complain(line: string): void {
  process.stderr.write(`pgbun: ${line}\n`)
}
