/**
 * The login of a visitor of HTTP: the same exchange as of a client that logs in to the console with its password in clear,
 * with the same memory of wrong passwords.
 */

import { ClientInfo } from '../client/lifecycle/client-info.ts'
import type { ClientPorts } from '../client/lifecycle/ports.ts'
import { AuthRefused, type PasswordSource } from '../client/login/authenticate.ts'
import { provePassword } from '../client/login/console-login.ts'
import { errorFields } from '../errors.ts'
import type { Origin, Role } from '../http/ports.ts'
import { neighbourhoodOf } from '../net/neighbourhood.ts'
import type { LogFields } from '../util/logger.ts'

/** Who `user` is at the console; undefined, and a line in the log, where the password is not right. */
export async function loginVisitor(
  user: string,
  password: string,
  origin: Origin,
  signal: AbortSignal,
  ports: ClientPorts,
): Promise<Role | undefined> {
  const address = `${origin.address}:${origin.port}`
  const neighbourhood = neighbourhoodOf(origin.address)
  // Whether it may come in clear was decided before. Nobody is let in unasked, not even from this machine: behind a proxy,
  // everybody comes from there.
  const info = new ClientInfo({ address, neighbourhood, local: false, unix: false, tls: 'HTTP' })
  info.user = user
  const source: PasswordSource = {
    nextPassword: async () => Buffer.from(`${password}\0`),
    signal,
    tarries() {},
    goesOn() {},
  }
  try {
    return await provePassword({ info, ports, wire: { write: () => true } }, source)
  } catch (error) {
    if (!(error instanceof AuthRefused)) throw error
    ports.log.warn('HTTP: login refused', { user, address, ...reasonOf(error) })
    return undefined
  }
}

function reasonOf({ reason, message }: AuthRefused): LogFields {
  if (reason.kind === 'refused') return { reason: reason.fields.message, remedy: reason.remedy }
  if (reason.kind !== 'error') return { reason: message }
  return { reason: reason.reason ?? errorFields(reason.name, reason.args).message, remedy: reason.remedy }
}
