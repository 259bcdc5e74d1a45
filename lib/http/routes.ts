/**
 * The table of what can be asked for: one row per path. A row says who may ask, and gives the answer; a new one needs nothing
 * else.
 */

import type { ServerResponse } from 'node:http'
import { runAction } from './actions.ts'
import { type Answer, json, problem } from './answer.ts'
import { health, readiness } from './health.ts'
import { clientsOf, overviewOf, QUERY_ORDERS, type QueryOrder, queriesOf } from './page-data.ts'
import { PAGE_FILES, PAGE_POLICY, type PageFileName, pageText } from './page-files.ts'
import type { HttpPorts, Role } from './ports.ts'
import type { Recorder } from './recorder.ts'
import type { Scrapes } from './scrape.ts'
import type { EventStream } from './stream.ts'

/** A request that is let in. */
export interface HttpRequest {
  readonly query: URLSearchParams
  readonly accept: string | undefined
  /** Who asks: undefined for strangers, where a row is for everybody. */
  readonly role: Role | undefined
  /** Only the headers of the answer are wanted. */
  readonly head: boolean
  /** What was sent, by a POST. */
  readonly body: string
  /** IP address of who asks. */
  readonly address: string
  /** For an answer that goes on. */
  readonly response: ServerResponse
}

/** What answers are made of. */
export interface RouteParts {
  readonly ports: HttpPorts
  readonly scrapes: Scrapes
  readonly stream: EventStream
  readonly recorder: Recorder
}

/** Who may ask: `anybody` is asked for no credentials. */
export type Need = Role | 'anybody'

/** One path. */
export interface Route {
  /** The answer goes on for as long as its reader stays. */
  readonly endless?: boolean
  /** It changes something: only POST is answered, and only where it comes from pgbun's own page or from a program. */
  readonly changes?: boolean
  /** A browser that is refused asks for a password, even where it has shown another one. */
  readonly asks?: boolean
  /** Who may ask; it may depend on the type of answer that is accepted. */
  readonly need: Need | ((accept: string) => Need)
  /** Shown in the list of paths; those without it are parts of others. */
  readonly about?: string
  /** The answer; undefined where the row answers by itself. */
  answer(request: HttpRequest, parts: RouteParts): Promise<Answer | undefined>
}

/** By path. */
export const ROUTES: ReadonlyMap<string, Route> = new Map<string, Route>([
  [
    '/',
    {
      // Browsers ask for the password when the page itself is refused, and not for what the page loads.
      need: (accept) => (wantsPage(accept) ? 'stats' : 'anybody'),
      about: 'the live page for browsers, the list of paths for others',
      answer: async ({ accept }) => (wantsPage(accept ?? '') ? pageFile('index.html') : json(200, pathList())),
    },
  ],
  ['/healthz', { need: 'anybody', about: 'whether the process runs', answer: async () => health() }],
  [
    '/readyz',
    {
      need: 'anybody',
      about: 'whether clients should be sent here; with ?database=NAME, whether its server answers, too',
      answer: async ({ query, role }, { ports }) => {
        const name = query.get('database')
        if (name === null) return readiness(ports.readiness(), undefined)
        const whyNot = await ports.whyUnavailable(name)
        const shown = role === undefined && whyNot !== '' ? 'it cannot be used' : whyNot
        return readiness(ports.readiness(), { name, whyNot: shown })
      },
    },
  ],
  [
    '/metrics',
    {
      need: 'stats',
      about: 'metrics in the formats of Prometheus and OpenMetrics',
      answer: ({ accept }, { scrapes }) => scrapes.answer(accept),
    },
  ],
  [
    '/api/snapshot',
    {
      need: 'stats',
      about: 'the state of pgbun as JSON',
      answer: async (_, { ports }) => json(200, ports.view().snapshot),
    },
  ],
  [
    '/api/overview',
    {
      need: 'stats',
      about: 'the process, its databases, hosts and certificates, and what went wrong, as JSON',
      answer: async ({ role = 'stats' }, { ports }) => json(200, overviewOf(ports.view(), ports.process(), role)),
    },
  ],
  [
    '/api/history',
    {
      need: 'stats',
      about: 'throughput, latency and waiting: each second of ten minutes, each minute of a day',
      answer: async (_, { recorder }) => json(200, recorder.columns()),
    },
  ],
  [
    '/api/clients',
    {
      need: 'stats',
      about: 'clients that hold a server or wait for one, and why; with ?all, all clients',
      answer: async ({ query }, { ports }) => json(200, clientsOf(ports.view().snapshot, query.has('all'))),
    },
  ],
  [
    '/api/queries',
    {
      need: 'stats',
      about: `statistics of statements; ?order=${QUERY_ORDERS.join('|')} and ?limit=1..1000`,
      answer: async ({ query, role = 'stats' }, { ports }) => {
        const order = query.get('order') ?? 'total'
        const limit = query.get('limit') ?? '100'
        if (!isOrder(order)) return problem(400, `order must be one of ${QUERY_ORDERS.join(', ')}`)
        if (!/^\d{1,4}$/.test(limit) || Number(limit) < 1 || Number(limit) > 1000)
          return problem(400, 'limit must be a number from 1 to 1000')
        return json(200, queriesOf(ports.view(), role, order, Number(limit)))
      },
    },
  ],
  [
    '/api/config',
    {
      need: 'admin',
      about: 'options in force, where each was set, and what it is by default; secrets are masked',
      answer: async (_, { ports }) => json(200, ports.view().options()),
    },
  ],
  [
    '/api/control',
    {
      need: 'admin',
      changes: true,
      about:
        'POST {"action": "pause", "database": "app"}: pause, resume, reconnect; {"action": "cancel", "client": 7}: cancel, disconnect',
      answer: ({ body, address }, { ports }) => runAction(body, address, ports),
    },
  ],
  [
    '/login',
    {
      need: 'admin',
      asks: true,
      about: 'has a browser ask for the password of an admin, and leads to the live page',
      answer: async () => ({ status: 303, type: 'text/plain; charset=utf-8', body: '', headers: { Location: './' } }),
    },
  ],
  [
    '/api/stream',
    {
      need: 'stats',
      endless: true,
      about: 'server-sent events: what there is, then what changes, once a second',
      answer: async ({ head, response }, { stream }) => {
        if (head) return { status: 200, type: 'text/event-stream; charset=utf-8', body: '' }
        if (!stream.hasRoom) return problem(503, 'too many follow already: try again later', { 'Retry-After': '10' })
        stream.follow(response)
        return undefined
      },
    },
  ],
  ...(Object.keys(PAGE_FILES) as PageFileName[]).map((name): [string, Route] => [
    `/page/${name}`,
    { need: 'anybody', answer: async () => pageFile(name) },
  ]),
])

/** A browser that is led to an address says first that it wants a page; programs do not. */
function wantsPage(accept: string): boolean {
  return /^\s*text\/html\b/i.test(accept)
}

function isOrder(text: string): text is QueryOrder {
  return (QUERY_ORDERS as readonly string[]).includes(text)
}

/** What can be asked for. */
export function pathList(): { readonly pgbun: Readonly<Record<string, string>> } {
  const told = [...ROUTES].flatMap(([path, { about }]) => (about === undefined ? [] : [[path, about] as const]))
  return { pgbun: Object.fromEntries(told) }
}

function pageFile(name: PageFileName): Answer {
  const body = pageText(name)
  if (body === undefined)
    return problem(503, `${name} could not be read: install pgbun again; where it runs from its sources, npm run build`)
  return { status: 200, type: PAGE_FILES[name].type, body, headers: { 'Content-Security-Policy': PAGE_POLICY } }
}
