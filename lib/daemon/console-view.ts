/** Reads what the console shows besides a snapshot. */

import { X509Certificate } from 'node:crypto'
import type { CertificateView, OptionView, PreparedView } from '../admin/view.ts'
import { formatValue } from '../config/convert.ts'
import type { ResolvedConfig } from '../config/load.ts'
import { type Config, OPTION_NAMES, type OptionName, type OptionValues, optionRow } from '../config/options.ts'
import { type Source, sourceText } from '../config/raw-value.ts'
import { camelCase, type OptionValue } from '../config/types.ts'
import type { TlsStore } from '../net/tls-context.ts'
import { textOf } from '../statements/shared-statements.ts'
import type { StatementStores } from '../statements/statement-stores.ts'

/** So much of a text is shown. */
const TEXT_LIMIT = 10_000

/**
 * Options by name; those that PgBouncer calls something else are there under both names.
 * @param sources where values come from; without it they are a program's
 */
export function viewOptions(config: Config, sources?: ResolvedConfig['sources']): OptionView[] {
  const views = OPTION_NAMES.flatMap((name) => {
    const { pgbouncer } = optionRow(name)
    const names = pgbouncer === undefined || pgbouncer === '=' ? [name] : [name, pgbouncer]
    return names.map((shown) => viewOption(config, name, shown, sources?.[name]))
  })
  return views.sort((a, b) => (a.name < b.name ? -1 : 1))
}

function viewOption(config: Config, name: OptionName, shown: string, source?: Source): OptionView {
  const row = optionRow(name)
  const plain = (value: OptionValue): string => {
    const written = formatValue(row, value)
    return written.startsWith('"') ? String(JSON.parse(written)) : written
  }
  const value = plain(config[camelCase(name) as keyof OptionValues])
  const usual = plain(row.default)
  return {
    ...{ name: shown, value, default: usual },
    source: source === undefined ? (value === usual ? 'default' : 'library') : sourceText(source),
    changeable: row.reload,
  }
}

/** Texts that clients have prepared under names, and may share. */
export function viewPrepared(stores: StatementStores): PreparedView[] {
  return Array.from(stores.all(), ({ database, entry }) => ({
    database,
    text: textOf(entry.body).slice(0, TEXT_LIMIT),
    users: entry.names,
    bytes: entry.bytes,
  }))
}

/** The certificates of `stores`. */
export function viewCertificates(stores: Iterable<readonly [TlsStore, string]>): CertificateView[] {
  const views: CertificateView[] = []
  for (const [{ side, current }, file] of stores) {
    if (current?.leaf === undefined) continue
    const certificate = new X509Certificate(current.leaf.der)
    views.push({
      // Named by the options: client_tls_* is shown to clients.
      side,
      file: current.made ? '(made for this run)' : file,
      subject: oneLine(certificate.subject),
      issuer: oneLine(certificate.issuer),
      notBefore: Date.parse(certificate.validFrom),
      notAfter: Date.parse(certificate.validTo),
      fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    })
  }
  return views
}

/** Node writes the parts of a name one below the other; a certificate may have none. */
function oneLine(name: string | undefined): string {
  return (name ?? '').split('\n').join(', ')
}

/** Memory of the process by what the runtime says of it, and of prepared statements. */
export function viewMemory(stores: StatementStores): { name: string; bytes: number }[] {
  const { rss, heapTotal, heapUsed, external, arrayBuffers } = process.memoryUsage()
  return [
    { name: 'resident', bytes: rss },
    { name: 'heap', bytes: heapTotal },
    { name: 'heap_used', bytes: heapUsed },
    { name: 'external', bytes: external },
    { name: 'buffers', bytes: arrayBuffers },
    { name: 'prepared_statements', bytes: stores.bytes },
  ]
}
