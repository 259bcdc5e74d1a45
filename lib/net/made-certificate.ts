/**
 * A certificate that signs itself (RFC 5280; DER is X.690), for `client_tls_mode = auto` where none is configured. It
 * keeps out who listens on the way and proves nothing to anybody, as every certificate does that its reader does not
 * know. Made anew by each process, and never written anywhere.
 */

import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

/** PEM of a certificate and of its private key (PKCS #8). */
export interface MadeCertificate {
  cert: string
  key: string
}

const DAY_MS = 86_400_000
/** No process lives that long; clients that look at the date must not be lost to a clock that is wrong. */
const VALID_DAYS = 3650

/** ecdsa-with-SHA256, commonName, basicConstraints, subjectAltName: the contents of their object identifiers. */
const ECDSA_SHA256 = '2a8648ce3d040302'
const COMMON_NAME = '550403'
const BASIC_CONSTRAINTS = '551d13'
const SUBJECT_ALT_NAME = '551d11'

const NAME = 'pgbun'

let made: MadeCertificate | undefined

/** The certificate of this process: the same for every pooler in it, so that a reload changes nothing. */
export function madeCertificate(): MadeCertificate {
  made ??= makeCertificate()
  return made
}

function makeCertificate(): MadeCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const algorithm = sequence(objectId(ECDSA_SHA256))
  const name = sequence(der(0x31, sequence(objectId(COMMON_NAME), der(0x0c, Buffer.from(NAME)))))
  const now = Date.now()
  const body = sequence(
    // Version 3.
    der(0xa0, der(0x02, Buffer.from([2]))),
    // A positive serial number.
    der(0x02, Buffer.concat([Buffer.from([0x40]), randomBytes(15)])),
    algorithm,
    name,
    sequence(time(new Date(now - DAY_MS)), time(new Date(now + VALID_DAYS * DAY_MS))),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(
      0xa3,
      sequence(
        sequence(objectId(BASIC_CONSTRAINTS), der(0x01, Buffer.from([0xff])), der(0x04, sequence())),
        sequence(objectId(SUBJECT_ALT_NAME), der(0x04, sequence(der(0x82, Buffer.from(NAME))))),
      ),
    ),
  )
  const signature = der(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', body, privateKey)]))
  const base64 = sequence(body, algorithm, signature).toString('base64')
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

/** A value with its tag and length, of less than 65,536 bytes. */
function der(tag: number, content: Buffer): Buffer {
  const size = content.length
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 255]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}

function sequence(...parts: Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

function objectId(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'))
}

/** GeneralizedTime where the year needs it (RFC 5280 4.1.2.5). */
function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]|\.\d+/g, '')
  return date.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits))
}
