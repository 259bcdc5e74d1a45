/**
 * The messages of a SCRAM exchange between text and values (RFC 5802 section 7), both directions, pure.
 *
 * Everything here comes from a peer that has not proven anything yet: each parser takes any bytes, returns the values
 * or a sentence that says what is malformed, and never throws. Payloads are handled as latin1 so that one character is
 * one byte and the AuthMessage is exactly what went over the wire. Called by scram.ts.
 */

/** Longest payload looked at, in bytes. Real ones are below 300; a nonce may be long, a certificate hash is 64. */
const MAX_PAYLOAD_BYTES = 4096
/** Longest nonce of either side, in bytes. */
const MAX_NONCE_BYTES = 1024
/** Longest salt, in bytes. PostgreSQL's are 16. */
const MAX_SALT_BYTES = 1024

/** A value, or what is wrong with the message: `malformed` is a sentence for the log. */
export type Parsed<T> = { value: T; malformed?: undefined } | { malformed: string }

/** client-first-message: gs2-header client-first-message-bare. */
export interface ClientFirst {
  /** `n`: no channel binding; `y`: could, but thinks we cannot; otherwise the name behind `p=`. */
  binding: 'n' | 'y' | { name: string }
  /** The gs2 header with both commas, which the client repeats in `c=`. */
  gs2Header: string
  bare: string
  nonce: string
}

/** client-final-message. */
export interface ClientFinal {
  channelBinding: Buffer
  nonce: string
  proof: Buffer
  withoutProof: string
}

/** server-first-message. */
export interface ServerFirst {
  nonce: string
  salt: Buffer
  iterations: number
  text: string
}

/** server-final-message: a signature, or the server's error value. */
export type ServerFinal = { signature: Buffer } | { error: string }

export function parseClientFirst(payload: Buffer): Parsed<ClientFirst> {
  const text = readText(payload)
  if (text.malformed !== undefined) return text
  const header = /^(n|y|p=([A-Za-z0-9.-]{1,64})),(a=[^,]*)?,/.exec(text.value)
  if (!header) return { malformed: 'the client-first-message does not begin with a gs2 header' }
  if (header[3] !== undefined)
    return { malformed: 'the client asks for an authorization identity, which is not supported' }
  const gs2Header = header[0]
  const bare = text.value.slice(gs2Header.length)
  if (bare.startsWith('m=')) return { malformed: 'the client requires an unsupported SCRAM extension' }
  // The user name is not looked at: the one of the startup packet counts, and libpq sends an empty one.
  const fields = /^n=[^,]*,r=([^,]*)(?:,[A-Za-z]=[^,]*)*$/.exec(bare)
  if (!fields) return { malformed: 'the client-first-message lacks a user name or a nonce' }
  if (!isNonce(fields[1]!)) return { malformed: 'the client nonce is empty, too long or not printable' }
  const binding = header[2] === undefined ? (header[1] as 'n' | 'y') : { name: header[2] }
  return { value: { binding, gs2Header, bare, nonce: fields[1]! } }
}

export function parseClientFinal(payload: Buffer): Parsed<ClientFinal> {
  const text = readText(payload)
  if (text.malformed !== undefined) return text
  const fields = /^(c=([^,]+),r=([^,]+)(?:,[A-Za-z]=[^,]*)*?),p=([^,]*)$/.exec(text.value)
  if (!fields) return { malformed: 'the client-final-message lacks channel binding, nonce or proof' }
  const channelBinding = decodeBase64(fields[2]!)
  if (!channelBinding) return { malformed: 'the channel binding data of the client is not base64' }
  const proof = decodeBase64(fields[4]!)
  if (proof?.length !== 32) return { malformed: 'the proof of the client is not 32 bytes in base64' }
  return { value: { channelBinding, nonce: fields[3]!, proof, withoutProof: fields[1]! } }
}

export function parseServerFirst(payload: Buffer): Parsed<ServerFirst> {
  const text = readText(payload)
  if (text.malformed !== undefined) return text
  if (text.value.startsWith('m=')) return { malformed: 'the server requires an unsupported SCRAM extension' }
  const fields = /^r=([^,]*),s=([^,]*),i=([^,]*)(?:,[A-Za-z]=[^,]*)*$/.exec(text.value)
  if (!fields) return { malformed: 'the server-first-message lacks nonce, salt or iteration count' }
  if (!isNonce(fields[1]!)) return { malformed: 'the nonce of the server is empty, too long or not printable' }
  const salt = decodeBase64(fields[2]!)
  if (!salt || salt.length === 0 || salt.length > MAX_SALT_BYTES) {
    return { malformed: `the salt of the server is not 1 to ${MAX_SALT_BYTES} bytes in base64` }
  }
  if (!/^[1-9][0-9]{0,9}$/.test(fields[3]!)) return { malformed: 'the iteration count of the server is not a number' }
  return { value: { nonce: fields[1]!, salt, iterations: Number(fields[3]), text: text.value } }
}

export function parseServerFinal(payload: Buffer): Parsed<ServerFinal> {
  const text = readText(payload)
  if (text.malformed !== undefined) return text
  const fields = /^(e|v)=([^,]*)(?:,[A-Za-z]=[^,]*)*$/.exec(text.value)
  if (!fields) return { malformed: 'the server-final-message has neither signature nor error' }
  if (fields[1] === 'e') return { value: { error: fields[2]! } }
  const signature = decodeBase64(fields[2]!)
  if (signature?.length !== 32) return { malformed: 'the signature of the server is not 32 bytes in base64' }
  return { value: { signature } }
}

/** What a peer said, fit for a log line: at most 64 characters, nothing but printable ASCII. */
export function printable(text: string): string {
  return text.slice(0, 64).replace(/[^\x20-\x7e]/g, '?')
}

function readText(payload: Buffer): Parsed<string> {
  if (payload.length > MAX_PAYLOAD_BYTES)
    return { malformed: `a SCRAM message is longer than ${MAX_PAYLOAD_BYTES} bytes` }
  if (payload.includes(0)) return { malformed: 'a SCRAM message contains a zero byte' }
  return { value: payload.toString('latin1') }
}

/** RFC 5802 `printable`: visible ASCII without the comma. */
function isNonce(text: string): boolean {
  return text.length <= MAX_NONCE_BYTES && /^[\x21-\x2b\x2d-\x7e]+$/.test(text)
}

/** Strict base64; undefined for anything that does not encode back to itself. */
function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}
