/**
 * A server that goes from client to client: its settings are compared with what the next one wants, and those that
 * differ applied, as PostgreSQL answers to that. Real settings and a real task; the server is a stub.
 */

import { applySettings } from '../../../lib/client/link/apply-settings.ts'
import type { ServerConnection } from '../../../lib/server/connection.ts'
import { LeaseEffects } from '../../../lib/server/lease-effects.ts'
import type { Consumer } from '../../../lib/server/ports.ts'
import { SessionContent } from '../../../lib/server/session-content.ts'
import { ClientSettings } from '../../../lib/settings/client-settings.ts'
import { ServerSettings } from '../../../lib/settings/server-settings.ts'
import { SettingValues } from '../../../lib/settings/setting-values.ts'
import { ServerStatements } from '../../../lib/statements/server-statements.ts'
import { StatementStore } from '../../../lib/statements/shared-statements.ts'
import { backend } from '../../fixtures/messages.ts'
import type { MicroCase, MicroGroup } from './micro-case.ts'

/** What PostgreSQL reports by itself. */
const REPORTED: [string, string][] = [
  ['application_name', ''],
  ['client_encoding', 'UTF8'],
  ['DateStyle', 'ISO, MDY'],
  ['default_transaction_read_only', 'off'],
  ['in_hot_standby', 'off'],
  ['integer_datetimes', 'on'],
  ['IntervalStyle', 'postgres'],
  ['is_superuser', 'off'],
  ['scram_iterations', '4096'],
  ['search_path', '"$user", public'],
  ['server_encoding', 'UTF8'],
  ['server_version', '18.0'],
  ['session_authorization', 'app'],
  ['standard_conforming_strings', 'on'],
  ['TimeZone', 'UTC'],
]

class Lab {
  readonly settings = new ServerSettings(new Map(REPORTED))
  readonly content = new SessionContent(new ServerStatements(new StatementStore()))
  readonly effects = new LeaseEffects()
  readonly cancels = 0
  readonly plan = { expect() {} }
  readonly wire = { resume() {} }
  #task: Consumer | undefined

  lend(task: Consumer): void {
    this.#task = task
  }

  send(): void {}

  /** A client with these wanted gets it; `changes` are what PostgreSQL reports then. */
  link(wanted: SettingValues, changes: readonly [string, string][], answer: Buffer): void {
    const client = new ClientSettings()
    client.setStartup(wanted)
    let linked = false
    const same = applySettings(this as unknown as ServerConnection, client, () => {
      linked = true
    })
    if (same) return
    for (const [name, value] of changes) this.settings.report(name, value)
    this.#task!.onServerBytes(answer)
    this.#task!.onServerReady(0x49, true)
    if (!linked) throw new Error('the settings were not applied')
  }
}

function answerTo(changes: readonly [string, string][]): Buffer {
  const reports = changes.map(([name, value]) => backend.parameterStatus(name, value))
  return Buffer.concat([
    backend.rowDescription('set_config'),
    backend.dataRow('x'),
    backend.commandComplete('SELECT 1'),
    ...reports,
  ])
}

function switching(name: string, ...clients: [string, string][][]): MicroCase {
  const lab = new Lab()
  const parts = clients.map((changes) => ({
    changes,
    wanted: new SettingValues(new Map(changes.map(([key, value]) => [key.toLowerCase(), value]))),
    answer: answerTo(changes),
  }))
  return {
    name,
    messages: clients.length,
    run() {
      for (const { wanted, changes, answer } of parts) lab.link(wanted, changes, answer)
    },
  }
}

const TOKYO: [string, string][] = [
  ['TimeZone', 'Asia/Tokyo'],
  ['DateStyle', 'ISO, DMY'],
]
const NEW_YORK: [string, string][] = [
  ['TimeZone', 'America/New_York'],
  ['DateStyle', 'SQL, MDY'],
]

export const settingsCases: MicroGroup = {
  title: 'settings of the next client of a server (clients counted)',
  cases: [switching('the same', TOKYO), switching('another TimeZone and DateStyle', TOKYO, NEW_YORK)],
}
