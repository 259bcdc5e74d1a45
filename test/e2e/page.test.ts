/** The live page in a real browser: it says what PostgreSQL and the snapshot say, whatever names hold. */
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import type { Snapshot } from '../../lib/observe/snapshot.ts'
import { noChromium, openPage } from '../fixtures/browser.ts'
import { type Pgbun, type PgbunOptions, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { waitFor } from '../fixtures/wait.ts'

const HOSTILE = '<img src=x onerror="document.title=\'hit\'">&amp;'

/** Where screenshots go, for a person to look at; nowhere unless it is set. */
const pictures = process.env.PGBUN_TEST_PICTURES

async function picture(page: Page, name: string): Promise<void> {
  if (pictures === undefined) return
  mkdirSync(pictures, { recursive: true })
  await page.screenshot({ path: path.join(pictures, `${name}.png`) })
}

/** pgbun with HTTP at a free port, and the address of that. */
async function start(t: Test, options: PgbunOptions): Promise<{ pgbun: Pgbun; url: string }> {
  const pgbun = await startPgbun(t, { ...options, args: ['--http-listen', '0', ...(options.args ?? [])] })
  const [, url] = await pgbun.waitForLog(/metrics and health at (\S+)/)
  return { pgbun, url: url! }
}

/** The cells of the rows that are drawn, by the names of the columns. */
function rowsOf(page: Page, label: string): Promise<Record<string, string>[]> {
  return page.locator(`[role=table][aria-label="${label}"]`).evaluate((table) => {
    const names = [...table.querySelectorAll('[role=columnheader]')].map((head) => head.textContent!)
    return [...table.querySelectorAll<HTMLElement>('.rows [role=row]:not([hidden])')].map((row) =>
      Object.fromEntries([...row.children].map((cell, at) => [names[at]!, cell.textContent!])),
    )
  })
}

t.test('in front of PostgreSQL', { skip: noChromium }, async (t) => {
  const server = await startPostgres(t)
  const { pgbun, url } = await start(t, {
    target: server,
    poolMode: 'transaction',
    poolSize: 2,
    args: ['--stats-show-queries'],
  })
  const snapshot = async (): Promise<Snapshot> => (await fetch(`${url}/api/snapshot`)).json() as Promise<Snapshot>
  const holder = await pgbun.connect({ application_name: HOSTILE })
  const runner = await pgbun.connect({ application_name: 'runner' })
  const waiter = await pgbun.connect({ application_name: 'waiter' })
  await holder.query('begin')
  await holder.query('select 1')
  const running = runner.query('select pg_sleep(600)').catch((error: Error) => error)
  await waitFor(async () => (await snapshot()).servers.length === 2)
  const waiting = waiter.query('select 1/0').catch((error: Error) => error)
  await waitFor(async () => (await snapshot()).pools[0]!.waiting === 1)
  const { page, complaints } = await openPage(t, url)
  await page.locator('body[data-connection=live]').waitFor()

  await t.test('numbers of the pool are those of the snapshot and of pg_stat_activity', async (t) => {
    await page.click('nav a[href="#pools"]')
    const [row] = await waitFor(async () => {
      const rows = await rowsOf(page, 'Pools')
      return rows[0]?.waiting === '1' && rows
    })
    const { pools } = await snapshot()
    const { database, user, clients, waiting, servers, size, counters } = pools[0]!
    const numbers = {
      clients,
      waiting,
      active: servers.active,
      idle: servers.idle,
      size,
      shared: counters.sharedRequests,
    }
    const shown = { database, user, ...numbers }
    t.match(row, Object.fromEntries(Object.entries(shown).map(([name, value]) => [name, String(value)])))
    t.equal(row!.mode, 'transaction')
    const direct = await server.connect()
    const { rows } = await direct.query(
      "select count(*) from pg_stat_activity where state in ('active', 'idle in transaction') and pid <> pg_backend_pid() and backend_type = 'client backend'",
    )
    t.equal(row!.active, rows[0].count)
    await picture(page, 'pools')
  })

  await t.test('who holds servers and why, and who waits', async (t) => {
    await page.click('nav a[href="#clients"]')
    const rows = await waitFor(async () => {
      const rows = await rowsOf(page, 'Clients')
      return rows.length === 3 && rows
    })
    const of = (application: string) => rows.find((row) => row.application === application)!
    const { servers } = await snapshot()
    t.match(of('waiter'), { why: 'waits for a server', 'backend pid': '–' })
    t.match(of('runner'), { why: 'a request runs' })
    t.match(of(HOSTILE), { why: 'idle in transaction' }, 'a hostile name is text')
    const pids = [of('runner')['backend pid'], of(HOSTILE)['backend pid']].sort()
    t.same(pids, servers.map(({ pid }) => String(pid)).sort())
    t.equal(await page.locator('main img').count(), 0)
    t.match(await page.title(), /^pgbun: Clients/)
    await picture(page, 'clients')
  })

  await t.test('the keyboard leads through rows', async (t) => {
    const rows = page.locator('[role=table] .rows [role=row]:not([hidden])')
    await rows.first().focus()
    const focused = () => page.evaluate(() => document.activeElement!.getAttribute('aria-rowindex'))
    const before = Number(await focused())
    await page.keyboard.press('End')
    t.equal(Number(await focused()), 4)
    await page.keyboard.press('Home')
    t.equal(Number(await focused()), 2)
    t.ok(before >= 2)
    t.equal(await page.locator('[role=table]').getAttribute('aria-rowcount'), '4')
  })

  await t.test('queries and errors', async (t) => {
    const backend = (await snapshot()).servers.find(({ state }) => state === 'active')!
    t.ok(backend.pid)
    const direct = await server.connect()
    await direct.query("select pg_cancel_backend(pid) from pg_stat_activity where query like 'select pg_sleep%'")
    t.match(await running, { code: '57014' })
    t.match(await waiting, { code: '22012' })
    await page.click('nav a[href="#queries"]')
    await waitFor(async () => {
      const rows = await rowsOf(page, 'Queries')
      const row = rows.find(({ query }) => query === 'select $1/$2')
      return row?.calls === '1' && row.errors === '1' && row.database === pgbun.database
    })
    await picture(page, 'queries')
    await page.click('nav a[href="#errors"]')
    await waitFor(async () => {
      const rows = await rowsOf(page, 'Errors of PostgreSQL')
      return ['22012', '57014'].every((code) => rows.some(({ SQLSTATE, count }) => SQLSTATE === code && count === '1'))
    })
    await picture(page, 'errors')
    await page.click('nav a[href="#settings"]')
    await page.getByText(/^resident: \d/).waitFor()
    await picture(page, 'settings')
  })

  await t.test('charts and tiles', async (t) => {
    await page.click('nav a[href="#overview"]')
    await page.locator('.tiles dd').first().waitFor()
    t.equal(await page.locator('.chart canvas').count(), 4)
    const tile = (label: string) => page.locator('.tiles div', { hasText: label }).locator('dd').first().textContent()
    await waitFor(async () => (await tile('clients')) === '3')
    await holder.query('select 1')
    await picture(page, 'overview')
    const screens = {
      dark: [1200, 900, 'dark'],
      phone: [360, 740, 'light'],
    } as const
    for (const [name, [width, height, colorScheme]] of Object.entries(screens)) {
      await page.setViewportSize({ width, height })
      await page.emulateMedia({ colorScheme })
      const body = await page.evaluate(() => document.documentElement.scrollWidth)
      t.ok(body <= width, `${name}: ${body} pixels of ${width}`)
      await picture(page, name)
    }
    await page.click('text=24 hours')
    t.equal(await page.locator('button[aria-pressed=true]').textContent(), '24 hours')
    await page.click('text=10 minutes')
  })

  t.same(complaints, [], 'nothing is refused by the policy, nothing throws')

  await t.test('the connection is lost', async (t) => {
    await holder.query('commit')
    await pgbun.stop('SIGTERM')
    await page.locator('body[data-connection=lost]').waitFor()
    t.match(await page.locator('#connection').textContent(), /connection to pgbun lost at .*; trying again/)
    await picture(page, 'lost')
  })
})
