import { constants, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadTlsContext, TlsConfigError, type TlsSettings, TlsStore } from '../../../lib/net/tls-context.ts'
import { makeCertificates, writeCertificates } from '../../fixtures/certificates.ts'

const set = makeCertificates()
const directory = t.testdir()
const files = writeCertificates(directory, set)

const SETTINGS: TlsSettings = {
  mode: 'require',
  keyFile: files.server.key,
  certFile: files.server.cert,
  caFile: '',
  protocols: 'secure',
  ciphers: 'default',
}

function problem(side: 'client' | 'server', changes: Partial<TlsSettings>): { option: string; message: string } {
  try {
    loadTlsContext(side, { ...SETTINGS, ...changes })
  } catch (error) {
    if (error instanceof TlsConfigError) return { option: error.option, message: error.message }
    throw error
  }
  throw new Error('it loaded')
}

function file(name: string, content: string): string {
  const path = join(directory, name)
  writeFileSync(path, content)
  return path
}

t.test('disable loads nothing, not even files that are not there', async (t) => {
  t.equal(loadTlsContext('client', { ...SETTINGS, mode: 'disable', certFile: '/none' }), undefined)
})

t.test('our own certificate', async (t) => {
  const { leaf, mode, side } = loadTlsContext('client', SETTINGS)!
  t.strictSame(leaf?.der, set.server.der)
  t.equal(leaf?.subject, 'CN=localhost')
  t.equal(leaf?.notAfter.getTime(), Date.parse(new X509Certificate(set.server.certificate).validTo))
  t.strictSame([side, mode], ['client', 'require'])
})

t.test('a chain begins with our own certificate', async (t) => {
  const certFile = file('chain.crt', set.server.certificate + set.ca.certificate)
  t.strictSame(loadTlsContext('client', { ...SETTINGS, certFile })?.leaf?.der, set.server.der)
  const reversed = file('reversed.crt', set.ca.certificate + set.server.certificate)
  const { option, message } = problem('client', { certFile: reversed })
  t.equal(option, 'client_tls_key_file')
  t.match(message, `client_tls_key_file '${files.server.key}' is not the key of the certificate`)
  t.match(message, /must be the first one/)
})

t.test('towards servers, nothing but the mode is needed', async (t) => {
  for (const mode of ['allow', 'prefer', 'require', 'verify-full'] as const) {
    const context = loadTlsContext('server', { ...SETTINGS, mode, keyFile: '', certFile: '' })
    t.equal(context?.leaf, undefined)
  }
})

t.test('what is missing is named', async (t) => {
  t.match(problem('client', { keyFile: '', certFile: '' }), {
    option: 'client_tls_mode',
    message: /^TLS mode is enabled, but key\/cert files are not configured/,
  })
  t.match(problem('client', { keyFile: '' }), { option: 'client_tls_key_file', message: /client_tls_key_file is not/ })
  t.match(problem('server', { certFile: '' }), {
    option: 'server_tls_cert_file',
    message: /server_tls_cert_file is not/,
  })
  for (const mode of ['verify-ca', 'verify-full'] as const) {
    t.match(problem('client', { mode }), { option: 'client_tls_ca_file', message: /set client_tls_ca_file/ })
  }
  t.match(problem('server', { mode: 'verify-ca' }), {
    option: 'server_tls_ca_file',
    message: /needs server_tls_ca_file/,
  })
})

t.test('files that are not there or not what they should be are named with their option', async (t) => {
  const junk = file('junk.pem', 'junk\n')
  const encrypted = generateKeyPairSync('ec', {
    namedCurve: 'prime256v1',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' },
  }).privateKey
  const locked = file('locked.key', encrypted)
  for (const side of ['client', 'server'] as const) {
    t.match(problem(side, { certFile: '/none/x.crt' }), {
      option: `${side}_tls_cert_file`,
      message: `cannot read ${side}_tls_cert_file '/none/x.crt': there is no such file`,
    })
    t.match(problem(side, { caFile: directory }), {
      option: `${side}_tls_ca_file`,
      message: `cannot read ${side}_tls_ca_file '${directory}': it is a directory`,
    })
    t.match(problem(side, { certFile: junk }), {
      option: `${side}_tls_cert_file`,
      message: `${side}_tls_cert_file '${junk}' holds no certificate in PEM format`,
    })
    t.match(problem(side, { keyFile: junk }), {
      option: `${side}_tls_key_file`,
      message: `${side}_tls_key_file '${junk}' holds no private key in PEM format`,
    })
    t.match(problem(side, { keyFile: locked }), { message: /protected with a passphrase/ })
    t.match(problem(side, { keyFile: files.client.key }), {
      option: `${side}_tls_key_file`,
      message: new RegExp(`is not the key of the certificate in ${side}_tls_cert_file '${files.server.cert}'`),
    })
    t.match(problem(side, { caFile: junk }), {
      option: `${side}_tls_ca_file`,
      message: `${side}_tls_ca_file '${junk}' holds no certificate in PEM format`,
    })
  }
  const broken = set.ca.certificate.replace(/\n(.{20})/, '\nAAAA$1')
  const bundle = file('bundle.crt', `# two authorities\n${set.otherCa.certificate}\n${broken}`)
  t.match(problem('client', { caFile: bundle }), { message: /certificate 2 of 2 is not valid/ })
})

t.test('protocols', async (t) => {
  const range = (protocols: string) => {
    const { minVersion, maxVersion, secureOptions } = loadTlsContext('client', {
      ...SETTINGS,
      protocols,
    })!.secureOptions
    const off = Number(secureOptions) & ~constants.SSL_OP_NO_RENEGOTIATION
    return [minVersion, maxVersion, off !== 0, off !== secureOptions]
  }
  t.strictSame(range('secure'), ['TLSv1.2', 'TLSv1.3', false, true])
  t.strictSame(range(''), ['TLSv1.2', 'TLSv1.3', false, true])
  t.strictSame(range('tlsv1.3'), ['TLSv1.3', 'TLSv1.3', false, true])
  t.strictSame(range('TLSv1.2, tlsv1.3'), ['TLSv1.2', 'TLSv1.3', false, true])
  t.strictSame(range('all'), ['TLSv1', 'TLSv1.3', false, true])
  t.strictSame(range('tlsv1.0:tlsv1.2'), ['TLSv1', 'TLSv1.2', true, true], 'without what lies between')
  t.match(problem('server', { protocols: 'tlsv1.4' }), {
    option: 'server_tls_protocols',
    message: /Invalid server_tls_protocols 'tlsv1\.4'\. Must be secure, all, or a list of: tlsv1\.0, /,
  })
})

t.test('ciphers', async (t) => {
  t.ok(loadTlsContext('client', { ...SETTINGS, ciphers: 'HIGH:!aNULL' }))
  t.match(problem('client', { ciphers: 'NONSENSE' }), {
    option: 'client_tls_ciphers',
    message: /client_tls_ciphers 'NONSENSE' names no usable cipher/,
  })
})

t.test('a reload takes a new set, keeps the last good one, and leaves an unchanged one alone', async (t) => {
  const live = join(directory, 'live')
  mkdirSync(live)
  const certFile = join(live, 'server.crt')
  const keyFile = join(live, 'server.key')
  copyFileSync(files.server.cert, certFile)
  copyFileSync(files.server.key, keyFile)
  const store = new TlsStore('client', { ...SETTINGS, certFile, keyFile })
  const first = store.current
  t.strictSame(first?.leaf?.der, set.server.der)

  t.equal(store.reload(), false)
  t.equal(store.current, first)

  // Half of a renewal: the certificate is new, the key is not there yet.
  copyFileSync(files.serverRsa.cert, certFile)
  t.throws(() => store.reload(), { message: /is not the key of the certificate/ })
  t.equal(store.current, first)
  rmSync(keyFile)
  t.throws(() => store.reload(), { message: /there is no such file/ })
  t.equal(store.current, first)

  copyFileSync(files.serverRsa.key, keyFile)
  t.equal(store.reload(), true)
  t.strictSame(store.current?.leaf?.der, set.serverRsa.der)

  t.equal(store.reload({ ...SETTINGS, mode: 'disable' }), true)
  t.equal(store.current, undefined)
  t.equal(store.reload(), false, 'with the settings it was last given')
})

t.test('a prepared reload changes nothing before it is put to use', async (t) => {
  const store = new TlsStore('client', SETTINGS)
  const { certFile, keyFile } = { certFile: files.serverRsa.cert, keyFile: files.serverRsa.key }
  const commit = store.prepare({ ...SETTINGS, certFile, keyFile })
  t.strictSame(store.current?.leaf?.der, set.server.der)
  t.equal(commit(), true)
  t.strictSame(store.current?.leaf?.der, set.serverRsa.der)
})
