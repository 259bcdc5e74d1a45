/** What the session on a host must be fit for: libpq's `target_session_attrs`. Pure. */

/** As libpq has it. */
export type SessionAttrs = 'any' | 'read-write' | 'read-only' | 'primary' | 'standby' | 'prefer-standby'

/** Why a connection to another host is closed. */
export const MISFIT = 'the role of its host is not that of target_session_attrs'

/** What a host is. */
export interface HostRole {
  /** PostgreSQL is in recovery (`in_hot_standby`, `pg_is_in_recovery()`). */
  readonly standby: boolean
  /** Its sessions are read-only by default (`default_transaction_read_only`), or by being on a standby. */
  readonly readOnly: boolean
}

/** Whether `role` is what `attrs` ask for; `prefer-standby` is content with anything. */
export function fits(attrs: SessionAttrs, { standby, readOnly }: HostRole): boolean {
  switch (attrs) {
    case 'any':
    case 'prefer-standby':
      return true
    case 'read-write':
      return !readOnly
    case 'read-only':
      return readOnly
    case 'primary':
      return !standby
    case 'standby':
      return standby
  }
}

/** The role that a session reports (PostgreSQL 14 and later); undefined where it does not. */
export function reportedRole(parameters: { get(name: string): string | undefined }): HostRole | undefined {
  const standby = parameters.get('in_hot_standby')
  if (standby === undefined) return undefined
  const readOnly = standby === 'on' || parameters.get('default_transaction_read_only') === 'on'
  return { standby: standby === 'on', readOnly }
}

/** Asks for the role, where it is not reported: one row of two booleans. */
export const ROLE_QUERY =
  "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool"

/** The role in the answer to ROLE_QUERY. */
export function readRole([row]: readonly (readonly (string | null)[])[]): HostRole {
  return { standby: row?.[0] === 't', readOnly: row?.[1] === 't' }
}
