/** The one argument that names the server, in all its forms, and what it may not contain. */
import t from 'tap'
import { ConfigError } from '../../../lib/config/raw-value.ts'
import { parseServerArgument } from '../../../lib/config/server-url.ts'

const values = (text: string) => Object.fromEntries(parseServerArgument(text).map(({ name, value }) => [name, value]))

t.test('forms of the server argument', async (t) => {
  const forms: [string, Record<string, string>][] = [
    ['db.example.com', { server_host: 'db.example.com' }],
    ['db.example.com:5433', { server_host: 'db.example.com', server_port: '5433' }],
    [':5433', { server_port: '5433' }],
    ['[::1]:5433', { server_host: '::1', server_port: '5433' }],
    ['[::1]', { server_host: '::1' }],
    ['::1', { server_host: '::1' }],
    ['fe80::1%eth0', { server_host: 'fe80::1%eth0' }],
    ['postgres://[fe80::1%25eth0]', { server_host: 'fe80::1%eth0' }],
    ['2001:db8:0:0:0:0:0:1', { server_host: '2001:db8:0:0:0:0:0:1' }],
    ['/var/run/postgresql', { server_host: '/var/run/postgresql' }],
    ['/var/run/postgresql/.s.PGSQL.5433', { server_host: '/var/run/postgresql', server_port: '5433' }],
    ['@pg', { server_host: '@pg' }],
    ['postgres://db', { server_host: 'db' }],
    ['db1,db2:5433', { server_host: 'db1,db2:5433' }],
    [
      'postgres://db1:1,[::1]:2,db3/?target_session_attrs=primary',
      { server_host: 'db1:1,[::1]:2,db3', target_session_attrs: 'primary' },
    ],
    ['postgresql://db:5433', { server_host: 'db', server_port: '5433' }],
    ['POSTGRES://db:5433/', { server_host: 'db', server_port: '5433' }],
    ['postgres://[::1]:5433', { server_host: '::1', server_port: '5433' }],
    ['postgres://%2Frun%2Fpg:5433', { server_host: '/run/pg', server_port: '5433' }],
    ['postgres:///?host=/run/pg&port=5433', { server_host: '/run/pg', server_port: '5433' }],
    [
      'postgres://db?sslmode=verify-full&sslrootcert=/ca.pem&sslnegotiation=direct&sslcert=c&sslkey=k',
      {
        server_host: 'db',
        server_tls_mode: 'verify-full',
        server_tls_ca_file: '/ca.pem',
        server_tls_negotiation: 'direct',
        server_tls_cert_file: 'c',
        server_tls_key_file: 'k',
      },
    ],
  ]
  for (const [text, expected] of forms) t.strictSame(values(text), expected, text)
})

t.test('mistakes name the remedy and never repeat a password', async (t) => {
  const mistakes: [string, RegExp][] = [
    ['postgres://app:hunter2@db:5432', /user name or password\. pgbun forwards each client's own/],
    ['postgres://app@db', /user name or password/],
    ['app:hunter2@db:5432', /user name or password/],
    ['app:hunter2@db:5432/hunter2', /user name or password/],
    ['postgres://db/hunter2', /database name\. .*only the host and port/],
    ['db:5432/hunter2', /database name/],
    ['postgres://db?password=hunter2', /Contains password\./],
    ['postgres://db?user=hunter2', /Contains user\./],
    ['postgres://db?dbname=hunter2', /Contains dbname\./],
    ['postgres://db?hunter2!=1', /unknown parameter\. Known: host, port, target_session_attrs, sslmode/],
    ['postgres://db?connect_timeout=3', /unknown parameter connect_timeout/],
    ['postgres://db?__proto__=3', /unknown parameter/],
    ['mysql://db:hunter2', /begins with postgres:\/\//],
    ['postgres://a,,b', /without a host in a list of several/],
    ['a:1,b:hunter2', /Is not host, host:port/],
    ['a:b:c', /Is not host, host:port/],
    ['db:hunter2', /Is not host, host:port/],
    ['[::1', /Is not host, host:port/],
    ['postgres://%zz', /two hexadecimal digits/],
    ['postgres://', /Names no server/],
    ['', /Names no server/],
  ]
  for (const [text, expected] of mistakes) {
    const error = t.throws(() => parseServerArgument(text)) as unknown
    t.ok(error instanceof ConfigError, text)
    t.match((error as Error).message, expected, text)
    t.notMatch((error as Error).message, 'hunter2', text)
  }
})
