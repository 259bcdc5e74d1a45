/**
 * The channel binding data `tls-server-end-point` of a certificate (RFC 5929 section 4.1).
 *
 * It is the hash of the server's leaf certificate under the hash function of the certificate's own signature, with MD5
 * and SHA-1 replaced by SHA-256. Node gives no access to the signature algorithm on all supported versions, so the few
 * bytes of DER that name it are read here. In: the certificate as DER (our own towards clients,
 * `getPeerCertificate().raw` towards servers). Out: the hash, or undefined where none is defined (Ed25519, Ed448,
 * unknown algorithms) or the bytes are no certificate; then SCRAM goes without channel binding. Never throws.
 */
import { createHash } from 'node:crypto'

const RSA_PSS = '1.2.840.113549.1.1.10'

const HASH_OF_SIGNATURE: Record<string, string> = {
  '1.2.840.113549.1.1.2': 'sha256', // md2WithRSA
  '1.2.840.113549.1.1.4': 'sha256', // md5WithRSA
  '1.2.840.113549.1.1.5': 'sha256', // sha1WithRSA
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.113549.1.1.14': 'sha224',
  '1.2.840.113549.1.1.15': 'sha512-224',
  '1.2.840.113549.1.1.16': 'sha512-256',
  '1.2.840.10040.4.3': 'sha256', // dsaWithSha1
  '2.16.840.1.101.3.4.3.1': 'sha224', // DSA
  '2.16.840.1.101.3.4.3.2': 'sha256',
  '2.16.840.1.101.3.4.3.3': 'sha384',
  '2.16.840.1.101.3.4.3.4': 'sha512',
  '1.2.840.10045.4.1': 'sha256', // ecdsaWithSha1
  '1.2.840.10045.4.3.1': 'sha224',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '2.16.840.1.101.3.4.3.9': 'sha3-224', // ECDSA
  '2.16.840.1.101.3.4.3.10': 'sha3-256',
  '2.16.840.1.101.3.4.3.11': 'sha3-384',
  '2.16.840.1.101.3.4.3.12': 'sha3-512',
  '2.16.840.1.101.3.4.3.13': 'sha3-224', // RSA
  '2.16.840.1.101.3.4.3.14': 'sha3-256',
  '2.16.840.1.101.3.4.3.15': 'sha3-384',
  '2.16.840.1.101.3.4.3.16': 'sha3-512',
}

/** Hash algorithms by their own OID, as the parameters of RSASSA-PSS name them (RFC 4055). */
const HASH_BY_OID: Record<string, string> = {
  '1.2.840.113549.2.5': 'sha256', // md5
  '1.3.14.3.2.26': 'sha256', // sha1
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
  '2.16.840.1.101.3.4.2.4': 'sha224',
  '2.16.840.1.101.3.4.2.5': 'sha512-224',
  '2.16.840.1.101.3.4.2.6': 'sha512-256',
  '2.16.840.1.101.3.4.2.7': 'sha3-224',
  '2.16.840.1.101.3.4.2.8': 'sha3-256',
  '2.16.840.1.101.3.4.2.9': 'sha3-384',
  '2.16.840.1.101.3.4.2.10': 'sha3-512',
}

const TAG_OID = 0x06
const TAG_SEQUENCE = 0x30
const TAG_CONTEXT_0 = 0xa0

/** The end-point hash of the certificate `der`, or undefined where there is none to bind to. */
export function tlsServerEndPoint(der: Buffer): Buffer | undefined {
  const hash = signatureHash(der)
  if (!hash) return undefined
  try {
    return createHash(hash).update(der).digest()
  } catch {
    return undefined // a hash this runtime's OpenSSL does not have
  }
}

/** Name of the hash RFC 5929 prescribes for the certificate `der`, in Node's spelling; undefined where none is defined. */
export function signatureHash(der: Buffer): string | undefined {
  // Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm AlgorithmIdentifier, signatureValue }
  const certificate = readElement(der, 0, der.length, TAG_SEQUENCE)
  const tbs = certificate && readElement(der, certificate.start, certificate.end, TAG_SEQUENCE)
  const algorithm = tbs && readElement(der, tbs.end, certificate.end, TAG_SEQUENCE)
  const oid = algorithm && readElement(der, algorithm.start, algorithm.end, TAG_OID)
  if (!oid) return undefined
  const name = decodeOid(der.subarray(oid.start, oid.end))
  return name === RSA_PSS ? pssHash(der, oid.end, algorithm.end) : HASH_OF_SIGNATURE[name]
}

/** RSASSA-PSS-params ::= SEQUENCE { [0] hashAlgorithm AlgorithmIdentifier DEFAULT sha1, … } */
function pssHash(der: Buffer, start: number, end: number): string | undefined {
  const params = readElement(der, start, end, TAG_SEQUENCE)
  if (!params) return undefined
  if (params.start === params.end || der[params.start] !== TAG_CONTEXT_0) return 'sha256'
  const tagged = readElement(der, params.start, params.end, TAG_CONTEXT_0)
  const algorithm = tagged && readElement(der, tagged.start, tagged.end, TAG_SEQUENCE)
  const oid = algorithm && readElement(der, algorithm.start, algorithm.end, TAG_OID)
  return oid && HASH_BY_OID[decodeOid(der.subarray(oid.start, oid.end))]
}

interface Element {
  /** Offsets of the content, end exclusive; the next element begins at `end`. */
  start: number
  end: number
}

/** The DER element at `offset` if it has `tag` and fits before `limit`. */
function readElement(der: Buffer, offset: number, limit: number, tag: number): Element | undefined {
  if (offset + 2 > limit || der[offset] !== tag) return undefined
  const first = der[offset + 1]!
  if (first < 0x80) return element(offset + 2, first, limit)
  const lengthBytes = first & 0x7f
  if (lengthBytes === 0 || lengthBytes > 4 || offset + 2 + lengthBytes > limit) return undefined
  return element(offset + 2 + lengthBytes, der.readUIntBE(offset + 2, lengthBytes), limit)
}

function element(start: number, length: number, limit: number): Element | undefined {
  return start + length <= limit ? { start, end: start + length } : undefined
}

function decodeOid(bytes: Buffer): string {
  const arcs: number[] = []
  let value = 0
  for (const byte of bytes) {
    value = value * 128 + (byte & 0x7f)
    if (value > 0xffffffff) return ''
    if (byte & 0x80) continue
    if (arcs.length === 0) {
      const root = Math.min(2, Math.floor(value / 40))
      arcs.push(root, value - root * 40)
    } else arcs.push(value)
    value = 0
  }
  return arcs.join('.')
}
