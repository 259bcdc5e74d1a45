import { createHash } from 'node:crypto'
import t from 'tap'
import { signatureHash, tlsServerEndPoint } from '../../../lib/auth/cert-hash.ts'

/** Self-signed certificates made with OpenSSL, in base64, and the fingerprint that OpenSSL gives for the right hash. */
const CERTIFICATES: { signature: string; hash: string; endPoint: string; der: string[] }[] = [
  {
    signature: 'ecdsa-with-SHA384',
    hash: 'sha384',
    endPoint: '0a09ca23ad73213c4d5a401260beee2f0a30ec3cb7a87d9a84501fc58b0b76d3b48060d18412815d41cd01b5043470bd',
    der: [
      'MIIBbTCCAROgAwIBAgIUdCVAxaAD15aCA7rNiTyaAbUMMeQwCgYIKoZIzj0EAwMwDDEKMAgGA1UEAwwBdDAeFw0yNjExMjMxMTQ1',
      'NTBaFw0zNjExMjAxMTQ1NTBaMAwxCjAIBgNVBAMMAXQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATHDmZjbcaxJbAUvIvwNxRu',
      'IhYBj4CjPNH2mD7GR2K7UmSgqhtLKyqhrOc43Kvvq0700zhCAQ87TbS+5xVGe3o0o1MwUTAdBgNVHQ4EFgQUxvEHk3CB2lRjfwAT',
      'mPh5WFjCZ6kwHwYDVR0jBBgwFoAUxvEHk3CB2lRjfwATmPh5WFjCZ6kwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAwNIADBF',
      'AiEAiWp75SxFU4OQDEjc0aDYiAfkVsTP82fF1IboX/VQa4gCIB1MCVJ+PtG8uSYUwfgE6IBWfx1rR1mEedxkBysYQT7/',
    ],
  },
  {
    signature: 'sha1WithRSAEncryption',
    hash: 'sha256',
    endPoint: 'b6719f5f601b826df574643a6f33a15e4e04950b467bdfe08f7f330d68fe2fff',
    der: [
      'MIIB9DCCAV2gAwIBAgIUL/XhbwJrQs74GoPW/GNcPwjvKDYwDQYJKoZIhvcNAQEFBQAwDDEKMAgGA1UEAwwBdDAeFw0yNjExMjMx',
      'MTQ1NTBaFw0zNjExMjAxMTQ1NTBaMAwxCjAIBgNVBAMMAXQwgZ8wDQYJKoZIhvcNAQEBBQADgY0AMIGJAoGBANAbSev+1xIo1u4w',
      'ORdXpWcRWqpXK3aCDj4U+ZsvV+IwDVDTv34aGOUHdzjRSuN/Jn7heh+6aww6vehQrGeZb1QB6UyECMK79gfD+5lE4BYXWViZfb1B',
      'txKwsQ+srgrJO4IhR5BJ2FAxXPHtNYtN1ZgRvYqe2dvYU1//Fu2RMeoFAgMBAAGjUzBRMB0GA1UdDgQWBBSj1h1bWDTCXx0SpkMg',
      'Lw92Zl+a2jAfBgNVHSMEGDAWgBSj1h1bWDTCXx0SpkMgLw92Zl+a2jAPBgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEBBQUAA4GB',
      'AKm2ii1/TX7YBBkvvL9aOdw9wJ3DmMqndbQLjObKrY+wbc7b0DKguSVzf7noJLIQYkqvW80/y3xKDoWgoblVaDFKovfvxO25L9+3',
      'hjAji1rR4k+zEl0ejY8NgxnnGR9rIyE4akWPizrr7krza6v+PcdAQjzAub8817rquS9zjf6r',
    ],
  },
  {
    signature: 'RSASSA-PSS with SHA-384',
    hash: 'sha384',
    endPoint: '240487a8dd1600dd22dcaf04a13eb927815f87fe6c05d12796761158cd47ca8b72949e6bf558ddc113edf31f84868020',
    der: [
      'MIICUjCCAYygAwIBAgIUYrXv5e7pIyt+Gj/rbB9qB58XbmcwPAYJKoZIhvcNAQEKMC+gDzANBglghkgBZQMEAgIFAKEcMBoGCSqG',
      'SIb3DQEBCDANBglghkgBZQMEAgIFADAMMQowCAYDVQQDDAF0MB4XDTI2MTEyMzExNDU1MFoXDTM2MTEyMDExNDU1MFowDDEKMAgG',
      'A1UEAwwBdDCBnzANBgkqhkiG9w0BAQEFAAOBjQAwgYkCgYEAn39OxMTRSbXiccHl3kMqTMXdJVrzsYqMAHjS7RFMzK/iIrwX07EX',
      'pi2aNhqUkPpArNfRze6jdeNvhytoush1XqRe90LawOS6UDCIYHa44ovd7eYCQTnVV7hRjceKBGdFjxNAlrynjALAar1VBdMI1YXy',
      'olArWyjHSUYDw8AgPPECAwEAAaNTMFEwHQYDVR0OBBYEFDbPNivrtgAWJfr0EFodFdYbzBgrMB8GA1UdIwQYMBaAFDbPNivrtgAW',
      'Jfr0EFodFdYbzBgrMA8GA1UdEwEB/wQFMAMBAf8wPAYJKoZIhvcNAQEKMC+gDzANBglghkgBZQMEAgIFAKEcMBoGCSqGSIb3DQEB',
      'CDANBglghkgBZQMEAgIFAAOBgQBsusc6lVdHXKhhJnviib1ELWhl5nAKEjiClMapb2O93Oz0ThajZmHIF/DYQPuaN6siOl/omDkS',
      'my2eSWMrpDwX8LYfZEwp66Mpm2/OPe1r93fHrH/h0TAlMw2RUVtH2jfchqtGeNsshStQFfEUBkBwnMiSvUZXOWE/Usp0KpwmWA==',
    ],
  },
  {
    signature: 'RSASSA-PSS with default parameters',
    hash: 'sha256',
    endPoint: '46268da6febfd7259fd8d8e73f38c0b7c730eb90c3f00cd063a49c9f85203c2a',
    der: [
      'MIIB9DCCAV2gAwIBAgIUD5xnzQXwv/ELWDo4VNKlcVj1jgcwDQYJKoZIhvcNAQEKMAAwDDEKMAgGA1UEAwwBdDAeFw0yNjExMjMx',
      'MTQ1NTBaFw0zNjExMjAxMTQ1NTBaMAwxCjAIBgNVBAMMAXQwgZ8wDQYJKoZIhvcNAQEBBQADgY0AMIGJAoGBAJ9/TsTE0Um14nHB',
      '5d5DKkzF3SVa87GKjAB40u0RTMyv4iK8F9OxF6YtmjYalJD6QKzX0c3uo3Xjb4craLrIdV6kXvdC2sDkulAwiGB2uOKL3e3mAkE5',
      '1Ve4UY3HigRnRY8TQJa8p4wCwGq9VQXTCNWF8qJQK1sox0lGA8PAIDzxAgMBAAGjUzBRMB0GA1UdDgQWBBQ2zzYr67YAFiX69BBa',
      'HRXWG8wYKzAfBgNVHSMEGDAWgBQ2zzYr67YAFiX69BBaHRXWG8wYKzAPBgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEBCjAAA4GB',
      'ADqkPUnkb3Ahq4F81mSuiJi69z41yqc83obfL01VFy5pa1HhByrWJGvH97Q7jgAd5HTUM9pwy70yf3C3aDh1YmHoqVngf4NNgp0j',
      'W4MwBl7L04r1YgoTLR+aKZ0RnFsYLkQCDU9BMmZvHQT5YQiPdwfwXfDnhdiPP4WFYyNXn0eZ',
    ],
  },
]

const ED25519 = [
  'MIIBLDCB36ADAgECAhRC4yAdEQHfzvCjLAE/9/ykiMSapjAFBgMrZXAwDDEKMAgGA1UEAwwBdDAeFw0yNjExMjMxMTQ1NTBaFw0z',
  'NjExMjAxMTQ1NTBaMAwxCjAIBgNVBAMMAXQwKjAFBgMrZXADIQB5nR5/ujUe53XVtjC15C+QfbfN9ExGBjoS0A8W5UsdqaNTMFEw',
  'HQYDVR0OBBYEFJkAg3+58qpGSUKhTRjW/Ok3ljnFMB8GA1UdIwQYMBaAFJkAg3+58qpGSUKhTRjW/Ok3ljnFMA8GA1UdEwEB/wQF',
  'MAMBAf8wBQYDK2VwA0EA0M6ZWZY4HQH3m7J9tP9GTZJB8gzaKz/6lW+tMa8zQv+kzr7VhWexBbFsBD5hXC3/ePWEVxlN9MXIgITa',
  'dILmDA==',
].join('')

t.test('the hash of the signature counts, SHA-1 is replaced by SHA-256 (RFC 5929 section 4.1)', (t) => {
  for (const { signature, hash, endPoint, der } of CERTIFICATES) {
    const bytes = Buffer.from(der.join(''), 'base64')
    t.equal(signatureHash(bytes), hash, signature)
    t.equal(tlsServerEndPoint(bytes)?.toString('hex'), endPoint, signature)
  }
  t.end()
})

t.test('Ed25519 certificates have no channel binding', (t) => {
  t.equal(tlsServerEndPoint(Buffer.from(ED25519, 'base64')), undefined)
  t.end()
})

/** The outline of a certificate: an empty body and an algorithm. */
function outline(oid: number[]): Buffer {
  const algorithm = [0x30, oid.length + 4, 0x06, oid.length, ...oid, 0x05, 0x00]
  const content = [0x30, 0x00, ...algorithm, 0x03, 0x01, 0x00]
  return Buffer.from([0x30, content.length, ...content])
}

t.test('signature algorithms by OID', (t) => {
  const rsa = (last: number) => [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last]
  const ecdsa = (last: number) => [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, last]
  const nist = (last: number) => [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, last]
  const cases: [number[], string | undefined][] = [
    [rsa(4), 'sha256'],
    [rsa(5), 'sha256'],
    [rsa(11), 'sha256'],
    [rsa(12), 'sha384'],
    [rsa(13), 'sha512'],
    [rsa(14), 'sha224'],
    [rsa(99), undefined],
    [[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01], 'sha256'],
    [ecdsa(1), 'sha224'],
    [ecdsa(2), 'sha256'],
    [ecdsa(3), 'sha384'],
    [ecdsa(4), 'sha512'],
    [nist(2), 'sha256'],
    [nist(10), 'sha3-256'],
    [nist(14), 'sha3-256'],
    [[0x2b, 0x65, 0x71], undefined],
  ]
  for (const [oid, hash] of cases) {
    const der = outline(oid)
    t.equal(signatureHash(der), hash)
    const expected = hash && createHash(hash).update(der).digest('hex')
    t.equal(tlsServerEndPoint(der)?.toString('hex'), expected)
  }
  t.end()
})

t.test('a certificate cut or damaged at any byte gives a hash or none', (t) => {
  for (const { der } of CERTIFICATES) {
    const whole = Buffer.from(der.join(''), 'base64')
    for (let i = 0; i < whole.length; i++) {
      if (tlsServerEndPoint(whole.subarray(0, i))) t.fail(`cut at ${i}`)
      for (const byte of [0x00, 0x7f, 0x80, 0x84, 0x88, 0xff]) {
        const changed = Buffer.from(whole)
        changed[i] = byte
        tlsServerEndPoint(changed)
      }
    }
  }
  t.pass('no exception')
  t.end()
})
