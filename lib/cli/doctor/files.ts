/** Files that the configuration names, and passwords that have to be fetched. Certificates are loaded as for a start. */

import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Config } from '../../config/options.ts'
import { parseUserlist, type Secret } from '../../config/userlist.ts'
import type { ServerPasswords } from '../../daemon/server-passwords.ts'
import { ServerTlsStores } from '../../daemon/server-tls.ts'
import { clientTlsSettings, serverTlsSettings } from '../../daemon/tls-settings.ts'
import { loadTlsContext, type TlsSettings, type TlsSide } from '../../net/tls-context.ts'
import { hasOwnTls } from '../../routing/routes.ts'
import type { LoginError } from '../../server/login.ts'
import { systemErrorText } from '../../util/system-error.ts'
import { expiryFault } from './expiry.ts'
import { Findings } from './finding.ts'
import type { Place } from './places.ts'

/** What the files hold. */
export interface FileContents {
  /** Of auth_file; undefined where there is none. */
  secrets: ReadonlyMap<string, Secret> | undefined
  /** Undefined where a start would refuse them. */
  tls: ServerTlsStores | undefined
  findings: Findings
}

/** Read all of them. Never throws. */
export function checkContents(config: Config): FileContents {
  const findings = new Findings('files')
  checkCertificates('client', clientTlsSettings(config), '', findings)
  checkCertificates('server', serverTlsSettings(config), '', findings)
  for (const [name, values] of config.databases) {
    if (!hasOwnTls(values)) continue
    const effective: Config = { ...config, ...(values as Partial<Config>) }
    checkCertificates('server', serverTlsSettings(effective), `databases.${name}: `, findings)
  }
  return { secrets: readSecrets(config, findings), tls: storesOf(config), findings }
}

function storesOf(config: Config): ServerTlsStores | undefined {
  try {
    return new ServerTlsStores(config)
  } catch {
    // It has been reported as what it is.
    return undefined
  }
}

/** @param whose what the option's name is preceded by */
function checkCertificates(side: TlsSide, settings: TlsSettings, whose: string, findings: Findings): void {
  const { mode, certFile, caFile } = settings
  if (mode === 'disable') return
  const subject = `${whose}${side}_tls_cert_file`
  try {
    const leaf = loadTlsContext(side, settings)?.leaf
    if (certFile !== '' && leaf) {
      const fault = expiryFault(leaf.notAfter)
      const remedy = fault && `renew ${certFile}`
      const good = `fits its key, and is valid until ${leaf.notAfter.toISOString().slice(0, 10)}`
      findings.add(fault ? (fault.expired ? 'problem' : 'warning') : 'ok', subject, fault?.what ?? good, remedy)
    }
  } catch (error) {
    findings.add('problem', `${whose}${side}_tls`, (error as Error).message, 'correct the file, or the option')
    return
  }
  if (caFile !== '') checkAuthorities(`${whose}${side}_tls_ca_file`, caFile, findings)
}

/** Which authorities are not trusted any more; the file has been loaded once, so that it can be read. */
function checkAuthorities(subject: string, path: string, findings: Findings): void {
  const blocks = readFileSync(path, 'utf8').match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  const faults = blocks.map((block) => expiryFault(new X509Certificate(block).validTo))
  const bad = faults.filter((fault) => fault !== undefined)
  if (bad.length === 0) {
    findings.add('ok', subject, `${blocks.length} ${blocks.length === 1 ? 'certificate' : 'certificates'}, all valid`)
    return
  }
  const allExpired = faults.every((fault) => fault?.expired)
  const message = `${bad.length} of ${blocks.length} certificates: ${bad[0]!.what}`
  findings.add(allExpired ? 'problem' : 'warning', subject, message, `renew the certificates in ${path}`)
}

function readSecrets({ authFile, authType }: Config, findings: Findings): Map<string, Secret> | undefined {
  if (authFile === '' || authType === 'passthrough') return undefined
  try {
    const secrets = parseUserlist(readFileSync(authFile, 'utf8'), authFile)
    const { size } = secrets
    if (size > 0) findings.add('ok', 'auth_file', `${size} ${size === 1 ? 'user' : 'users'}`)
    else findings.add('warning', 'auth_file', 'has no users: nobody can log in', 'add lines "user" "password"')
    return secrets
  } catch (error) {
    const why = 'code' in (error as Error) ? systemErrorText(error) : (error as Error).message
    for (const line of why.split('\n')) findings.add('problem', 'auth_file', line, 'correct the file')
    return undefined
  }
}

/** Whether the passwords of the users of databases can be had, where they have to be fetched. */
export async function checkPassword(
  passwords: ServerPasswords,
  { label, target: { user } }: Place,
  timeoutMs: number,
): Promise<Findings> {
  const findings = new Findings('files')
  if (user === undefined) return findings
  const { kind } = user.password
  if (kind !== 'file' && kind !== 'command') return findings
  try {
    const { kind: found } = await passwords.credentials(user, timeoutMs)
    if (found === 'none') {
      const remedy = 'write the password into the first line of the file'
      findings.add('warning', label, `the password_${kind} gives an empty password for user "${user.name}"`, remedy)
    } else findings.add('ok', label, `password_${kind} gives a password for user "${user.name}"`)
  } catch (error) {
    const { message, remedy } = error as LoginError
    findings.add('problem', label, message, remedy)
  }
  return findings
}
