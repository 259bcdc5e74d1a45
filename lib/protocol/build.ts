/**
 * Builds whole messages (protocol chapter "Message Formats"). Constant ones are built once. Lengths are checked before
 * they are written: a sum that does not fit an int32 would let a peer smuggle a message into another's body.
 */

import type { ErrorFields } from '../errors.ts'
import { BACKEND, FRONTEND } from './types.ts'

/** Largest body we write. */
const LIMIT = 0x7fffffff - 4

/** A message of `type` with this body. @throws RangeError where the body does not fit a length word */
export function message(type: number, body: Buffer): Buffer {
  if (body.length > LIMIT) throw new RangeError('message too long')
  const out = Buffer.allocUnsafe(5 + body.length)
  out[0] = type
  out.writeInt32BE(4 + body.length, 1)
  body.copy(out, 5)
  return out
}

function cstrings(...values: string[]): Buffer {
  // A zero byte would end the string early and shift every field behind it.
  for (const value of values) if (value.includes('\0')) throw new RangeError('string with a zero byte')
  return Buffer.from(values.map((value) => `${value}\0`).join(''))
}

// ---- what a server sends ----

/** AuthenticationOk. */
export const AUTHENTICATION_OK = authentication(0)
/** AuthenticationCleartextPassword. */
export const AUTHENTICATION_CLEARTEXT = authentication(3)
/** ReadyForQuery, idle. */
export const READY_IDLE = message(BACKEND.ReadyForQuery, Buffer.from('I'))
export const PARSE_COMPLETE = message(BACKEND.ParseComplete, Buffer.alloc(0))
export const BIND_COMPLETE = message(BACKEND.BindComplete, Buffer.alloc(0))
export const CLOSE_COMPLETE = message(BACKEND.CloseComplete, Buffer.alloc(0))
export const NO_DATA = message(BACKEND.NoData, Buffer.alloc(0))
export const PORTAL_SUSPENDED = message(BACKEND.PortalSuspended, Buffer.alloc(0))
export const EMPTY_QUERY_RESPONSE = message(BACKEND.EmptyQueryResponse, Buffer.alloc(0))

/** An Authentication request with its code and what follows it. */
function authentication(code: number, data: Buffer = Buffer.alloc(0)): Buffer {
  const body = Buffer.allocUnsafe(4 + data.length)
  body.writeInt32BE(code, 0)
  data.copy(body, 4)
  return message(BACKEND.Authentication, body)
}

/** AuthenticationMD5Password. */
export function authenticationMd5(salt: Buffer): Buffer {
  return authentication(5, salt)
}

/** AuthenticationSASL with the mechanisms offered, best first. */
export function authenticationSasl(mechanisms: readonly string[]): Buffer {
  return authentication(10, Buffer.concat([cstrings(...mechanisms), Buffer.from([0])]))
}

/** AuthenticationSASLContinue. */
export function authenticationSaslContinue(data: Buffer): Buffer {
  return authentication(11, data)
}

/** AuthenticationSASLFinal. */
export function authenticationSaslFinal(data: Buffer): Buffer {
  return authentication(12, data)
}

/** BackendKeyData; the secret has 4 bytes in protocol 3.0, up to 256 in 3.2. */
export function backendKeyData(pid: number, secret: Buffer): Buffer {
  const body = Buffer.allocUnsafe(4 + secret.length)
  body.writeInt32BE(pid, 0)
  secret.copy(body, 4)
  return message(BACKEND.BackendKeyData, body)
}

/** ParameterStatus. */
export function parameterStatus(name: string, value: string): Buffer {
  return message(BACKEND.ParameterStatus, cstrings(name, value))
}

/** NegotiateProtocolVersion: the newest minor version spoken, and the protocol options not understood. */
export function negotiateProtocolVersion(version: number, unknown: readonly string[]): Buffer {
  const header = Buffer.allocUnsafe(8)
  header.writeInt32BE(version, 0)
  header.writeInt32BE(unknown.length, 4)
  return message(BACKEND.NegotiateProtocolVersion, Buffer.concat([header, cstrings(...unknown)]))
}

function fieldsBody(fields: ErrorFields): Buffer {
  const parts = [
    ['S', fields.severity],
    ['V', fields.severity],
    ['C', fields.sqlstate],
    ['M', fields.message],
    ['D', fields.detail],
    ['H', fields.hint],
    ['F', fields.file],
    ['R', fields.routine],
  ]
  let text = ''
  // Values may come from a peer; a zero byte in one must not start a field of its own.
  for (const [key, value] of parts) if (value) text += `${key}${value.replaceAll('\0', '')}\0`
  return Buffer.from(`${text}\0`)
}

/** ReadyForQuery with the transaction status byte. */
export function readyForQuery(status: number): Buffer {
  return message(BACKEND.ReadyForQuery, Buffer.from([status]))
}

/** CommandComplete. */
export function commandComplete(tag: string): Buffer {
  return message(BACKEND.CommandComplete, cstrings(tag))
}

/** ErrorResponse. */
export function errorResponse(fields: ErrorFields): Buffer {
  return message(BACKEND.ErrorResponse, fieldsBody(fields))
}

/** NoticeResponse. */
export function noticeResponse(fields: ErrorFields): Buffer {
  return message(BACKEND.NoticeResponse, fieldsBody(fields))
}

// ---- what a client sends ----

export const FLUSH = message(FRONTEND.Flush, Buffer.alloc(0))
export const SYNC = message(FRONTEND.Sync, Buffer.alloc(0))
export const TERMINATE = message(FRONTEND.Terminate, Buffer.alloc(0))

/** Query. */
export function query(sql: string): Buffer {
  return message(FRONTEND.Query, cstrings(sql))
}

/** Close of a portal. */
export function closePortal(name: string): Buffer {
  return message(FRONTEND.Close, cstrings(`P${name}`))
}

/** Execute of a portal, to its end. */
export function executePortal(name: string): Buffer {
  return message(FRONTEND.Execute, Buffer.concat([Buffer.from(`${name}\0`), Buffer.alloc(4)]))
}

/** CopyFail with the reason the server shall report. */
export function copyFail(reason: string): Buffer {
  return message(FRONTEND.CopyFail, cstrings(reason))
}

/** A password or SASL message with this body. */
export function passwordMessage(body: Buffer): Buffer {
  return message(FRONTEND.Password, body)
}
