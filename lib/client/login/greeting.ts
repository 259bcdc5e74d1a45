/**
 * The ParameterStatus messages of a greeting (protocol chapter "Start-up"). Nearly all clients of a pool get the same,
 * so they are built once per pool and set of differing values, and not fifteen messages for each login.
 */

import { parameterStatus } from '../../protocol/build.ts'
import type { ClientSettings } from '../../settings/client-settings.ts'
import { BoundedMap } from '../../util/bounded-map.ts'

/** Greetings remembered per welcome: an application_name may be different for each client. */
const REMEMBERED = 32
/** UTF-16 units of the wanted of one that is. */
const MAX_KEY = 512

/** By the parameters a pool welcomes with, which are replaced as a whole; then by what is wanted instead. */
const known = new WeakMap<ReadonlyMap<string, string>, BoundedMap<Buffer>>()

/** The parameters of `welcome` with the values that `parameters` wants instead, as messages. The bytes are shared. */
export function parameterMessages(welcome: ReadonlyMap<string, string>, parameters: ClientSettings): Buffer {
  let greetings = known.get(welcome)
  if (greetings === undefined) known.set(welcome, (greetings = new BoundedMap(REMEMBERED)))
  const key = parameters.wanted.signature
  const remembered = greetings.get(key)
  if (remembered !== undefined) return remembered
  const messages: Buffer[] = []
  for (const [name, value] of welcome) messages.push(parameterStatus(name, parameters.get(name) ?? value))
  const greeting = alone(Buffer.concat(messages))
  if (key.length <= MAX_KEY) greetings.set(key, greeting)
  return greeting
}

/** A copy that keeps nothing else in memory: small buffers are cut out of larger ones. */
function alone(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(copy)
  return copy
}
