/** Combinations of TLS options that cannot work. */

import type { Findings } from './findings.ts'
import type { Config } from './options.ts'

/** A certificate and its key: both or neither. */
export function checkPair(config: Config, side: 'client' | 'server', why: string, { problem }: Findings): void {
  const names = [`${side}_tls_key_file`, `${side}_tls_cert_file`] as const
  const [key, cert] = [config[`${side}TlsKeyFile`], config[`${side}TlsCertFile`]]
  if ((key === '') === (cert === '')) return
  const [given, missing] = key === '' ? [names[1], names[0]] : names
  problem(given, `${given} is set, but ${missing} is not. ${why}`)
}

/** What counts towards PostgreSQL, of all databases or of one. */
export function checkServerTls(config: Config, findings: Findings): void {
  checkPair(config, 'server', 'A client certificate needs both', findings)
  if (
    config.serverTlsNegotiation === 'direct' &&
    !['require', 'verify-ca', 'verify-full'].includes(config.serverTlsMode)
  ) {
    findings.problem(
      'server_tls_negotiation',
      `server_tls_negotiation direct cannot fall back to plain connections. Set server_tls_mode to require, verify-ca or verify-full, not ${config.serverTlsMode}`,
    )
  }
}
