/**
 * `npm run bench:micro`: what pgbun's own code costs per message, without sockets, in one process, on made-up
 * conversations that are always the same. Compare runs on the same machine only; the spread tells how much to
 * believe. Node needs --expose-gc for the bytes a message allocates; Bun does not tell them.
 *
 * Options: --only TEXT (cases whose name or group has it), --rounds N, --round MS, --json FILE.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { fingerprintOf } from '../../../lib/sql/fingerprint.ts'
import { effectsOf } from '../../../lib/sql/state-effects.ts'
import { renderTable } from '../table.ts'
import { loginCases } from './login-cases.ts'
import { type MicroResult, measureMicro } from './measure.ts'
import type { MicroGroup } from './micro-case.ts'
import { replyPlanCases } from './reply-plan-cases.ts'
import { rewritingCases } from './rewriting-cases.ts'
import { scannerCases } from './scanner-cases.ts'
import { settingsCases } from './settings-cases.ts'

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    rounds: { type: 'string', default: '9' },
    round: { type: 'string', default: '100' },
    json: { type: 'string', default: '' },
  },
})

const texts = [
  'SELECT abalance FROM pgbench_accounts WHERE aid = 12345',
  "UPDATE pgbench_accounts SET abalance = abalance + 5, filler = 'x' WHERE aid = 12345 RETURNING abalance",
  "SET search_path = 'app', public",
]
const effectCases: MicroGroup = {
  title: 'effects of a text',
  cases: texts.map((text) => ({ name: text.slice(0, 50), messages: 1, run: () => void effectsOf(text) })),
}

const fingerprintCases: MicroGroup = {
  title: 'fingerprint of a text',
  cases: [...texts, `INSERT INTO t VALUES ${"(1, 'a'), ".repeat(100)}(1, 'a')`].map((text) => {
    const bytes = Buffer.from(text)
    return { name: text.slice(0, 50), messages: 1, run: () => void fingerprintOf(bytes) }
  }),
}

const plan = { rounds: Number(values.rounds), warmUp: 300, round: Number(values.round) }
const all: MicroResult[] = []
const runtime = process.versions.bun ? `bun ${process.versions.bun}` : `node ${process.versions.node}`
process.stdout.write(`${runtime}, ${plan.rounds} rounds of ${plan.round} ms\n`)
const groups = [scannerCases, replyPlanCases, rewritingCases, effectCases, fingerprintCases, settingsCases, loginCases]
for (const { title, cases } of groups) {
  const wanted = cases.filter(({ name }) => `${title} ${name}`.includes(values.only))
  if (wanted.length === 0) continue
  const results: MicroResult[] = []
  for (const spec of wanted) results.push(await measureMicro(spec, plan))
  all.push(...results.map((result) => ({ ...result, name: `${title}: ${result.name}` })))
  const rows = results.map(({ name, nanoseconds, spread, least, bytes }) => [
    name,
    nanoseconds.toFixed(1),
    `±${(spread * 100).toFixed(0)}%`,
    least.toFixed(1),
    bytes === undefined ? '-' : bytes.toFixed(0),
  ])
  process.stdout.write(
    `\n${title}\n\n${renderTable(['case', 'ns per message', 'spread', 'least', 'bytes'], rows, 'text')}`,
  )
}
if (values.json) writeFileSync(values.json, `${JSON.stringify({ runtime, results: all }, null, 2)}\n`)
