/**
 * A client's messages on their way to its server: announced, rewritten where they name a statement, forwarded. The
 * real Upstream with its statements and a real reply plan; session and server are stubs that count bytes, and the plan is
 * told at once what the server would answer.
 */

import { Activity } from '../../../lib/client/lifecycle/activity.ts'
import type { ClientPorts } from '../../../lib/client/lifecycle/ports.ts'
import type { RunningStatements } from '../../../lib/client/requests/running-statements.ts'
import { type RequestingClient, Upstream } from '../../../lib/client/requests/upstream.ts'
import type { ClientEffects } from '../../../lib/client/state/client-effects.ts'
import { Batch } from '../../../lib/protocol/batch.ts'
import { Scanner } from '../../../lib/protocol/scanner.ts'
import { BACKEND_TABLE, FRONTEND_TABLE, type MessageTable } from '../../../lib/protocol/types.ts'
import { DESYNC, FAKE } from '../../../lib/replies/reply-kinds.ts'
import { ReplyPlan } from '../../../lib/replies/reply-plan.ts'
import type { ServerConnection } from '../../../lib/server/connection.ts'
import { LeaseEffects } from '../../../lib/server/lease-effects.ts'
import type { PlanRef } from '../../../lib/server/ports.ts'
import { SessionContent } from '../../../lib/server/session-content.ts'
import { NO_SETTING_VALUES } from '../../../lib/settings/setting-values.ts'
import { ServerStatements } from '../../../lib/statements/server-statements.ts'
import { StatementStores } from '../../../lib/statements/statement-stores.ts'
import { backend } from '../../fixtures/messages.ts'
import type { MicroCase, MicroGroup } from './micro-case.ts'
import { replies, requests } from './replies.ts'

/** A client in transaction mode that holds a server, as far as Upstream looks at them. */
class Lab {
  readonly upstream: Upstream
  readonly statements = new StatementStores()
  readonly #server: ServerConnection
  readonly #plan = new ReplyPlan({
    onAnswered: (_kind, _action, ref) => (ref as PlanRef | undefined)?.answered(),
    onDropped: (_kind, _action, ref, failed) => (ref as PlanRef | undefined)?.dropped(failed),
  })

  constructor() {
    const { statements } = this
    const plan = this.#plan
    const prepared = new ServerStatements(statements.of('database'))
    const server = {
      plan,
      statements: prepared,
      content: new SessionContent(prepared),
      effects: new LeaseEffects(),
      txStatus: 0x49,
      sent: 0,
      send(bytes: Buffer) {
        this.sent += bytes.length
      },
      expectFake(kind: number, ref: PlanRef) {
        plan.expect(kind, FAKE, ref)
      },
    }
    const effects = {
      id: 1,
      mode: 'transaction',
      parameters: { wanted: NO_SETTING_VALUES, startup: new Map() },
      parseSettings: () => NO_SETTING_VALUES,
      transaction: { knowsLocal: false, note() {}, noteControl() {}, noteMeaning() {} },
      remembered: { kinds: new Map(), lookFor: () => true },
      functions: { quiet: true, readsSequences: false },
      pool: { database: 'database', user: 'user', counters: { received: 0 } },
      pin() {},
    }
    const ports = {
      statements,
      config: { maxPreparedStatements: 200, maxClientPreparedStatements: 0, maxPreparedStatementMemory: 0 },
    }
    this.#server = server as unknown as ServerConnection
    this.upstream = new Upstream(
      { awaitsReplies: ({ plan }) => plan.readies > 0 } as RequestingClient,
      effects as unknown as ClientEffects,
      new Activity(),
      ports as unknown as ClientPorts,
      { watching: false } as RunningStatements,
    )
  }

  /** Forward what `batch` holds; the batch goes back. */
  forward(batch: Batch): void {
    if (!this.upstream.forward(this.#server, batch)) throw new Error('the upstream direction waits for something')
    batch.release()
  }

  /** The server answers so. */
  answer(types: readonly number[]): void {
    for (let i = 0; i < types.length; i++) {
      if (this.#plan.onMessage(types[i]!) === DESYNC) throw new Error('an answer was not expected')
    }
  }

  /** The server answers with `reply`, of which the descriptions are read. */
  tell(reply: Buffer): void {
    const batch = scanned(BACKEND_TABLE, reply)
    for (let i = 0; i < batch.count; i++) {
      const ref = this.#plan.ref as PlanRef | undefined
      if (this.#plan.onMessage(batch.type(i)) === DESYNC) throw new Error('an answer was not expected')
      ref?.described?.(batch.type(i), batch.bytesOf(i), batch.flags(i))
    }
    batch.release()
  }

  /** Number of answers the server owes. */
  get owed(): number {
    return this.#plan.size
  }

  settle(): void {
    if (!this.#plan.settled) throw new Error('something is left in the plan')
  }
}

function scanned(table: MessageTable, bytes: Buffer): Batch {
  const batch = Batch.take(bytes)
  new Scanner(table).scan(bytes, batch)
  return batch
}

/** Types of the messages in a reply. */
function typesOf(reply: Buffer): number[] {
  const batch = scanned(BACKEND_TABLE, reply)
  return Array.from({ length: batch.count }, (_, i) => batch.type(i))
}

function conversation(name: string, messages: number, request: Buffer, reply: Buffer, before?: () => Lab): MicroCase {
  const lab = before?.() ?? new Lab()
  const scanner = new Scanner(FRONTEND_TABLE)
  const answers = typesOf(reply)
  return {
    name,
    messages,
    run() {
      const batch = Batch.take(request)
      scanner.scan(request, batch)
      lab.forward(batch)
      lab.answer(answers)
      lab.settle()
    },
  }
}

const ready = backend.ready()
const { parse, close, describe, sync } = requests
const described = Buffer.concat([backend.parameterDescription(23), backend.rowDescription('abalance')])
const describeReply = Buffer.concat([described, ready])

/** A client that has prepared its statement. */
function prepared(): Lab {
  const lab = new Lab()
  lab.forward(scanned(FRONTEND_TABLE, Buffer.concat([requests.parse, requests.sync])))
  lab.tell(Buffer.concat([backend.parseComplete(), describeReply]))
  lab.settle()
  // However long it runs.
  const body = parse.subarray(parse.indexOf(0, 5) + 1)
  lab.statements.of('database').find(NO_SETTING_VALUES, body)!.checkedAt = Number.POSITIVE_INFINITY
  return lab
}

/** A client of whose unnamed statements pgbun has stopped to ask what they are: it binds each only once. */
function habitual(): Lab {
  const lab = new Lab()
  for (let asked = true; asked; ) {
    lab.forward(scanned(FRONTEND_TABLE, requests.extended))
    asked = lab.owed > 5
    lab.tell(asked ? Buffer.concat([backend.parseComplete(), described, replies.prepared]) : replies.extended)
    lab.settle()
  }
  return lab
}

/** A client without a statement, on a server where another one has prepared the same text. */
function shared(): Lab {
  const lab = prepared()
  lab.forward(scanned(FRONTEND_TABLE, Buffer.concat([requests.close, requests.sync])))
  lab.answer(typesOf(backend.ready()))
  lab.settle()
  return lab
}

export const rewritingCases: MicroGroup = {
  title: 'scanner, upstream and reply plan together (messages of the client counted)',
  cases: [
    conversation('Query', 1, requests.query, replies.query),
    conversation('unnamed: Parse, Bind, Describe, Execute, Sync', 5, requests.extended, replies.extended, habitual),
    conversation('named: Bind, Describe, Execute, Sync', 4, requests.prepared, replies.prepared, prepared),
    conversation('named: Describe, Sync', 2, Buffer.concat([describe, sync]), describeReply, prepared),
    conversation(
      'named, known to the server: Parse, Close, Sync',
      3,
      Buffer.concat([parse, close, sync]),
      ready,
      shared,
    ),
  ],
}
