/**
 * Startup packets (protocol chapters "Start-up", "Canceling Requests in Progress", "SSL Session Encryption"): read from
 * a client, written to a server.
 */

import { ProtocolError, Reader } from './reader.ts'

/** Request codes that stand where a startup packet has its protocol version. */
const CANCEL_REQUEST_CODE = 80877102
/** A CancelRequest that one pgbun passes on to another: not PostgreSQL's, of the same kind. */
const PASSED_CANCEL_CODE = 80877202
export const SSL_REQUEST_CODE = 80877103
export const GSSENC_REQUEST_CODE = 80877104

/** Protocol versions as they stand in a startup packet. */
export const PROTOCOL_3_0 = 0x30000
export const PROTOCOL_3_2 = 0x30002

/** Longest user and database name PostgreSQL itself keeps apart (NAMEDATALEN - 1). */
const NAME_LIMIT = 63
/** No character has more bytes in UTF-8 for each unit of a string. */
const MOST_BYTES = 3

/** A packet of the startup phase. */
export type StartupPacket =
  | { kind: 'startup'; version: number; parameters: Map<string, string> }
  | { kind: 'cancel'; pid: number; secret: Buffer; hops: number }
  | { kind: 'ssl' }
  | { kind: 'gssenc' }
  | { kind: 'unsupported'; major: number; minor: number }

const NO_TERMINATOR = 'invalid startup packet layout: expected terminator as last byte'

/**
 * Read a startup packet's body (without the length word).
 * @throws ProtocolError where it is malformed
 */
export function readStartup(body: Buffer): StartupPacket {
  const reader = new Reader(body)
  const version = reader.int32()
  if (version === SSL_REQUEST_CODE) return { kind: 'ssl' }
  if (version === GSSENC_REQUEST_CODE) return { kind: 'gssenc' }
  if (version === CANCEL_REQUEST_CODE || version === PASSED_CANCEL_CODE) {
    const hops = version === PASSED_CANCEL_CODE ? reader.int32() : 0
    if (hops < 0) throw new ProtocolError('invalid count of hops of a cancel request')
    const pid = reader.int32()
    // Protocol 3.2 allows secrets of up to 256 bytes; 4 is what 3.0 always has.
    if (reader.left < 4 || reader.left > 256) throw new ProtocolError('invalid length of cancel key')
    return { kind: 'cancel', pid, secret: Buffer.from(reader.rest()), hops }
  }
  const major = version >>> 16
  const minor = version & 0xffff
  if (major !== 3) return { kind: 'unsupported', major, minor }
  // The packet is pairs of strings and a zero byte, which makes an empty name of the last string.
  if (body.at(-1) !== 0) throw new ProtocolError(NO_TERMINATOR)
  const parameters = new Map<string, string>()
  for (;;) {
    if (reader.left === 0) throw new ProtocolError(NO_TERMINATOR)
    const name = reader.cstring()
    if (name === '') break
    if (reader.left === 0) throw new ProtocolError(NO_TERMINATOR)
    parameters.set(name, reader.cstring())
  }
  if (reader.left > 0) throw new ProtocolError(NO_TERMINATOR)
  return { kind: 'startup', version, parameters }
}

/**
 * What PostgreSQL makes of the name of a user or database: of a longer one its first bytes count. Where these end within a
 * character nothing is called so, and the name is left as it is.
 */
export function nameInServer(name: string): string {
  if (name.length * MOST_BYTES <= NAME_LIMIT) return name
  const bytes = Buffer.from(name)
  if (bytes.length <= NAME_LIMIT) return name
  const first = bytes.subarray(0, NAME_LIMIT)
  const cut = first.toString()
  return Buffer.from(cut).equals(first) ? cut : name
}

/** True for the body of a CancelRequest, malformed as it may be. */
export function isCancelRequest(body: Buffer): boolean {
  if (body.length < 4) return false
  const code = body.readInt32BE(0)
  return code === CANCEL_REQUEST_CODE || code === PASSED_CANCEL_CODE
}

/** A StartupMessage with these parameters. */
export function writeStartup(version: number, parameters: Iterable<readonly [string, string]>): Buffer {
  const parts: Buffer[] = []
  for (const [name, value] of parameters) parts.push(Buffer.from(`${name}\0${value}\0`))
  const body = Buffer.concat([...parts, Buffer.from([0])])
  const header = Buffer.allocUnsafe(8)
  header.writeInt32BE(body.length + 8, 0)
  header.writeInt32BE(version, 4)
  return Buffer.concat([header, body])
}

/** A CancelRequest with a server's key, of whatever length the server chose. */
export function writeCancelRequest(pid: number, secret: Buffer): Buffer {
  const packet = Buffer.allocUnsafe(12 + secret.length)
  packet.writeInt32BE(packet.length, 0)
  packet.writeInt32BE(CANCEL_REQUEST_CODE, 4)
  packet.writeInt32BE(pid, 8)
  secret.copy(packet, 12)
  return packet
}

/** A CancelRequest of a client, as one pgbun passes it on to another. @param hops how often it was passed on, this time included */
export function writePassedCancel(pid: number, secret: Buffer, hops: number): Buffer {
  const packet = Buffer.allocUnsafe(16 + secret.length)
  packet.writeInt32BE(packet.length, 0)
  packet.writeInt32BE(PASSED_CANCEL_CODE, 4)
  packet.writeInt32BE(hops, 8)
  packet.writeInt32BE(pid, 12)
  secret.copy(packet, 16)
  return packet
}
