/**
 * What a new connection goes through before it is lent for the first time: its host must have the role that is asked for
 * (target_session_attrs), and connect_query is run. One that is not admitted is closed.
 */

import type { ServerConnection } from '../server/connection.ts'
import { InternalQuery } from '../server/internal-query.ts'
import { LoginError } from '../server/login.ts'
import type { Logger } from '../util/logger.ts'
import { HostMisfit } from './opening.ts'
import { fits, type HostRole, MISFIT, ROLE_QUERY, readRole, reportedRole, type SessionAttrs } from './session-attrs.ts'

/** What it must do. */
export interface Admission {
  readonly attrs: SessionAttrs
  /** With prefer-standby: another host may be a standby. */
  mayFindStandby(): boolean
  /** '' for none. */
  readonly connectQuery: string
  /** The host turned out to have `role`. */
  roleFound(server: ServerConnection, role: HostRole): void
  readonly log: Logger
}

/** Called with why the connection cannot be used, or with nothing. */
type Admitted = (fault?: LoginError) => void

/** Admit `server`, which is settled and lent to nobody; `done` may be called at once. */
export function admitServer(server: ServerConnection, admission: Admission, done: Admitted): void {
  const role = reportedRole(server.settings.reported)
  if (role !== undefined || admission.attrs === 'any') {
    judge(server, role, admission, done)
    return
  }
  InternalQuery.run(server, ROLE_QUERY, 'hold', (result) => {
    if (result.kind === 'done') judge(server, readRole(result.answer.rows()), admission, done)
    else refuse(server, 'its role could not be asked for', new LoginError('the connection was lost', LOST), done)
  })
}

/** The server closed the connection: its host is at fault. */
const LOST = { sqlstate: '08006' }

function judge(server: ServerConnection, role: HostRole | undefined, admission: Admission, done: Admitted): void {
  const { attrs, roleFound, connectQuery, mayFindStandby } = admission
  if (role !== undefined) roleFound(server, role)
  const worse = attrs === 'prefer-standby' && role?.standby === false && mayFindStandby()
  if (role !== undefined && (worse || !fits(attrs, role))) {
    refuse(server, MISFIT, new HostMisfit(server.identity.address, attrs), done)
  } else if (connectQuery === '') done()
  else greet(server, admission, done)
}

/** Run the operator's connect_query. That it failed is logged, and no reason not to use the connection (PgBouncer). */
function greet(server: ServerConnection, { connectQuery, log }: Admission, done: Admitted): void {
  InternalQuery.run(server, connectQuery, 'hold', (result) => {
    const about = { ...server.about(), sql: connectQuery }
    if (result.kind === 'error') log.warn(`connect_query failed: ${result.error.message}`, about)
    if (result.kind !== 'closed' && server.settled) {
      done()
      return
    }
    log.warn('server connection closed: connect_query has left a transaction open, or has ended it', about)
    const fault = new LoginError('connect_query has left no usable connection', { sqlstate: '57P03' })
    refuse(server, 'connect_query has left it unusable', fault, done)
  })
}

function refuse(server: ServerConnection, reason: string, fault: LoginError, done: Admitted): void {
  server.close(reason)
  done(fault)
}
