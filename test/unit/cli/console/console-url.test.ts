/** What may be written for the address of a console, and the words for what may not. */
import t from 'tap'
import { type ConsoleUrlError, pairHosts, parseConsoleUrl } from '../../../../lib/cli/console/console-url.ts'

t.test('the parts of a URL', async (t) => {
  const urls: [string, object][] = [
    ['postgres://db', { host: 'db' }],
    ['postgresql://', {}],
    ['POSTGRES://boss@db:6433/pgbun', { user: 'boss', host: 'db', port: '6433', dbname: 'pgbun' }],
    ['postgres://b%40ss:p%3A%2F%25@db', { user: 'b@ss', password: 'p:/%', host: 'db' }],
    ['postgres://boss:a:b@db', { user: 'boss', password: 'a:b', host: 'db' }],
    ['postgres://[::1]:6433', { host: '::1', port: '6433' }],
    ['postgres://a,b:6433', { host: 'a,b', port: ',6433' }],
    ['postgres://%2Frun%2Fpgbun', { host: '/run/pgbun' }],
    ['postgres:///pgbouncer?host=/run/pgbun&port=6433', { dbname: 'pgbouncer', host: '/run/pgbun', port: '6433' }],
    [
      'postgres://db?sslmode=verify-full&sslrootcert=%2Fca%20x.pem&user=u',
      { host: 'db', sslmode: 'verify-full', sslrootcert: '/ca x.pem', user: 'u' },
    ],
    ['db.example.com', { host: 'db.example.com' }],
    ['db:6433/pgbun', { host: 'db', port: '6433', dbname: 'pgbun' }],
    [':6433', { port: '6433' }],
    ['::1', { host: '::1' }],
    ['/run/pgbun', { host: '/run/pgbun' }],
    ['/run/pgbun/.s.PGSQL.6433', { host: '/run/pgbun', port: '6433' }],
    ['@name', { host: '@name' }],
  ]
  for (const [url, parts] of urls) t.strictSame(parseConsoleUrl(url), parts, url)
})

t.test('what is no URL, and never its text', async (t) => {
  const mistakes: [string, RegExp][] = [
    ['', /is empty\. Write postgres:/],
    ['mysql://hunter2@db', /no URL of PostgreSQL/],
    ['boss:hunter2@db', /neither a URL nor an address/],
    ['postgres://boss:hunter2%@db', /a % that is not followed by two hexadecimal digits/],
    ['postgres://boss@db:hunter2', /does not name a host and its port/],
    ['postgres://db?hunter2%20x=1', /has an unknown parameter\. Known are host, port, user/],
    ['postgres://db?sslmod=require', /unknown parameter 'sslmod'/],
    ['db:1:2', /does not name a host and its port/],
  ]
  for (const [url, message] of mistakes) {
    t.throws(() => parseConsoleUrl(url), { name: 'ConsoleUrlError', message }, url)
    try {
      parseConsoleUrl(url)
    } catch (error) {
      t.notMatch((error as ConsoleUrlError).message, 'hunter2')
    }
  }
})

t.test('hosts with their ports', async (t) => {
  t.strictSame(pairHosts('', ''), [{ host: 'localhost', port: 6432 }])
  t.strictSame(pairHosts('a,b', '1'), [
    { host: 'a', port: 1 },
    { host: 'b', port: 1 },
  ])
  t.strictSame(pairHosts('/run/x,[::1]', ',2'), [
    { host: '/run/x', port: 6432 },
    { host: '::1', port: 2 },
  ])
  for (const [host, port, message] of [
    ['a', '0', /a port that is not 1 to 65535/],
    ['a', '65536', /a port that is not 1 to 65535/],
    ['a', 'x', /a port that is not 1 to 65535/],
    ['a,b', '1,2,3', /2 hosts and 3 ports/],
    ['a:5', '1', /does not name a host/],
    ['a b', '1', /does not name a host/],
  ] as const) {
    t.throws(() => pairHosts(host, port), { name: 'ConsoleUrlError', message }, `${host} ${port}`)
  }
})
