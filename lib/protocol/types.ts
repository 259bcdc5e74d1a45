/**
 * Message type bytes of protocol 3 (PostgreSQL documentation, "Message Formats") and the bounds a scanner holds each
 * to. The bounds are those of the server's own reader (SocketBackend in postgres.c): large messages up to 1 GB - 1,
 * small ones 10 000 bytes.
 */

/** Types a client sends. */
export const FRONTEND = {
  Bind: 0x42, // B
  Close: 0x43, // C
  CopyData: 0x64, // d
  CopyDone: 0x63, // c
  CopyFail: 0x66, // f
  Describe: 0x44, // D
  Execute: 0x45, // E
  Flush: 0x48, // H
  FunctionCall: 0x46, // F
  Parse: 0x50, // P
  Password: 0x70, // p: also SASLInitialResponse, SASLResponse, GSSResponse
  Query: 0x51, // Q
  Sync: 0x53, // S
  Terminate: 0x58, // X
} as const

/** Types a server sends. */
export const BACKEND = {
  Authentication: 0x52, // R
  BackendKeyData: 0x4b, // K
  BindComplete: 0x32, // 2
  CloseComplete: 0x33, // 3
  CommandComplete: 0x43, // C
  CopyBothResponse: 0x57, // W
  CopyData: 0x64, // d
  CopyDone: 0x63, // c
  CopyInResponse: 0x47, // G
  CopyOutResponse: 0x48, // H
  DataRow: 0x44, // D
  EmptyQueryResponse: 0x49, // I
  ErrorResponse: 0x45, // E
  FunctionCallResponse: 0x56, // V
  NegotiateProtocolVersion: 0x76, // v
  NoData: 0x6e, // n
  NoticeResponse: 0x4e, // N
  NotificationResponse: 0x41, // A
  ParameterDescription: 0x74, // t
  ParameterStatus: 0x53, // S
  ParseComplete: 0x31, // 1
  PortalSuspended: 0x73, // s
  ReadyForQuery: 0x5a, // Z
  RowDescription: 0x54, // T
} as const

/** Transaction status bytes of ReadyForQuery. */
export const TX_IDLE = 0x49 // I
export const TX_BLOCK = 0x54 // T
export const TX_FAILED = 0x45 // E

/** What a scanner does with a message of one type. */
export interface MessageRule {
  /** True: may leave in one run with its neighbours; nobody needs to see where it begins. */
  pass: boolean
  /** So many bytes of the body (or the whole body, if shorter) are shown in one piece. 0: the header is enough. */
  need: number
  /** Largest body in bytes. */
  cap: number
  /** Of a body that begins with strings, so many of these are enough, however short they are. */
  strings?: number
}

/** Rules by type byte; undefined for a type that does not exist in that direction. */
export type MessageTable = readonly (MessageRule | undefined)[]

/** Largest body PostgreSQL itself accepts (PQ_LARGE_MESSAGE_LIMIT). */
export const LARGE = 0x3fffffff - 4
/** Body limit of messages that are always small (PQ_SMALL_MESSAGE_LIMIT, which counts the length word). */
const SMALL = 10_000 - 4
/** Longest password or SASL message taken from a peer that is not authenticated yet: cloud tokens have a few kB. */
const AUTH = 65_536
/** Statement texts up to this size are looked at as a whole; longer ones stream by. */
const TEXT = 262_144
/** The names in a Parse or a Bind are looked at up to this size of all together. */
export const NAMES = TEXT

function table(rules: Record<number, MessageRule>): MessageTable {
  return Array.from({ length: 256 }, (_, type) => rules[type])
}

/** The client's messages, after startup. */
export const FRONTEND_TABLE: MessageTable = table({
  // The names of a portal and a statement: what is looked at or rewritten.
  [FRONTEND.Bind]: { pass: false, need: NAMES, cap: LARGE, strings: 2 },
  [FRONTEND.Close]: { pass: false, need: SMALL, cap: SMALL },
  [FRONTEND.CopyData]: { pass: true, need: 0, cap: LARGE },
  [FRONTEND.CopyDone]: { pass: false, need: 0, cap: SMALL },
  [FRONTEND.CopyFail]: { pass: false, need: 0, cap: SMALL },
  [FRONTEND.Describe]: { pass: false, need: SMALL, cap: SMALL },
  [FRONTEND.Execute]: { pass: false, need: SMALL, cap: SMALL },
  [FRONTEND.Flush]: { pass: false, need: 0, cap: SMALL },
  // What it sets is among its arguments.
  [FRONTEND.FunctionCall]: { pass: false, need: TEXT, cap: LARGE },
  [FRONTEND.Parse]: { pass: false, need: TEXT, cap: LARGE },
  [FRONTEND.Password]: { pass: false, need: AUTH, cap: AUTH },
  [FRONTEND.Query]: { pass: false, need: TEXT, cap: LARGE },
  [FRONTEND.Sync]: { pass: false, need: 0, cap: SMALL },
  [FRONTEND.Terminate]: { pass: false, need: 0, cap: SMALL },
})

/** The server's messages. */
export const BACKEND_TABLE: MessageTable = table({
  [BACKEND.Authentication]: { pass: false, need: AUTH, cap: AUTH },
  [BACKEND.BackendKeyData]: { pass: false, need: 260, cap: 260 },
  [BACKEND.BindComplete]: { pass: false, need: 0, cap: 0 },
  [BACKEND.CloseComplete]: { pass: false, need: 0, cap: 0 },
  // The tag: the longest PostgreSQL has is well below this.
  [BACKEND.CommandComplete]: { pass: false, need: 128, cap: LARGE },
  [BACKEND.CopyBothResponse]: { pass: false, need: 0, cap: LARGE },
  [BACKEND.CopyData]: { pass: true, need: 0, cap: LARGE },
  [BACKEND.CopyDone]: { pass: true, need: 0, cap: SMALL },
  [BACKEND.CopyInResponse]: { pass: false, need: 0, cap: LARGE },
  [BACKEND.CopyOutResponse]: { pass: true, need: 0, cap: LARGE },
  [BACKEND.DataRow]: { pass: true, need: 0, cap: LARGE },
  [BACKEND.EmptyQueryResponse]: { pass: false, need: 0, cap: SMALL },
  // Severity, SQLSTATE and message come first; the query text in it may be long.
  [BACKEND.ErrorResponse]: { pass: false, need: 4096, cap: LARGE },
  [BACKEND.FunctionCallResponse]: { pass: true, need: 0, cap: LARGE },
  [BACKEND.NegotiateProtocolVersion]: { pass: false, need: SMALL, cap: SMALL },
  [BACKEND.NoData]: { pass: false, need: 0, cap: 0 },
  [BACKEND.NoticeResponse]: { pass: false, need: 0, cap: LARGE },
  // The process that has notified.
  [BACKEND.NotificationResponse]: { pass: false, need: 4, cap: LARGE },
  [BACKEND.ParameterDescription]: { pass: false, need: 0, cap: LARGE },
  [BACKEND.ParameterStatus]: { pass: false, need: AUTH, cap: AUTH },
  [BACKEND.ParseComplete]: { pass: false, need: 0, cap: 0 },
  [BACKEND.PortalSuspended]: { pass: false, need: 0, cap: 0 },
  [BACKEND.ReadyForQuery]: { pass: false, need: 1, cap: 1 },
  [BACKEND.RowDescription]: { pass: false, need: 0, cap: LARGE },
})

const BACKEND_NAMES = new Map<number, string>(Object.entries(BACKEND).map(([name, type]) => [type, name]))
const FRONTEND_NAMES = new Map<number, string>(Object.entries(FRONTEND).map(([name, type]) => [type, name]))

/** Readable name of a server's message type, for logs. */
export function backendName(type: number): string {
  return BACKEND_NAMES.get(type) ?? `message type ${type}`
}

/** Readable name of a client's message type, for logs. */
export function frontendName(type: number): string {
  return FRONTEND_NAMES.get(type) ?? `message type ${type}`
}
