/** The certificate that is made where none is configured: what readers of certificates make of it. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import t from 'tap'
import { madeCertificate } from '../../../lib/net/made-certificate.ts'
import { loadTlsContext, type TlsSettings, TlsStore } from '../../../lib/net/tls-context.ts'

const AUTO: TlsSettings = {
  mode: 'auto',
  keyFile: '',
  certFile: '',
  caFile: '',
  protocols: 'secure',
  ciphers: 'default',
}

t.test('a certificate of X.509 that signs itself, with its key', async (t) => {
  const { cert, key } = madeCertificate()
  const certificate = new X509Certificate(cert)
  t.equal(certificate.subject, 'CN=pgbun')
  t.equal(certificate.issuer, certificate.subject)
  t.equal(certificate.subjectAltName, 'DNS:pgbun')
  t.equal(certificate.ca, false, 'it can sign no other')
  t.ok(certificate.verify(certificate.publicKey), 'its signature is its own')
  t.ok(certificate.checkPrivateKey(createPrivateKey(key)))
  t.equal(certificate.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')
  t.ok(Date.parse(certificate.validFrom) < Date.now() && Date.parse(certificate.validTo) > Date.now() + 86_400_000)
  t.match(
    cert,
    /^-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/]{64}\n)+[A-Za-z0-9+/=]{0,64}\n-----END CERTIFICATE-----\n$/,
  )
})

t.test('auto without files', async (t) => {
  const context = loadTlsContext('client', AUTO)!
  t.match(context, { mode: 'prefer', made: true, leaf: { subject: 'CN=pgbun' } })
  t.ok(context.leaf!.endPointHash, 'channel binding works with it')
  t.equal(new TlsStore('client', AUTO).reload(), false, 'a reload keeps it')
})

t.test('auto with half of the files is a mistake', async (t) => {
  t.throws(() => loadTlsContext('client', { ...AUTO, certFile: 'package.json' }), /client_tls_key_file is not/)
  t.throws(() => loadTlsContext('client', { ...AUTO, keyFile: 'package.json' }), /client_tls_cert_file is not/)
})
