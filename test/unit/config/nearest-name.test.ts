/** What is suggested for an unknown name: what was meant, or nothing. */
import t from 'tap'
import { nearestNames } from '../../../lib/config/nearest-name.ts'
import { OPTION_NAMES } from '../../../lib/config/options.ts'
import { suggestOption } from '../../../lib/config/suggest-option.ts'

const near = (name: string) => nearestNames(name, OPTION_NAMES).join(' ')

t.test('typing mistakes', async (t) => {
  t.equal(near('listen_prot'), 'listen_port')
  t.equal(near('pool_sice'), 'pool_size')
  t.equal(near('POOL-MODE'), 'pool_mode')
  t.equal(near('poolmode'), 'pool_mode')
  t.equal(near('log_conections'), 'log_connections')
  t.equal(near('client_tls_cet_file'), 'client_tls_cert_file')
  t.equal(near('client_tls_key_fiel'), 'client_tls_key_file')
})

t.test('missing and abbreviated words', async (t) => {
  t.equal(near('port'), 'listen_port server_port')
  t.equal(near('host'), 'listen_host server_host')
  t.equal(near('connect_timeout'), 'server_connect_timeout')
  t.equal(near('max_client_connections'), 'max_client_conn')
  t.equal(near('max_clients_conn'), 'max_client_conn')
  t.equal(near('size_pool'), 'pool_size')
})

t.test('nothing where nothing is near', async (t) => {
  const unrelated = ['xyzzy', 'syslog_facility', 'so_reuseport', 'autodb_idle', 'sbuf_loopcnt', 'job_name']
  for (const name of unrelated) t.notMatch(near(name), /./, name)
  for (const name of ['max_db_connections', 'max_user_connections', 'max_foo_connections', 'max_connections']) {
    t.notMatch(near(name), /log_/, name)
  }
  t.equal(near('x'.repeat(1000)), '')
  t.equal(near(''), '')
})

t.test('in words', async (t) => {
  t.equal(suggestOption('port'), 'Did you mean listen_port or server_port?')
  t.equal(suggestOption('listen_addr'), "PgBouncer's listen_addr is listen_host here")
  t.equal(suggestOption('xyzzy'), '"pgbun config" lists all options')
})
