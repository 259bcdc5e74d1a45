/** Scripts and differences for people to read. */

import type { FuzzMessage, Script, Settings, Turn, Value } from './script.ts'
import type { Difference } from './transcript.ts'

/** A script, a message per line. */
export function printScript({ settings, clients }: Script): string {
  const lines = [
    `pool_mode ${settings.mode}, pool_size ${settings.poolSize}, max_prepared_statements ${settings.statements}${pipelined(settings)}`,
  ]
  for (const { client, turns, canceled } of clients) {
    lines.push(`client ${client}${canceled ? ', canceled all the time' : ''}`)
    for (const [at, turn] of turns.entries()) {
      lines.push(`  turn ${at}: ${printTurn(turn)}`, ...turn.messages.map((item) => `    ${printMessage(item)}`))
    }
  }
  return lines.join('\n')
}

function pipelined({ pipelining, kills }: Settings): string {
  if (pipelining === undefined) return ''
  return `, server_pipelining auto with a budget of ${pipelining} ms${kills ? ', servers are killed' : ''}`
}

function printTurn({ wait, cuts, stall, reconnect }: Turn): string {
  const words = [wait === 'nothing' ? 'then vanish' : wait === 'flush' ? 'then flush and wait' : 'then wait']
  if (reconnect) words.unshift(`new session (${reconnect})`)
  if (cuts.length > 0)
    words.push(`cut at ${cuts.map(({ at, pause }) => `${at}${pause > 0 ? ` for ${pause} ms` : ''}`).join(', ')}`)
  if (stall > 0) words.push(`not reading for ${stall} ms`)
  return words.join(', ')
}

/** A message as one line. */
export function printMessage(item: FuzzMessage): string {
  switch (item.type) {
    case 'Q':
      return `Query ${item.sql}${printCopies(item)}`
    case 'P':
      return `Parse "${item.name}" ${item.sql}${item.types.length > 0 ? ` [${item.types}]` : ''}`
    case 'B': {
      const formats = item.formats.length > 0 ? ` formats ${item.formats}` : ''
      const results = item.results.length > 0 ? ` results ${item.results}` : ''
      return `Bind "${item.portal}" of "${item.statement}" (${item.values.map(printValue).join(', ')})${formats}${results}`
    }
    case 'D':
      return `Describe ${item.kind} "${item.name}"`
    case 'C':
      return `Close ${item.kind} "${item.name}"`
    case 'E':
      return `Execute "${item.portal}"${item.limit > 0 ? ` limit ${item.limit}` : ''}${printCopies(item)}`
    case 'F':
      return `FunctionCall ${item.oid} (${item.values.map(printValue).join(', ')})`
    case 'S':
      return 'Sync'
    case 'H':
      return 'Flush'
    case 'd':
      return `CopyData ${JSON.stringify(item.data)}`
    case 'c':
      return 'CopyDone'
    case 'f':
      return 'CopyFail'
  }
}

function printCopies({ copies = [] }: Extract<FuzzMessage, { type: 'Q' | 'E' }>): string {
  return copies
    .map(({ parts, end }) => {
      const sent = parts.map((part) => ('data' in part ? JSON.stringify(part.data) : part.message))
      return `\n      copy data: ${[...sent, end].join(' ')}`
    })
    .join('')
}

function printValue(value: Value): string {
  if (value === null) return 'NULL'
  return typeof value === 'string' ? `'${value}'` : `'${value.text}'… ${value.length} bytes`
}

/** What differs, with as much around it as is needed to find the place. */
export function printDifference({ client, turn, expected, found }: Difference): string {
  let same = 0
  while (same < expected.length && expected[same] === found[same]) same++
  let tail = 0
  while (tail < Math.min(expected.length, found.length) - same && expected.at(-1 - tail) === found.at(-1 - tail)) tail++
  const from = Math.max(0, same - 12)
  const lines = [`client ${client}, turn ${turn}; - direct, + through pgbun`]
  if (from > 0) lines.push(`  … ${from} more`)
  lines.push(...expected.slice(from, same).map((line) => `  ${line}`))
  lines.push(...expected.slice(same, expected.length - tail).map((line) => `- ${line}`))
  lines.push(...found.slice(same, found.length - tail).map((line) => `+ ${line}`))
  const after = expected.slice(expected.length - tail)
  lines.push(...after.slice(0, 6).map((line) => `  ${line}`))
  if (after.length > 6) lines.push(`  … ${after.length - 6} more`)
  return lines.map((line) => line.slice(0, 400)).join('\n')
}
