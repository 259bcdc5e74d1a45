/** The live page with a thousand pools and ten thousand clients: few rows are elements, and every row can be reached. */
import t from 'tap'
import type { View } from '../../lib/admin/view.ts'
import type { HttpPorts } from '../../lib/http/ports.ts'
import { startHttp } from '../../lib/http/server.ts'
import type { ClientSnapshot, PoolSnapshot, Snapshot } from '../../lib/observe/snapshot.ts'
import { createCounters } from '../../lib/pool/counters.ts'
import { emptyCounts } from '../../lib/util/histogram.ts'
import { createLogger } from '../../lib/util/logger.ts'
import { noChromium, openPage } from '../fixtures/browser.ts'
import { waitFor } from '../fixtures/wait.ts'

const POOLS = 1000
const CLIENTS = 10_000

let looks = 0

function pools(): PoolSnapshot[] {
  looks++
  return Array.from({ length: POOLS }, (_, at) => ({
    ...{ database: `db${at}`, user: 'app', mode: 'transaction', reads: false, size: 20, clients: 10 },
    ...{ waiting: (at + looks) % 3, maxWait: 5, pinned: 0, opening: 0, counters: createCounters() },
    servers: { idle: looks % 7, active: at % 5, busy: 0, draining: 0, beingCanceled: 0 },
  })) as unknown as PoolSnapshot[]
}

function clients(): ClientSnapshot[] {
  return Array.from({ length: CLIENTS }, (_, at) => ({
    ...{ id: at + 1, user: 'app', database: `db${at % POOLS}`, state: 'idle', address: `10.0.0.1:${at}` },
    ...{ applicationName: `worker ${at}`, age: 1, request: at, waited: 0, transaction: 0, running: false },
    ...{ prepared: 0, closing: false, server: 0, replication: 'none', pinned: '', pinnedFor: 0 },
  })) as unknown as ClientSnapshot[]
}

function ports(): HttpPorts {
  const rest = { clientCount: CLIENTS, servers: [], forgotten: createCounters(), forgottenByDatabase: [] }
  const parts = {
    settings: () => ({ token: '', cleartextAllowed: false }),
    counts: () => ({ ...rest, pools: pools() }),
    pulse: () => ({
      ...{ at: Date.now(), counters: createCounters(), errors: 0, query: emptyCounts(), clients: CLIENTS },
      ...{ waiting: 0, maxWait: 0, servers: 0, active: 0 },
    }),
    process: () => ({ runtime: 'node', runtimeVersion: '20', memory: [] }),
    view: () =>
      ({
        snapshot: {
          ...rest,
          ...{ pools: pools(), clients: clients(), hosts: [], ends: {}, errors: [], databases: [], version: '0' },
        } as unknown as Snapshot,
        certificates: () => [],
      }) as unknown as View,
    log: createLogger({ level: 'error', format: 'text', color: false }),
  }
  return parts as unknown as HttpPorts
}

t.test('a thousand pools and ten thousand clients', { skip: noChromium }, async (t) => {
  const server = await startHttp({ address: { host: '127.0.0.1', port: 0 }, tls: undefined, ports: ports() })
  t.teardown(() => server.close())
  const { page, complaints } = await openPage(t, `${server.url}/#pools`)
  const table = page.locator('[role=table]')
  const count = (): Promise<string | null> => table.getAttribute('aria-rowcount')
  await waitFor(async () => (await count()) === String(POOLS + 1))
  await page.click('nav a[href="#clients"]')
  await page.click('text=Idle ones, too')
  await waitFor(async () => (await count()) === String(CLIENTS + 1))
  for (const label of ['Clients', 'Pools']) {
    await page.click(`nav a[href="#${label.toLowerCase()}"]`)
    const frames = await table.evaluate(async (root) => {
      const times: number[] = []
      const rows = root.querySelector<HTMLElement>('.rows')!
      let last = performance.now()
      for (let step = 0; step <= 100; step++) {
        root.scrollTop = (rows.offsetHeight * step) / 100
        await new Promise((resolve) => requestAnimationFrame(resolve))
        times.push(performance.now() - last)
        last = performance.now()
      }
      return times.sort((a, b) => a - b)
    })
    const of = (share: number): string => `${frames[Math.floor((frames.length - 1) * share)]!.toFixed(1)} ms`
    t.comment(`${label}: a frame takes ${of(0.5)}, ${of(0.99)} at most for 99 %`)
    t.ok((await table.locator('.rows [role=row]').count()) < 80, 'few rows are elements')
  }
  await page.click('nav a[href="#clients"]')
  await table.locator('.rows [role=row]').first().focus()
  await page.keyboard.press('End')
  await waitFor(
    async () => (await page.evaluate(() => document.activeElement!.getAttribute('aria-rowindex'))) === '10001',
  )
  t.same(complaints, [])
})
