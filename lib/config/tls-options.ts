/** The rows of the option table about TLS: options.ts puts them into it. */

import { choice, file, text } from './types.ts'

const TLS_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
const TLS_PROTOCOLS = { pattern: /^(secure|all|tlsv1\.[0-3](\s*,\s*tlsv1\.[0-3])*)$/i } as const
const EXPECTS_PROTOCOLS = 'secure, all, or a list such as "tlsv1.2,tlsv1.3"'

const AUTO =
  'TLS towards clients; auto means prefer, and without a certificate prefer for clients of other machines with one made at the start.'

/** The section `tls`. */
export const TLS_ROWS = {
  client_tls_mode: choice([...TLS_MODES, 'auto'], 'auto', AUTO, {
    scope: 'client',
    pgbouncer: 'client_tls_sslmode',
  }),
  client_tls_key_file: file('Private key shown to clients (PEM).', { scope: 'client', pgbouncer: '=' }),
  client_tls_cert_file: file('Certificate chain shown to clients (PEM).', { scope: 'client', pgbouncer: '=' }),
  client_tls_ca_file: file('Authorities that may sign client certificates (PEM).', { scope: 'client', pgbouncer: '=' }),
  client_tls_protocols: text('secure', 'TLS versions towards clients; secure means 1.2 and 1.3.', {
    ...TLS_PROTOCOLS,
    expects: EXPECTS_PROTOCOLS,
    scope: 'client',
    pgbouncer: '=',
  }),
  client_tls_ciphers: text('default', 'Cipher suites towards clients, in OpenSSL notation.', {
    scope: 'client',
    pgbouncer: '=',
  }),
  server_tls_mode: choice(TLS_MODES, 'prefer', 'TLS towards PostgreSQL.', {
    scope: 'server',
    pgbouncer: 'server_tls_sslmode',
  }),
  server_tls_key_file: file('Private key shown to PostgreSQL (PEM).', { scope: 'server', pgbouncer: '=' }),
  server_tls_cert_file: file('Certificate shown to PostgreSQL (PEM).', { scope: 'server', pgbouncer: '=' }),
  server_tls_ca_file: file("Authorities that may sign PostgreSQL's certificate (PEM).", {
    scope: 'server',
    pgbouncer: '=',
  }),
  server_tls_negotiation: choice(
    ['postgres', 'direct'],
    'postgres',
    'postgres asks PostgreSQL before TLS begins, direct begins at once (PostgreSQL 17 and later).',
    { scope: 'server' },
  ),
  server_tls_protocols: text('secure', 'TLS versions towards PostgreSQL; secure means 1.2 and 1.3.', {
    ...TLS_PROTOCOLS,
    expects: EXPECTS_PROTOCOLS,
    scope: 'server',
    pgbouncer: '=',
  }),
  server_tls_ciphers: text('default', 'Cipher suites towards PostgreSQL, in OpenSSL notation.', {
    scope: 'server',
    pgbouncer: '=',
  }),
} as const
