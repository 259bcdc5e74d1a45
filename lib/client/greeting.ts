/**
 * The ParameterStatus messages of a greeting (protocol chapter "Start-up"). Nearly all clients of a pool get the same,
 * so they are built once per pool and set of differing values, and not fifteen messages for each login.
 */

import { parameterStatus } from '../protocol/build.ts'
import type { ClientParameters } from '../session/parameters.ts'
import type { Wishes } from '../session/wishes.ts'
import { BoundedMap } from '../util/bounded-map.ts'

/** Sets of values remembered per welcome: an application_name may be different for each client. */
const REMEMBERED = 32
/** UTF-16 units of such a set that is remembered. */
const MAX_KEY = 512

/** By the parameters a pool welcomes with, which are replaced as a whole. */
const known = new WeakMap<ReadonlyMap<string, string>, Welcome>()

interface Welcome {
  /** Parameter names in lower case. */
  names: ReadonlySet<string>
  /** By the values that differ. */
  greetings: BoundedMap<Buffer>
  /** The same by the wishes themselves, which clients of one program share. */
  byWishes: WeakMap<Wishes, Buffer>
}

/** The parameters of `welcome` with the values that `parameters` wants instead, as messages. The bytes are shared. */
export function parameterMessages(welcome: ReadonlyMap<string, string>, parameters: ClientParameters): Buffer {
  let entry = known.get(welcome)
  if (entry === undefined) {
    const names = new Set([...welcome.keys()].map((name) => name.toLowerCase()))
    entry = { names, greetings: new BoundedMap(REMEMBERED), byWishes: new WeakMap() }
    known.set(welcome, entry)
  }
  const { wishes } = parameters
  let greeting = entry.byWishes.get(wishes)
  if (greeting !== undefined) return greeting
  greeting = build(welcome, entry, parameters)
  entry.byWishes.set(wishes, greeting)
  return greeting
}

function build(welcome: ReadonlyMap<string, string>, entry: Welcome, parameters: ClientParameters): Buffer {
  let key = ''
  // No value has a zero byte: it would have ended there in the startup packet.
  for (const name of parameters.names()) if (entry.names.has(name)) key += `${name}\0${parameters.get(name)}\0`
  const remembered = entry.greetings.get(key)
  if (remembered !== undefined) return remembered
  const messages: Buffer[] = []
  for (const [name, value] of welcome) messages.push(parameterStatus(name, parameters.get(name) ?? value))
  const greeting = Buffer.concat(messages)
  if (key.length <= MAX_KEY) entry.greetings.set(key, greeting)
  return greeting
}
