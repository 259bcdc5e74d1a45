/**
 * docker/grafana/: the dashboard and the alerts say what they mean. A living pgbun under load is scraped by a real Prometheus
 * with the configuration that is shipped; each expression of a panel, of a variable and of an alert is evaluated there.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { type Pgbun, startPgbun } from '../fixtures/pgbun.ts'
import { freePort } from '../fixtures/ports.ts'
import { rootDir, startPostgres } from '../fixtures/postgres.ts'
import { noPrometheus, type PromSample, startPrometheus } from '../fixtures/prometheus.ts'
import { waitFor } from '../fixtures/wait.ts'

const folder = path.join(rootDir, 'docker/grafana')
const read = (file: string): string => readFileSync(path.join(folder, file), 'utf8')

interface Panel {
  id: number
  type: string
  title: string
  description?: string
  datasource?: unknown
  gridPos: { x: number; y: number; w: number; h: number }
  targets?: { refId: string; datasource: unknown; expr: string; legendFormat: string }[]
  fieldConfig?: { defaults: { unit?: string } }
  panels?: Panel[]
}

interface Variable {
  name: string
  type: string
  datasource?: unknown
  query: string | { query: string }
}

const dashboard = JSON.parse(read('dashboards/pgbun.json')) as {
  uid: string
  schemaVersion: number
  panels: Panel[]
  templating: { list: Variable[] }
  annotations: { list: { expr?: string }[] }
}
const panels = dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])])
const shown = panels.filter(({ type }) => type !== 'row')
const rules = read('prometheus/alerts.yml')

/** Grafana's names of units. */
const UNITS = new Set(['short', 'reqps', 'cps', 's', 'bytes', 'Bps', 'percentunit', 'bool_yes_no'])

t.test('the dashboard is one that Grafana takes', async (t) => {
  t.equal(dashboard.uid, 'pgbun')
  t.equal(dashboard.schemaVersion, 39, 'that of Grafana 10.4 and 11')
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length, 'each id is there once')
  t.ok(shown.length >= 40)
  const source = { type: 'prometheus', uid: '${datasource}' }
  for (const { title, description, datasource, fieldConfig, targets = [] } of shown) {
    t.match(description, /^[A-Z0-9].{15,}\.$/, title)
    t.ok(UNITS.has(fieldConfig?.defaults.unit ?? ''), `${title}: a unit`)
    t.same(datasource, source, title)
    t.ok(targets.length > 0, title)
    t.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title)
    for (const target of targets) t.same(target.datasource, source, title)
  }
  t.equal(dashboard.templating.list[0]?.type, 'datasource')
  t.same(
    dashboard.templating.list.map(({ name }) => name),
    ['datasource', 'instance', 'database', 'user'],
  )
  for (const { datasource } of dashboard.templating.list.slice(1)) t.same(datasource, source)
  t.match(read('provisioning/datasources/prometheus.yml'), /type: prometheus\n/)
})

t.test('no panel lies over another', async (t) => {
  for (const list of [dashboard.panels, ...dashboard.panels.map((row) => row.panels ?? [])]) {
    for (const [i, { title, gridPos: a }] of list.entries()) {
      t.ok(a.x >= 0 && a.x + a.w <= 24, `${title} fits`)
      for (const { title: other, gridPos: b } of list.slice(i + 1)) {
        const apart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y
        if (!apart) t.fail(`${title} and ${other} overlap`)
      }
    }
  }
})

t.test(
  'promtool: the rules are well-formed, fire when they should, and not otherwise',
  { skip: noPrometheus },
  async (t) => {
    const promtool = (...args: string[]): string =>
      execFileSync('promtool', args, { cwd: path.join(folder, 'prometheus'), encoding: 'utf8', stdio: 'pipe' })
    t.match(promtool('check', 'config', 'prometheus.yml'), /SUCCESS: \d+ rules found/)
    t.match(promtool('test', 'rules', 'alerts.test.yml'), /SUCCESS/)
    const alerts = rules.split('\n      - alert: ').slice(1)
    t.ok(alerts.length >= 15)
    for (const alert of alerts) {
      const name = alert.split('\n', 1)[0]!
      t.match(alert, /^ {10}severity: (?:warning|critical)$/m, name)
      t.match(alert, /^ {10}summary: ".{20,}"$/m, name)
      t.match(alert, /^ {10}description: ".*`pgbun ctl '?(?:SHOW|RE).*"$/m, `${name}: what to look at`)
      t.match(read('prometheus/alerts.test.yml'), `alertname="${name}"`, 'it is tried')
      t.match(read('../../METRICS.md'), `\`${name}\``, 'it is documented')
    }
  },
)

/** What may have no series under this load. */
const MAY_BE_EMPTY: ReadonlyMap<string, string> = new Map([
  ['pgbun_host_replication_lag_seconds', 'watched with route_reads alone'],
  ['pgbouncer_databases_paused{instance=~"$instance",name=~"$database"}) > 0', 'no database is paused'],
])
const mayBeEmpty = (expression: string): boolean => [...MAY_BE_EMPTY.keys()].some((part) => expression.includes(part))

/** What has no panel. */
const OF_LITTLE_INTEREST = new Set(['pgbun_pools_replication_connections', 'pgbun_server_assignments_total'])

/** Works on until the function that it returns is called: rows, errors, waits, a pin, prepared statements, new servers. */
async function load(pgbun: Pgbun): Promise<() => Promise<void>> {
  const admin = await pgbun.connect({ database: 'pgbouncer' })
  const pinned = await pgbun.connect()
  await pinned.query('create temporary table kept (n int)')
  const clients = await Promise.all(Array.from({ length: 4 }, () => pgbun.connect()))
  let ended = false
  const work = clients.map(async (client, i) => {
    for (let n = 0; !ended; n++) {
      await client.query({ name: 'twice', text: 'select 2 * $1::int', values: [n] })
      await client.query('select pg_sleep(0.02)')
      await client.query('select 1/0').catch(() => {})
      if (i === 0 && n % 25 === 0) await admin.query('RECONNECT')
    }
  })
  // One session is ended with an SQLSTATE, one because PostgreSQL has no such database.
  await pgbun.connect({ application_name: 'unlucky' })
  const { rows } = await admin.query("SELECT id FROM clients WHERE application_name = 'unlucky'")
  await admin.query(`KILL_CLIENT ${rows[0].id}`)
  const refused = pgbun.connect({ database: 'missing' }).catch(() => {})
  return async () => {
    ended = true
    await Promise.all([...work, refused])
  }
}

/** The metrics that an expression names. */
const metricsOf = (expression: string): string[] => expression.match(/\b(?:pgbun|pgbouncer|process)_\w+/g) ?? []

/** The series that an expression selects: names with what stands in braces behind them. */
const selectorsOf = (expression: string): string[] =>
  [...expression.matchAll(/\b(?:(?:pgbun|pgbouncer|process)_\w+|up)(?:\{[^}]*\})?(?=[\s[)]|$)/g)].map(([all]) => all)

t.test('each expression, in a Prometheus that scrapes a pgbun under load', { skip: noPrometheus }, async (t) => {
  const server = await startPostgres(t)
  const http = `127.0.0.1:${await freePort()}`
  const shipped = read('prometheus/prometheus.yml')
  const token = /credentials: (\S+)/.exec(shipped)![1]!
  const args = ['--http-listen', http, '--http-token', token, '--admin-users', 'postgres', '--stats-show-queries']
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 3, args })
  const end = await load(pgbun)
  const dir = t.testdir({})
  copyFileSync(path.join(folder, 'prometheus/alerts.yml'), path.join(dir, 'alerts.yml'))
  const config = shipped.replace('"pgbun:6433"', `"${http}"`).replace(/_interval: \d+s/g, '_interval: 500ms')
  const prometheus = await startPrometheus(t, dir, config)

  const { database } = pgbun
  // As Grafana writes them: `.*` for All, regular expressions of the values that were chosen.
  const choices: Record<string, string>[] = [
    { instance: '.*', database: '.*', user: '.*' },
    { instance: http.replaceAll('.', '\\\\.'), database: `(${database}|other)`, user: 'postgres' },
  ]
  const filled = (expression: string, values: Record<string, string>): string =>
    expression
      .replace(/\$__(?:rate_)?interval\b/g, '10s')
      .replace(/\$(\w+)/g, (_, name: string) => values[name] ?? 'no such variable')
  const metrics = await fetch(`http://${http}/metrics`, { headers: { authorization: `Bearer ${token}` } })
  const types = [...(await metrics.text()).matchAll(/^# TYPE (\S+) (\S+)$/gm)]
  const names = new Set(
    types.flatMap(([, name, type]) =>
      type === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => name! + end) : [name!],
    ),
  )
  t.ok(names.size > 80)
  const targets = shown.flatMap(({ title, targets = [] }) => targets.map((target) => ({ title, ...target })))
  const starts = dashboard.annotations.list.flatMap(({ expr }) => (expr === undefined ? [] : [expr]))

  await t.test('names are those of /metrics', async (t) => {
    const used = new Set([...targets.map(({ expr }) => expr), ...starts, rules].flatMap(metricsOf))
    t.same(
      [...used].filter((name) => !names.has(name)),
      [],
      'no typing error hides in an expression',
    )
    const own = types.map(([, name]) => name!).filter((name) => name.startsWith('pgbun_'))
    const left = (name: string): boolean => ![...used].some((metric) => metric.startsWith(name))
    const unused = own.filter((name) => left(name) && !OF_LITTLE_INTEREST.has(name))
    t.same(unused, [], 'and all of pgbun has its place')
  })

  await t.test('panels', async (t) => {
    const hasNumber = (found: PromSample[]): boolean => found.some(({ value }) => !Number.isNaN(Number(value[1])))
    for (const values of choices) {
      for (const { title, expr, legendFormat } of targets) {
        const expression = filled(expr, values)
        if (mayBeEmpty(expr)) {
          await prometheus.query(expression)
          continue
        }
        let found: PromSample[] = []
        await waitFor(async () => hasNumber((found = await prometheus.query(expression))), { what: 'a series' }).catch(
          (error: Error) => t.fail(`"${title}": ${expression}: ${error.message}`),
        )
        const labels = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label!)
        for (const label of labels) {
          if (!found.some(({ metric }) => label in metric)) t.fail(`${title}: no series has the label ${label}`)
        }
      }
      for (const expr of starts) await prometheus.query(filled(expr, values))
    }
    t.pass(`${targets.length} expressions`)
  })

  await t.test('what is shown is what happens', async (t) => {
    const value = async (title: string, at = 0): Promise<number> => {
      const [target] = targets.filter((target) => target.title === title).slice(at)
      const [found] = await prometheus.query(filled(target!.expr, choices[1]!))
      return Number(found?.value[1])
    }
    t.equal(await value('Ready'), 1)
    t.ok((await value('Clients')) >= 5)
    t.equal(await value('Pinned clients'), 1)
    await waitFor(async () => (await value('Pools in use')) === 1, { what: 'a scrape while the pool is full' })
    for (const title of ['Queries', 'Query p99', 'Errors', 'Servers pinned, on average'])
      t.ok((await value(title)) > 0, title)
    t.ok((await value('Errors per query')) < 0.9)
    await waitFor(async () => (await value('Waiting clients')) > 0, { what: 'a scrape while clients wait' })
  })

  await t.test('variables', async (t) => {
    const query = dashboard.templating.list.flatMap(({ query }) => (typeof query === 'string' ? [] : [query.query]))
    t.equal(query.length, 3)
    for (const text of query) {
      const [, selector, label] = /^label_values\((.*), (\w+)\)$/.exec(text)!
      const found = await prometheus.query(`count by (${label}) (${filled(selector!, choices[0]!)})`)
      t.ok(
        found.some(({ metric }) => [http, database, 'postgres'].includes(metric[label!]!)),
        text,
      )
    }
  })

  await t.test('alerts', async (t) => {
    const { groups } = (await waitFor(async () => {
      const all = (await prometheus.api('rules')) as {
        groups: { rules: { name: string; query: string; health: string; lastError?: string }[] }[]
      }
      return all.groups[0]?.rules.every(({ health }) => health !== 'unknown') && all
    })) as { groups: { rules: { name: string; query: string; health: string; lastError?: string }[] }[] }
    const all = groups.flatMap(({ rules }) => rules)
    t.ok(all.length >= 15)
    for (const { name, query, health, lastError } of all) {
      t.equal(health, 'ok', `${name} ${lastError ?? ''}`)
      const selectors = selectorsOf(query)
      t.ok(selectors.length > 0, name)
      for (const selector of selectors) {
        if (mayBeEmpty(selector)) continue
        t.ok((await prometheus.query(selector)).length > 0, `${name}: ${selector}`)
      }
    }
    const firing = await prometheus.query('ALERTS{alertstate="firing"}')
    t.same(firing, [], 'nothing of this lasts long enough')
    await waitFor(
      async () => (await prometheus.query('ALERTS{alertname="PgbunPoolSaturated", alertstate="pending"}')).length > 0,
      { what: 'the full pool to be noticed' },
    )
  })

  await t.test('the commands that are named are some of the console', async (t) => {
    const texts = [rules, ...shown.map(({ description }) => description!)].join('\n')
    const commands = new Set([...texts.matchAll(/SHOW [A-Z]+/g)].map(([command]) => command))
    t.ok(commands.size >= 10)
    const console = await pgbun.connect({ database: 'pgbouncer' })
    for (const command of commands) t.ok((await console.query(command)).fields.length > 0, command)
  })

  await end()
})
