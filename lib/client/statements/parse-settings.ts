/**
 * Under which settings a client's statement is prepared or executed, as far as they decide what it means: they are a part
 * of its identity (statements/shared-statements).
 */

import type { ServerConnection } from '../../server/connection.ts'
import { type ParseSettings, UNKNOWN_SETTINGS } from '../../settings/setting-values.ts'
import type { ClientSession } from '../session.ts'

/** What holds for `session` on `server` now. */
export function parseSettings(session: ClientSession, server: ServerConnection): ParseSettings {
  const { parameters, remembered } = session
  // A temporary table may hide another that the text names. Of one that stays for good nobody asks what it has set.
  if (remembered.pinnedForGood || remembered.kinds.has('temporary')) return UNKNOWN_SETTINGS
  // Something of the transaction under way may have changed what is set, or what names stand for.
  if (session.unsettled) return session.local?.settings(server) ?? UNKNOWN_SETTINGS
  const { effects, statements } = server
  if (effects.touched || effects.parametersChanged || statements.altering) return UNKNOWN_SETTINGS
  return parameters.wanted
}
