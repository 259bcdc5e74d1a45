/** The arithmetic of pool sizes, the ends of certificates, and the report of `pgbun doctor`. */
import t from 'tap'
import { expiryFault } from '../../../lib/cli/doctor/expiry.ts'
import { eachAtOnce, type Report } from '../../../lib/cli/doctor/finding.ts'
import { hostsOf, placesOf } from '../../../lib/cli/doctor/places.ts'
import { compareSizes, plannedPools } from '../../../lib/cli/doctor/pool-sizes.ts'
import { isWell, reportJson, reportText } from '../../../lib/cli/doctor/report.ts'
import { resolveConfig } from '../../../lib/config/load.ts'
import type { PoolerOptions } from '../../../lib/config/pooler-options.ts'
import { serverLimits } from '../../../lib/pool/settings.ts'

/** What is said of the pools of `options` on a host with 100 connections, of which 3 are reserved. */
function sizes(options: PoolerOptions, users?: string[], others = 0) {
  const { config } = resolveConfig({ options })
  const pools = plannedPools(config, placesOf(config), users)
  return compareSizes(pools, serverLimits(config, '', '').host, { maxConnections: 100, reserved: 3, others })
}

const room = 'PostgreSQL has room for 97 (max_connections 100 - 3 reserved)'

t.test('pools whose number is not known are bounded by max_server_connections', async (t) => {
  t.same(sizes({}), {
    level: 'ok',
    message: `at most each of all databases, each user: 25; ${room}, 0 in use by others now`,
  })
  const more = sizes({ maxServerConnections: 200 })
  t.equal(more.level, 'warning')
  t.match(more.message, /More databases or users need up to 200$/)
  t.match(more.remedy, 'max_server_connections to 97 or less')
  t.equal(sizes({ poolSize: 98 }).level, 'problem', 'one pool alone is too large')
})

t.test('pools of known databases and users are added up', async (t) => {
  const databases = { app: { poolSize: 20, reservePoolSize: 5 }, web: { poolSize: 10 } }
  const sum = 'at most database "app", 2 users x (20 + 5) = 50 + database "web", 2 users x 10 = 20 = 70'
  t.same(sizes({ databases }, ['a', 'b']), { level: 'ok', message: `${sum}; ${room}, 0 in use by others now` })
  t.equal(sizes({ databases }, ['a', 'b', 'c']).level, 'ok', '105, and 90 by default')
  const free = sizes({ databases, maxServerConnections: 500 }, ['a', 'b', 'c'])
  t.equal(free.level, 'problem')
  t.match(free.message, / = 105; PostgreSQL/)
})

t.test('limits of databases and users bound the sum', async (t) => {
  const databases = { app: { poolSize: 50, maxDbConnections: 60 }, web: { poolSize: 10 } }
  t.match(sizes({ databases, maxServerConnections: 500 }, ['a', 'b']), {
    level: 'ok',
    message: / = 120; max_db_connections and max_user_connections allow 80; PostgreSQL/,
  })
  t.match(sizes({ databases, maxUserConnections: 30, maxServerConnections: 500 }, ['a', 'b']).message, /allow 60;/)
  t.match(sizes({ databases, maxServerConnections: 40 }, ['a', 'b']).message, /max_server_connections allows 40;/)
  const unknown = sizes({ databases: { app: { maxDbConnections: 60 } }, maxServerConnections: 500 })
  t.equal(unknown.level, 'ok', 'however many users there are')
})

t.test('users with a size of their own, one user for all, and the reserve that is off', async (t) => {
  const users = { a: { poolSize: 40 } }
  const databases = { app: {} }
  t.match(sizes({ databases, users }, ['a', 'b']).message, 'user "a": 40 + database "app", user "b": 25 = 65;')
  t.match(sizes({ databases, users }).message, 'user "a": 40 + database "app", each user: 25 = 65;')
  const one = { app: { user: 'one', reservePoolSize: 9 } }
  const auth = { authType: 'trust' as const }
  t.match(sizes({ databases: one, reservePoolTimeout: 0, ...auth }).message, 'database "app", user "one": 25;')
})

t.test('what others use leaves less room', async (t) => {
  const databases = { app: {} }
  t.equal(sizes({ databases }, ['a'], 72).level, 'ok')
  t.match(sizes({ databases }, ['a'], 73), { level: 'warning', remedy: /^are the others connections of a pgbun/ })
})

t.test('places and hosts', async (t) => {
  const databases = { app: { host: 'a,b', dbname: 'real' }, web: { host: 'b' }, '*': {} }
  const places = placesOf(resolveConfig({ options: { databases, serverHost: 'a' } }).config)
  t.match(places, [
    { label: 'database "app"', databases: ['real'], any: false },
    { label: 'database "web"', databases: ['web'], any: false },
    { label: 'all other databases', databases: ['postgres', 'template1'], any: true },
  ])
  t.same(
    hostsOf(places).map(({ host, places: those }) => [host.host, those.map(({ name }) => name)]),
    [
      ['a', ['app', '*']],
      ['b', ['app', 'web']],
    ],
  )
})

t.test('certificates', async (t) => {
  const at = Date.parse('2030-01-01T00:00:00Z')
  t.equal(expiryFault(undefined, at), undefined)
  t.equal(expiryFault('2030-02-01T00:00:00Z', at), undefined)
  t.same(expiryFault('2030-01-30T00:00:00Z', at), { expired: false, what: 'expires on 2030-01-30, in 29 days' })
  t.same(expiryFault(new Date('2030-01-02T00:00:00Z'), at), {
    expired: false,
    what: 'expires on 2030-01-02, in 1 day',
  })
  t.same(expiryFault('2029-12-31T00:00:00Z', at), { expired: true, what: 'has expired on 2029-12-31' })
})

const report: Report = {
  findings: [
    { check: 'hosts', level: 'problem', subject: 'db:5432', message: 'refused', remedy: 'start it' },
    { check: 'configuration', level: 'ok', subject: '', message: 'valid' },
    { check: 'users', level: 'warning', subject: 'user "a\nb"', message: 'odd' },
  ],
  users: [
    {
      level: 'warning',
      user: 'a\nb',
      place: 'db:5432',
      client: 'SCRAM',
      secret: 'md5 hash',
      server: 'SCRAM',
      verdict: 'odd',
    },
    { level: 'ok', user: 'c', place: 'db:5432', client: 'SCRAM', secret: 'password', server: 'md5', verdict: 'works' },
  ],
  moreUsers: 3,
}

t.test('the text of a report', async (t) => {
  t.equal(
    reportText(report),
    `Configuration
  ok       valid

Hosts
  PROBLEM  db:5432: refused
           -> start it

Users of auth_file
           user  at       pgbun asks for  auth_file has  PostgreSQL asks for  result
  warning  a b   db:5432  SCRAM           md5 hash       SCRAM                see below
  ok       c     db:5432  SCRAM           password       md5                  works
           and 3 more, which were not looked at
  warning  user "a b": odd

1 problem, 1 warning.
`,
  )
  t.notOk(isWell(report))
  const fine: Report = { findings: [], users: [], moreUsers: 0 }
  t.equal(reportText(fine), 'All is well.\n')
  t.match(reportText({ ...fine, findings: report.findings.slice(1) }), /\nNothing keeps clients out\. 1 warning\.\n$/)
})

t.test('the JSON of a report', async (t) => {
  const { findings, users } = report
  t.same(JSON.parse(reportJson(report, '1.2.3')), { version: '1.2.3', ok: false, findings, users, more_users: 3 })
})

t.test('so many at once, in the order of the items', async (t) => {
  let running = 0
  let most = 0
  const results = await eachAtOnce([5, 1, 3, 1], 2, async (ms) => {
    most = Math.max(most, ++running)
    await new Promise((resolve) => setTimeout(resolve, ms))
    running--
    return ms * 2
  })
  t.same(results, [10, 2, 6, 2])
  t.equal(most, 2)
})
