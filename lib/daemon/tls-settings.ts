/** The TLS options of one side of a configuration. */

import type { Config } from '../config/options.ts'
import type { TlsSettings } from '../net/tls-context.ts'

/** Towards clients: `client_tls_*`. */
export function clientTlsSettings(config: Config): TlsSettings {
  return {
    mode: config.clientTlsMode,
    keyFile: config.clientTlsKeyFile,
    certFile: config.clientTlsCertFile,
    caFile: config.clientTlsCaFile,
    protocols: config.clientTlsProtocols,
    ciphers: config.clientTlsCiphers,
  }
}

/** Towards PostgreSQL: `server_tls_*`. */
export function serverTlsSettings(config: Config): TlsSettings {
  return {
    mode: config.serverTlsMode,
    keyFile: config.serverTlsKeyFile,
    certFile: config.serverTlsCertFile,
    caFile: config.serverTlsCaFile,
    protocols: config.serverTlsProtocols,
    ciphers: config.serverTlsCiphers,
  }
}
