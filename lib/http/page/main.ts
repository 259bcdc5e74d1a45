/** The live page: which section is seen, what it is told, and whether pgbun is there. */

import type { Overview as ProcessOverview } from '../page-data.ts'
import { Actions } from './actions.ts'
import { byId, element, setText } from './elements.ts'
import { ask, Feed } from './feed.ts'
import { duration } from './format.ts'
import { Overview } from './overview.ts'
import { PoolBook } from './pool-book.ts'
import { Clients, Errors, Pools, Queries, type Section } from './sections.ts'
import { Settings } from './settings.ts'

/** Between two looks at the process. */
const PROCESS_MS = 10_000

const main = byId('main')
const alertLine = byId('alert')
const connection = byId('connection')
const book = new PoolBook()
const overview = new Overview()
const settings = new Settings()
const sections = new Map<string, Section>([
  ['overview', overview],
  ['pools', new Pools(book, [])],
  ['clients', new Clients(book, undefined)],
  ['queries', new Queries()],
  ['errors', new Errors()],
  ['settings', settings],
])

const actions = new Actions((text, failed) => {
  tellDone(text, failed)
  lookAtProcess()
  look()
})
const databaseControls = actions.databaseControls()

let role: ProcessOverview['role'] = 'stats'
let seen: Section = overview
let live = false
let timer: ReturnType<typeof setTimeout> | undefined

/** Show what the address names. */
function choose(): void {
  const name = sections.has(location.hash.slice(1)) ? location.hash.slice(1) : 'overview'
  seen = sections.get(name)!
  document.title = `pgbun: ${seen.title}`
  for (const link of document.querySelectorAll('nav a')) {
    if (link.getAttribute('href') === `#${name}`) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
  main.replaceChildren(element('h2', { class: 'title', hidden: '' }, seen.title), seen.root)
  look()
}

/** Have the section look, now and again, while somebody does. */
function look(): void {
  clearTimeout(timer)
  if (!live || document.hidden) return
  const looking = seen
  looking
    .refresh()
    .then(
      () => tellProblem(''),
      (error: Error) => tellProblem(live ? `${looking.title}: ${error.message}` : ''),
    )
    .finally(() => {
      if (looking !== seen) return
      clearTimeout(timer)
      timer = setTimeout(look, looking.periodMs)
    })
}

/** The process, seldom: what changes quickly comes by itself. */
function lookAtProcess(): void {
  if (live && !document.hidden) ask<ProcessOverview>('api/overview').then(showProcess, () => {})
}

function tellProblem(text: string): void {
  setText(alertLine, text)
  alertLine.hidden = text === ''
}

/** What came of an action, until the next one. */
function tellDone(text: string, failed: boolean): void {
  const line = byId('done')
  line.className = failed ? 'failed' : 'note'
  setText(line, text)
}

/** Admins see what they can do. */
function become(next: ProcessOverview['role']): void {
  byId('login').hidden = next === 'admin'
  if (next === role) return
  role = next
  const admin = role === 'admin'
  sections.set('pools', new Pools(book, admin ? databaseControls.elements : []))
  sections.set('clients', new Clients(book, admin ? actions : undefined))
  settings.admin = admin
  choose()
}

function showProcess(process: ProcessOverview): void {
  const { version, uptime, runtime, paused, suspended, draining, databases } = process
  become(process.role)
  databaseControls.offer(databases.map(({ name }) => name))
  const states = [paused && 'paused', suspended && 'suspended', draining && 'shutting down'].filter(Boolean)
  setText(byId('process'), [`${version} on ${runtime}, up ${duration(uptime)}`, ...states].join(' · '))
}

function tellConnection(state: 'live' | 'lost', text: string): void {
  document.body.dataset.connection = state
  setText(connection, text)
}

setInterval(lookAtProcess, PROCESS_MS)
addEventListener('hashchange', choose)
document.addEventListener('visibilitychange', look)
choose()
new Feed({
  whole: (event) => book.begin(event),
  changed: (event) => book.change(event),
  sampled: (sample) => overview.add(sample),
  live() {
    live = true
    tellConnection('live', 'live')
    lookAtProcess()
    // What was missed meanwhile.
    overview.refresh().catch(() => {})
    look()
  },
  lost() {
    if (live || document.body.dataset.connection === undefined) {
      tellConnection('lost', `connection to pgbun lost at ${new Date().toLocaleTimeString()}; trying again`)
    }
    live = false
  },
})
