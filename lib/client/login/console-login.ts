/**
 * Who may use the console (PgBouncer: admin_users, stats_users): whoever has proven to be a user that the configuration
 * names. A client learns only afterwards whether its user is one of them.
 *
 * The users `pgbouncer` and `pgbun` need no password on a unix socket that only the account which runs pgbun can open: who
 * the client is, is known by that. Node has no other way to ask for the account at the other end.
 */

import { isConsoleName } from '../../config/console-names.ts'
import { nameInServer } from '../../protocol/startup.ts'
import { LoginError } from '../../server/login.ts'
import type { ConsoleUser } from '../lifecycle/console-backend.ts'
import {
  type Authenticated,
  AuthRefused,
  authenticate,
  type Comer,
  type PasswordSource,
  proveWithSecrets,
} from './authenticate.ts'

/** A client that may use the console. */
export interface AtConsole {
  readonly user: ConsoleUser
  /** Sent in front of AuthenticationOk. */
  readonly final?: Buffer
}

/**
 * Who `client` is at the console, if the password in clear that `source` gives is its own: for those who do not come by
 * PostgreSQL's protocol. With `auth_type = trust` only passwords of `auth_file` count: nobody is let in unasked.
 * @throws AuthRefused
 */
export async function provePassword(client: Comer, source: PasswordSource): Promise<ConsoleUser['role']> {
  const { info, ports } = client
  if (ports.config.authType === 'passthrough') await prove(client, source)
  else await proveWithSecrets(client, source, 'plain')
  const role = ports.console.roleOf(info.user)
  if (role === undefined) {
    throw new AuthRefused({ kind: 'error', name: 'console_login', args: { args: { user: info.user } } })
  }
  return role
}

/** Let `client` in. @throws AuthRefused */
export async function loginToConsole(client: Comer, source: PasswordSource): Promise<AtConsole> {
  const { info, ports } = client
  if (info.replication !== 'none') throw new AuthRefused({ kind: 'error', name: 'console_database' })
  if (isOwner(client)) return { user: { name: info.user, role: 'admin' } }
  const { final } = await prove(client, source)
  const role = ports.console.roleOf(info.user)
  if (role === undefined) {
    throw new AuthRefused({ kind: 'error', name: 'console_login', args: { args: { user: info.user } } })
  }
  return { user: { name: info.user, role }, final }
}

/**
 * Whether the client calls itself as the console is called, and only the account that runs pgbun can have opened the socket;
 * root may do so, too, which may do everything.
 */
function isOwner({ info, ports }: Comer): boolean {
  return info.origin.unix && isConsoleName(info.user) && ports.onlyOwnerConnects()
}

async function prove(client: Comer, source: PasswordSource): Promise<Authenticated> {
  const { info, ports } = client
  const { authType } = ports.config
  if (authType !== 'passthrough') return proveWithSecrets(client, source, authType)
  const pool = ports.poolToProve(nameInServer(info.user))
  if (pool === undefined) {
    throw new AuthRefused({
      kind: 'error',
      name: 'auth_required',
      args: { args: { user: info.user } },
      reason: 'there is no database in which PostgreSQL could be asked whether the password is right',
      remedy: 'give the users of the console secrets in auth_file, with auth_type scram-sha-256',
    })
  }
  // A pool without clients would be forgotten meanwhile.
  pool.clients++
  try {
    return await authenticate({ ...client, pool }, source)
  } catch (error) {
    if (!(error instanceof LoginError)) throw error
    throw new AuthRefused({ kind: 'refused', fields: pool.failureFields(error), remedy: error.remedy })
  } finally {
    pool.clients--
  }
}
