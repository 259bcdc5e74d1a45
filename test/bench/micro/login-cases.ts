/**
 * A client that comes, is let in and leaves, as `pgbench -C` and programs without a pool of their own do all day: its first
 * bytes, its objects, its greeting. Real negotiation, session, pool and registry; the socket is a stub, and PostgreSQL
 * lets everybody in.
 */

import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { inspect } from 'node:util'
import { PassthroughMemory } from '../../../lib/auth/passthrough.ts'
import type { ClientPorts } from '../../../lib/client/lifecycle/ports.ts'
import { resolveConfig } from '../../../lib/config/load.ts'
import { acceptClient } from '../../../lib/daemon/accept.ts'
import { Newcomers } from '../../../lib/daemon/newcomers.ts'
import { Registry } from '../../../lib/daemon/registry.ts'
import { Deadlines } from '../../../lib/net/deadlines.ts'
import type { TlsStore } from '../../../lib/net/tls-context.ts'
import { type PasswordProver, passthroughKey } from '../../../lib/routing/password-proof.ts'
import { Router } from '../../../lib/routing/router.ts'
import { Routes } from '../../../lib/routing/routes.ts'
import { StatementStores } from '../../../lib/statements/statement-stores.ts'
import { now } from '../../../lib/util/clock.ts'
import type { Logger } from '../../../lib/util/logger.ts'
import { frontend } from '../../fixtures/messages.ts'
import type { MicroCase, MicroGroup } from './micro-case.ts'

class StubSocket extends EventEmitter {
  readonly writableLength = 0
  destroyed = false
  written = 0

  write(bytes: Buffer): boolean {
    this.written += bytes.length
    return true
  }

  pause(): this {
    return this
  }

  resume(): this {
    return this
  }

  destroy(): this {
    this.destroyed = true
    return this
  }
}

const WELCOME = new Map([
  ['client_encoding', 'UTF8'],
  ['DateStyle', 'ISO, MDY'],
  ['server_version', '18.0'],
  ['standard_conforming_strings', 'on'],
  ['TimeZone', 'UTC'],
])

const startup = frontend.startup({ user: 'app', database: 'app', application_name: 'pgbench', client_encoding: 'UTF8' })
const packets = [frontend.sslRequest(), startup, frontend.terminate()]
const info = { remoteAddress: '127.0.0.1', remotePort: 50_000, unix: false, loopback: true }

function logins(name: string): MicroCase {
  const silent = (): void => {}
  // A defect, of pgbun or of what stands here for its other parts, is not measured.
  let defect = ''
  const fail = (message: string, fields?: object): void => {
    defect ||= `${message}: ${inspect(fields)}`
  }
  const log = { debug: silent, info: silent, warn: silent, error: fail } as unknown as Logger
  const { config } = resolveConfig({ options: { poolMode: 'transaction', poolSize: 20 } })
  const routes = new Routes(config)
  const router = new Router(routes, {
    open: () => new Promise(() => {}),
    isPaused: () => false,
    cancel: async () => {},
    log,
  } as never)
  const passthrough = new PassthroughMemory({ now, ttlMs: Number.POSITIVE_INFINITY })
  const registry = new Registry(() => 1000)
  const pool = router.pool('app', 'app')!
  pool.getWelcome = () => WELCOME
  passthrough.markNoPassword(passthroughKey(pool), '')
  const ports = {
    config: { ...config, logConnections: false, logDisconnections: false },
    log,
    registry,
    passthrough,
    ends: {},
    prover: { admits: () => true } as unknown as PasswordProver,
    statements: new StatementStores(),
    console: { isConsole: () => false },
    isDisabled: () => false,
    whenServed: () => undefined,
    pool: (database: string, user: string) => router.pool(database, user),
    clientCounts: (database: string, user: string) => routes.clientCounts(database, user),
    clientLimits: (database: string, user: string) => routes.clientLimits(database, user),
  } as unknown as ClientPorts
  const newcomers = new Newcomers(() => 1000, log)
  const parts = { ports, registry, newcomers, tls: { current: undefined } as TlsStore, deadlines: new Deadlines() }
  return {
    name,
    messages: 1,
    pauseAfter: 50,
    run() {
      const socket = new StubSocket()
      acceptClient(socket as unknown as Socket, info, parts)
      for (const packet of packets) socket.emit('data', packet)
      if (defect !== '') throw new Error(defect)
      if (socket.written < 100 || !socket.destroyed) throw new Error('the client was not greeted, or did not leave')
    },
  }
}

export const loginCases: MicroGroup = { title: 'logins', cases: [logins('SSLRequest, startup, greeting, Terminate')] }
