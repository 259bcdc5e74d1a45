/**
 * METRICS.md lists every metric there is. Its tables are made from the metrics themselves; after a change, write them anew
 * with `npm run docs` (PGBUN_TEST_WRITE_DOCS=1).
 */
import { readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { pgbouncerMetrics } from '../../lib/http/pgbouncer-metrics.ts'
import { ROUTES } from '../../lib/http/routes.ts'
import type { MetricFamily } from '../../lib/observe/metric.ts'
import { ownMetrics } from '../../lib/observe/own-metrics.ts'
import { Histogram } from '../../lib/util/histogram.ts'
import { view } from '../unit/admin/sample-console.ts'

const FILE = new URL('../../METRICS.md', import.meta.url)

const theirs = [...pgbouncerMetrics(view)]
const own = [
  ...ownMetrics(view.snapshot, {
    ...{ runtime: 'node', runtimeVersion: '24.0.0', cpu: 1, lag: new Histogram().counts(), memory: [] },
    ...{ prepared: { texts: 0, names: 0 }, certificates: [], paused: false, suspended: false, draining: false },
    reloaded: true,
  }),
]

function table(families: readonly MetricFamily[]): string {
  const rows = families.map(({ name, type, help }) => `| \`${name}\` | ${type} | ${help} |`)
  return ['| metric | type | meaning |', '| --- | --- | --- |', ...rows].join('\n')
}

const PARTS: Record<string, string> = { 'pgbouncer metrics': table(theirs), 'own metrics': table(own) }

t.test('METRICS.md has all metrics', async (t) => {
  const text = readFileSync(FILE, 'utf8')
  let next = text
  for (const [name, body] of Object.entries(PARTS)) {
    const block = new RegExp(`<!-- ${name} -->\\n[\\s\\S]*?<!-- end -->`)
    t.match(text, block, `METRICS.md has a place for ${name}`)
    next = next.replace(block, () => `<!-- ${name} -->\n${body}\n<!-- end -->`)
  }
  if (process.env.PGBUN_TEST_WRITE_DOCS) writeFileSync(FILE, next)
  else t.equal(text, next, 'run "npm run docs" to write the tables of METRICS.md anew')
})

t.test('METRICS.md has all paths', async (t) => {
  const text = readFileSync(FILE, 'utf8')
  for (const [path, { about }] of ROUTES) if (about !== undefined) t.match(text, `\`${path}\``)
})

t.test('names and help follow the conventions of Prometheus', async (t) => {
  const names = [...theirs, ...own].map(({ name }) => name)
  t.equal(new Set(names).size, names.length, 'each name is there once')
  for (const { name, type, help } of [...theirs, ...own]) {
    t.match(name, /^(?:pgbouncer|pgbun|process)_[a-z0-9_]+$/)
    t.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`)
    t.notMatch(name, /_(?:ms|us|millis|micros|kb|mb)\b/, name)
    t.match(help, /^[A-Z0-9].*[^.]$/, name)
  }
})
