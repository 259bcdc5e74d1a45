/**
 * How a replication client gets in, and its server connection: who it is is proven as for any client; then a connection
 * is opened for it alone, with its own startup parameters. With auth_type passthrough that connection is the proof: a
 * walsender of no database is admitted by other lines of pg_hba.conf than any ordinary client, and its user may have
 * no database to connect to.
 */

import type { Credentials } from '../../auth/credentials.ts'
import { type LoginTo, loginTo } from '../../pool/target.ts'
import { type Proof, passthroughKey } from '../../routing/password-proof.ts'
import { LoginError } from '../../server/login.ts'
import type { OpenedServer } from '../../server/open.ts'
import {
  type AuthClient,
  askPassword,
  authenticate,
  candidateOf,
  guarded,
  letInUnasked,
  mustAsk,
  type PasswordSource,
} from './authenticate.ts'

/** The client is who it says, and has a connection. */
export interface ReplicationLogin {
  opened: OpenedServer
  /** AuthenticationSASLFinal, to be sent in front of AuthenticationOk. */
  final?: Buffer
}

type Open = (credentials: Credentials) => Promise<OpenedServer>

/**
 * Authenticate `client` and open its server connection.
 * @param parameters its startup parameters, without the user
 * @throws AuthRefused, or a LoginError where PostgreSQL refused
 */
export async function loginForReplication(
  client: AuthClient,
  source: PasswordSource,
  parameters: readonly (readonly [string, string])[],
): Promise<ReplicationLogin> {
  const { ports, info, pool } = client
  const login = loginTo(pool)
  const open: Open = async (credentials) => {
    try {
      const opened = await ports.openDedicated(login, credentials, { mode: info.replication, parameters })
      pool.counters.opened++
      return opened
    } catch (error) {
      pool.counters.openFailures++
      throw error
    }
  }
  if (ports.config.authType === 'passthrough') return { opened: await passThrough(client, source, login, open) }
  const { credentials, final } = await authenticate(client, source)
  return { opened: await open(credentials), final }
}

async function passThrough(client: AuthClient, source: PasswordSource, to: LoginTo, open: Open): Promise<OpenedServer> {
  const { passthrough: memory, prover } = client.ports
  // pg_hba.conf knows a logical walsender by its database, a physical one by the word replication.
  const key = passthroughKey(to, client.info.replication === 'physical')
  const login = (password?: string): Promise<Login> => {
    return prover.login(key, password, candidateOf(client, source), open)
  }
  const merit = memory.meritOf(key)
  if (merit !== undefined) letInUnasked(client, { merit })
  if (!mustAsk(client, key)) {
    try {
      return checked(client, await login())
    } catch (error) {
      if (!(error instanceof LoginError && error.askedForPassword)) throw error
      memory.markPassword(key)
    }
  }
  const password = await askPassword(client, source)
  const proven = await guarded(client, source, key, password, () => login(password))
  return checked(client, proven === 'accepted' ? await login(password) : proven)
}

interface Login {
  opened: OpenedServer
  proof: Proof
}

/** What was opened, where that has proven who the client is, or need not. */
function checked(client: AuthClient, { opened, proof }: Login): OpenedServer {
  if (proof === 'accepted') return opened
  try {
    letInUnasked(client, proof)
    return opened
  } catch (error) {
    opened.wire.destroy()
    throw error
  }
}
