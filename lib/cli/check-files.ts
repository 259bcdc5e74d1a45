/**
 * What `--dry-run` checks beyond the values: that the files a start would load have the right content. Reads files,
 * opens no socket.
 */
import { readFileSync } from 'node:fs'
import type { Config } from '../config/options.ts'
import { ConfigError, type Problem } from '../config/raw-value.ts'
import { parseUserlist } from '../config/userlist.ts'
import { clientTlsSettings, serverTlsSettings } from '../daemon/tls-settings.ts'
import { loadTlsContext } from '../net/tls-context.ts'
import { unixSocketPath } from '../net/unix-path.ts'
import { checkLogFile } from './log-file.ts'

/** Throws ConfigError with every file of `config` that a start would refuse. */
export function checkFiles(config: Config): void {
  const problems: Problem[] = []
  const attempt = (check: () => unknown): void => {
    try {
      check()
    } catch (error) {
      for (const message of (error as Error).message.split('\n')) problems.push({ where: '', message })
    }
  }
  const { authFile, logFile, unixSocketDir, listenPort } = config
  attempt(() => loadTlsContext('client', clientTlsSettings(config)))
  attempt(() => loadTlsContext('server', serverTlsSettings(config)))
  if (authFile !== '') attempt(() => parseUserlist(readFileSync(authFile, 'utf8'), authFile))
  if (logFile !== '') attempt(() => checkLogFile(logFile))
  if (unixSocketDir !== '') attempt(() => unixSocketPath(unixSocketDir, listenPort, 'unix_socket_dir'))
  if (problems.length > 0) throw new ConfigError(problems)
}
