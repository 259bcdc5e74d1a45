/**
 * Keys, certificates and authorities: files in, something a handshake can use out. Called at start and at reload, never
 * on the data path (it reads files synchronously).
 *
 * `client` is the side where clients come in and we are the TLS server (client_tls_*); `server` is the side towards
 * PostgreSQL, where we are the TLS client (server_tls_*). The names follow PgBouncer's settings.
 *
 * What must hold: key, certificate and authorities are loaded as one set or not at all, so that a half-written renewal
 * never reaches a handshake; every error names the option and the path.
 */

import { constants, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContext, type SecureContextOptions, type SecureVersion } from 'node:tls'
import { tlsServerEndPoint } from '../auth/cert-hash.ts'
import { madeCertificate } from './made-certificate.ts'

export type TlsMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'

/** Which side of the pooler a context is for: the prefix of its option names. */
export type TlsSide = 'client' | 'server'

/** The options of one side, as they are in the configuration; '' is unset. */
export interface TlsSettings {
  /** `auto`, towards clients only: as `prefer`, without a certificate with one that is made for it. */
  mode: TlsMode | 'auto'
  keyFile: string
  certFile: string
  caFile: string
  /** "secure", "all", or a list such as "tlsv1.2,tlsv1.3". */
  protocols: string
  /** "default", or an OpenSSL cipher list. */
  ciphers: string
}

/** Our own certificate, the first of the certificate file. */
export interface LeafCertificate {
  der: Buffer
  /** Its tls-server-end-point (RFC 5929), once for all logins; undefined where none is defined for it. */
  endPointHash: Buffer | undefined
  subject: string
  notAfter: Date
}

/** One loaded set. Connections keep the one they started with; a reload makes a new one. */
export interface TlsContext {
  readonly side: TlsSide
  readonly mode: TlsMode
  readonly secureContext: SecureContext
  /** What the secure context was made of, for a tls.Server, which insists on making its own. */
  readonly secureOptions: SecureContextOptions
  /** undefined where no certificate is configured, which only the server side may leave out. */
  readonly leaf: LeafCertificate | undefined
  /** The certificate is not the operator's, but made here: it is of use only where somebody could listen. */
  readonly made: boolean
}

/** A configuration that TLS cannot work with. The message names the option, the path and what is wrong. */
export class TlsConfigError extends Error {
  /** Name of the option at fault, as in the configuration file. */
  readonly option: string
  constructor(option: string, message: string) {
    super(message)
    this.name = 'TlsConfigError'
    this.option = option
  }
}

/**
 * The current TLS set of one side. `current` is undefined where the mode is disable.
 * @throws TlsConfigError where the first set does not load
 */
export class TlsStore {
  readonly side: TlsSide
  #current: TlsContext | undefined
  #fingerprint: string
  #settings: TlsSettings

  constructor(side: TlsSide, settings: TlsSettings) {
    this.side = side
    this.#settings = settings
    const files = readFiles(side, settings)
    this.#current = makeContext(side, settings, files)
    this.#fingerprint = fingerprintOf(settings, files)
  }

  /** The set for new handshakes. */
  get current(): TlsContext | undefined {
    return this.#current
  }

  /**
   * Read the files anew, with other settings where given. Answers whether anything changed; where nothing did, the
   * context stays the same object, so that sessions and pools that compare it are left alone.
   * @throws TlsConfigError where the new set does not load; the last good one stays in use
   */
  reload(settings: TlsSettings = this.#settings): boolean {
    return this.prepare(settings)()
  }

  /**
   * The first half of a reload: load the new set, for a caller who has other things that may fail, too. The function
   * returned puts it to use, cannot fail, and answers as reload does.
   * @throws TlsConfigError where the new set does not load
   */
  prepare(settings: TlsSettings = this.#settings): () => boolean {
    const files = readFiles(this.side, settings)
    const fingerprint = fingerprintOf(settings, files)
    if (fingerprint === this.#fingerprint) return () => false
    const next = makeContext(this.side, settings, files)
    return () => {
      this.#current = next
      this.#fingerprint = fingerprint
      this.#settings = settings
      return true
    }
  }
}

/**
 * Load one set.
 * @returns undefined where the mode is disable
 * @throws TlsConfigError
 */
export function loadTlsContext(side: TlsSide, settings: TlsSettings): TlsContext | undefined {
  return makeContext(side, settings, readFiles(side, settings))
}

interface Files {
  key: string
  cert: string
  ca: string
  made: boolean
}

/** The contents themselves: they are small, and comparing them needs no trust in time stamps. */
function fingerprintOf(settings: TlsSettings, files: Files): string {
  return JSON.stringify([settings, files])
}

function readFiles(side: TlsSide, settings: TlsSettings): Files {
  if (settings.mode === 'disable') return { key: '', cert: '', ca: '', made: false }
  if (settings.mode === 'auto' && settings.keyFile === '' && settings.certFile === '') {
    return { ...madeCertificate(), ca: '', made: true }
  }
  return {
    made: false,
    key: read(`${side}_tls_key_file`, settings.keyFile),
    cert: read(`${side}_tls_cert_file`, settings.certFile),
    ca: read(`${side}_tls_ca_file`, settings.caFile),
  }
}

function makeContext(side: TlsSide, settings: TlsSettings, files: Files): TlsContext | undefined {
  if (settings.mode === 'disable') return undefined
  const mode = settings.mode === 'auto' ? 'prefer' : settings.mode
  if (!files.made) checkCompleteness(side, settings)
  const options: SecureContextOptions = {
    ...protocolRange(`${side}_tls_protocols`, settings.protocols),
    // Without it, a client that resumes a session while certificates are asked for is refused by OpenSSL.
    ...(side === 'client' ? { sessionIdContext: 'pgbun' } : {}),
  }
  if (files.ca !== '') options.ca = authorities(`${side}_tls_ca_file`, settings.caFile, files.ca)
  const leaf = files.cert === '' ? undefined : ownCertificate(side, settings, files, options)
  if (settings.ciphers !== '' && settings.ciphers !== 'default') {
    const option = `${side}_tls_ciphers`
    options.ciphers = settings.ciphers
    tryContext({ ciphers: settings.ciphers }, option, `${option} '${settings.ciphers}' names no usable cipher`)
  }
  const where = `${side}_tls_cert_file '${settings.certFile}'`
  const secureContext = tryContext(options, `${side}_tls_mode`, `cannot set up TLS with ${where}`)
  return { side, mode, secureContext, secureOptions: options, leaf, made: files.made }
}

function checkCompleteness(side: TlsSide, { mode, keyFile, certFile, caFile }: TlsSettings): void {
  const verifies = mode === 'verify-ca' || mode === 'verify-full'
  if (side === 'client' && keyFile === '' && certFile === '') {
    throw new TlsConfigError(
      'client_tls_mode',
      'TLS mode is enabled, but key/cert files are not configured: ' +
        `client_tls_mode = ${mode} needs client_tls_key_file and client_tls_cert_file`,
    )
  }
  if (keyFile === '' && certFile !== '') {
    throw new TlsConfigError(
      `${side}_tls_key_file`,
      `${side}_tls_cert_file is set, but ${side}_tls_key_file is not: a certificate is of no use without its key`,
    )
  }
  if (certFile === '' && keyFile !== '') {
    throw new TlsConfigError(
      `${side}_tls_cert_file`,
      `${side}_tls_key_file is set, but ${side}_tls_cert_file is not: a key is of no use without its certificate`,
    )
  }
  if (caFile !== '' || !verifies) return
  if (side === 'client') {
    throw new TlsConfigError(
      'client_tls_ca_file',
      `client_tls_mode = ${mode} checks client certificates: set client_tls_ca_file to the authority that signs them`,
    )
  }
  // Any public authority would do for verify-ca then, and anyone can get a certificate from one (libpq refuses it too).
  if (mode === 'verify-ca') {
    throw new TlsConfigError(
      'server_tls_ca_file',
      'server_tls_mode = verify-ca needs server_tls_ca_file: without one, a certificate of any public authority ' +
        'would be accepted (verify-full works with the public authorities)',
    )
  }
}

function ownCertificate(
  side: TlsSide,
  { certFile, keyFile }: TlsSettings,
  files: Files,
  options: SecureContextOptions,
): LeafCertificate {
  const certOption = `${side}_tls_cert_file`
  const keyOption = `${side}_tls_key_file`
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(files.cert)
  } catch {
    throw new TlsConfigError(certOption, `${certOption} '${certFile}' holds no certificate in PEM format`)
  }
  let key: KeyObject
  try {
    key = createPrivateKey(files.key)
  } catch {
    const what = /ENCRYPTED/.test(files.key)
      ? 'is protected with a passphrase, which pgbun cannot ask for: remove it (openssl pkey -in FILE -out FILE)'
      : 'holds no private key in PEM format'
    throw new TlsConfigError(keyOption, `${keyOption} '${keyFile}' ${what}`)
  }
  if (!certificate.checkPrivateKey(key)) {
    throw new TlsConfigError(
      keyOption,
      `${keyOption} '${keyFile}' is not the key of the certificate in ${certOption} '${certFile}' ` +
        '(the server certificate must be the first one of its file, before those of intermediate authorities)',
    )
  }
  options.cert = files.cert
  options.key = files.key
  const { raw: der, subject, validTo } = certificate
  return { der, endPointHash: tlsServerEndPoint(der), subject, notAfter: new Date(validTo) }
}

/** The certificates of a bundle, one by one: Node takes junk in a bundle for an empty one without a word. */
function authorities(option: string, path: string, text: string): string[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g)
  if (!blocks) throw new TlsConfigError(option, `${option} '${path}' holds no certificate in PEM format`)
  for (const [index, block] of blocks.entries()) {
    try {
      new X509Certificate(block)
    } catch {
      throw new TlsConfigError(option, `${option} '${path}': certificate ${index + 1} of ${blocks.length} is not valid`)
    }
  }
  return blocks
}

const VERSIONS: readonly { name: string; version: SecureVersion; off: number }[] = [
  { name: 'tlsv1.0', version: 'TLSv1', off: constants.SSL_OP_NO_TLSv1 },
  { name: 'tlsv1.1', version: 'TLSv1.1', off: constants.SSL_OP_NO_TLSv1_1 },
  { name: 'tlsv1.2', version: 'TLSv1.2', off: constants.SSL_OP_NO_TLSv1_2 },
  { name: 'tlsv1.3', version: 'TLSv1.3', off: constants.SSL_OP_NO_TLSv1_3 },
]

/** PgBouncer's client_tls_protocols: "secure" (1.2 and 1.3), "all" or "legacy" (from 1.0 on), or a list. */
function protocolRange(option: string, text: string): SecureContextOptions {
  const wanted = new Set<string>()
  for (const part of text.toLowerCase().split(/[\s,:]+/)) {
    if (part === '' || part === 'secure' || part === 'default') continue
    if (part === 'all' || part === 'legacy') for (const { name } of VERSIONS) wanted.add(name)
    else if (part === 'tlsv1') wanted.add('tlsv1.0')
    else if (VERSIONS.some(({ name }) => name === part)) wanted.add(part)
    else {
      const known = VERSIONS.map(({ name }) => name).join(', ')
      throw new TlsConfigError(option, `Invalid ${option} '${part}'. Must be secure, all, or a list of: ${known}`)
    }
  }
  if (/secure|default/i.test(text) || wanted.size === 0) wanted.add('tlsv1.2').add('tlsv1.3')
  const inside = VERSIONS.filter(({ name }) => wanted.has(name))
  const first = VERSIONS.indexOf(inside[0]!)
  const last = VERSIONS.indexOf(inside.at(-1)!)
  let gaps = 0
  for (const entry of VERSIONS.slice(first, last)) if (!wanted.has(entry.name)) gaps |= entry.off
  // A handshake costs us ten times what it costs its client: one for each connection (as PostgreSQL).
  const secureOptions = gaps | constants.SSL_OP_NO_RENEGOTIATION
  return { minVersion: inside[0]!.version, maxVersion: inside.at(-1)!.version, secureOptions }
}

function tryContext(options: SecureContextOptions, option: string, problem: string): SecureContext {
  try {
    return createSecureContext(options)
  } catch (error) {
    throw new TlsConfigError(option, `${problem}: ${(error as Error).message}`)
  }
}

const READ_PROBLEMS: Record<string, string> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied (the user pgbun runs as must be able to read it)',
  EISDIR: 'it is a directory',
}

function read(option: string, path: string): string {
  if (path === '') return ''
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException
    throw new TlsConfigError(option, `cannot read ${option} '${path}': ${READ_PROBLEMS[code] ?? message}`)
  }
}
