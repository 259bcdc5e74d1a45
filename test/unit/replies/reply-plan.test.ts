/**
 * The reply plan against a model of PostgreSQL's own loop, on random streams in random interleavings (protocol chapters
 * "Extended Query", "Pipelining", "COPY Operations"; the release rule of transaction pooling).
 */
import t from 'tap'
import {
  BIND,
  CLOSE,
  COPY_END,
  DESCRIBE,
  DESYNC,
  EXECUTE,
  FAKE,
  FORWARD,
  FUNCTION_CALL,
  PARSE,
  QUERY,
  SKIP,
  SWALLOW,
  SYNC,
  TO_CLIENT,
} from '../../../lib/replies/reply-kinds.ts'
import { ReplyPlan } from '../../../lib/replies/reply-plan.ts'
import { randomFractions } from '../../fixtures/random.ts'
import { BackendModel, type Request, type Statement } from './backend-model.ts'

const KINDS: Record<string, number> = {
  P: PARSE,
  B: BIND,
  D: DESCRIBE,
  E: EXECUTE,
  C: CLOSE,
  S: SYNC,
  Q: QUERY,
  F: FUNCTION_CALL,
  c: COPY_END,
  f: COPY_END,
}

const FAKES: Record<number, string> = { [PARSE]: '1', [CLOSE]: '3' }
const OUTCOMES = ['to client', 'swallowed', 'DESYNC']

function onReply(plan: ReplyPlan, type: string): number {
  return plan.onMessage(type === '*' ? 0 : type.charCodeAt(0))
}

/** The plan between a client's random stream and the model; `seen` is what the client is shown. */
class Run {
  readonly random: () => number
  readonly model: BackendModel
  readonly plan: ReplyPlan
  readonly log: string[] = []
  /** What the client gets to see: of the server, and in its place. */
  readonly seen: string[] = []
  /** What it should see. */
  readonly expected: string[] = []
  /** Replies of the proxy's own whose turn has come. */
  #fakes: string[] = []
  #stream: Request[]

  constructor(seed: number, features: Features) {
    this.random = randomFractions(seed)
    this.model = new BackendModel(this.random)
    this.plan = new ReplyPlan({
      onAnswered: (kind, action) => {
        if (action === FAKE) this.#fakes.push(FAKES[kind]!)
      },
      onDropped: () => {},
    })
    this.#stream = randomStream(this.random, features)
  }

  get over(): boolean {
    return this.#stream.length === 0 && this.model.quiet && this.model.output.length === 0
  }

  /** One of the three things that can happen next. */
  step(): void {
    const choice = this.random()
    if (choice < 0.35 && this.#stream.length > 0) this.send(this.#stream.shift()!)
    else if (choice < 0.7) this.model.step()
    else this.deliver()
  }

  send(request: Request): void {
    const kind = KINDS[request.type]
    this.log.push(`> ${JSON.stringify(request)}`)
    this.model.input.push(request)
    if (kind !== undefined) this.plan.expect(kind, request.injected ? SKIP : request.faked ? FAKE : FORWARD)
    this.seen.push(...this.#fakes.splice(0))
    this.check()
  }

  deliver(): void {
    const reply = this.model.output.shift()
    if (reply === undefined) return
    if (reply.to === 'client') this.expected.push(reply.type)
    // A request that was never sent has no reply on the wire: the plan gives one when its turn comes.
    if (reply.faked) return
    const outcome = onReply(this.plan, reply.type)
    this.log.push(`< ${reply.type} ${OUTCOMES[outcome]}`)
    if (outcome === DESYNC) throw new Error('the plan lost a server that kept the protocol')
    if ((outcome === TO_CLIENT) !== (reply.to === 'client')) throw new Error(`${OUTCOMES[outcome]}: ${reply.type}`)
    if (outcome === TO_CLIENT) this.seen.push(reply.type)
    this.seen.push(...this.#fakes.splice(0))
    this.check()
    if (reply.type === 'Z' && this.plan.doubtful) this.resolveDoubt()
  }

  check(): void {
    if (this.plan.settled && !this.model.clean) throw new Error('the plan would give away a server that is not done')
  }

  /** Let everything come to rest. */
  finish(): void {
    for (let i = 0; !this.over; i++) {
      if (i > 100_000) throw new Error('it does not come to rest')
      this.step()
    }
    if (this.plan.settled !== this.model.clean) {
      throw new Error(`settled is ${this.plan.settled}, and the server is ${this.model.clean ? '' : 'not '}clean`)
    }
    if (this.model.skipping && !this.plan.needsSync) throw new Error('nobody will send the Sync the server waits for')
    if (this.plan.readies > 0) throw new Error(`${this.plan.readies} ReadyForQuery too many are expected`)
    if (this.seen.join('') !== this.expected.join('')) {
      throw new Error(`the client saw\n  ${this.seen.join('')} instead of\n  ${this.expected.join('')}`)
    }
  }

  /** What the server connection does (resolveDoubt in server/connection.ts). */
  resolveDoubt(): void {
    this.send({ type: 'C', injected: true })
    this.send({ type: 'S', injected: true })
  }
}

interface Features {
  /** Requests the proxy sends, or does not send, on its own. */
  proxy: boolean
  /** A Query among extended messages that have not been synced. */
  mixed: boolean
  /** Syncs among the data of a COPY. */
  syncsInCopy: boolean
}

const SIMPLE: Statement[] = ['rows', 'command', 'empty', 'error', 'rows then error', 'copy out']

function randomStream(random: () => number, { proxy, mixed, syncsInCopy }: Features): Request[] {
  const stream: Request[] = []
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  const chance = (probability: number): boolean => random() < probability
  /** What a client sends for a COPY IN, with the Syncs and Flushes of drivers that do not wait. */
  const copyData = (): boolean => {
    const before = stream.length
    while (chance(0.2)) stream.push({ type: pick(syncsInCopy ? ['S', 'H'] : ['H']) })
    while (chance(0.6)) stream.push(!syncsInCopy || chance(0.9) ? { type: 'd', variant: chance(0.1) } : { type: 'S' })
    stream.push({ type: pick(['c', 'c', 'c', 'f']), variant: chance(0.1) })
    return stream.slice(before).some((request) => request.type === 'S')
  }
  const copies = (statements: Statement[]): void => {
    for (const statement of statements) if (statement === 'copy in') copyData()
  }
  const extended = (): void => {
    for (let count = 1 + Math.floor(random() * 5); count > 0; count--) {
      const fails = chance(0.12)
      const type = pick(['P', 'B', 'B', 'D', 'E', 'E', 'C', 'H'])
      if (proxy && chance(0.2) && (type === 'P' || type === 'C')) stream.push({ type, faked: true })
      else if (type === 'E') {
        const statements: Statement[] = [chance(0.15) ? 'copy in' : pick(SIMPLE)]
        stream.push({ type, statements, variant: chance(0.3) })
        // Who has sent a Sync already takes the batch for finished, and ends the copy with another.
        if (statements[0] === 'copy in' && copyData()) {
          stream.push({ type: 'S' })
          return
        }
      } else {
        if (proxy && (type === 'B' || type === 'D') && chance(0.3)) {
          if (chance(0.3)) stream.push({ type: 'C', injected: true })
          stream.push({ type: 'P', injected: true, fails: chance(0.1) })
        }
        stream.push({ type, fails: fails && type !== 'C', variant: chance(0.3) })
      }
    }
  }
  const simple = (): void => {
    const statements = Array.from({ length: Math.floor(random() * 4) }, () =>
      chance(0.15) ? 'copy in' : pick(SIMPLE),
    ) as Statement[]
    if (statements.length === 0) statements.push('empty')
    stream.push({ type: 'Q', statements })
    copies(statements)
  }
  for (let rounds = 1 + Math.floor(random() * 6); rounds > 0; rounds--) {
    if (chance(0.1)) stream.push({ type: pick(['d', 'c', 'f', 'H']) })
    if (chance(0.1)) stream.push({ type: 'F', fails: chance(0.3) })
    else if (chance(0.3)) simple()
    else {
      extended()
      if (mixed && chance(0.2)) simple()
      if (chance(0.9) || !mixed) stream.push({ type: 'S', fails: chance(0.1) })
      while (chance(0.1)) stream.push({ type: 'S' })
    }
  }
  return stream
}

for (const [name, features, rounds] of [
  ['batches, queries, copies, function calls', { proxy: false, mixed: false, syncsInCopy: false }, 10_000],
  ['with Syncs inside of copies', { proxy: false, mixed: false, syncsInCopy: true }, 20_000],
  ['with queries inside of batches', { proxy: false, mixed: true, syncsInCopy: true }, 20_000],
  ['with requests injected and faked by the proxy', { proxy: true, mixed: true, syncsInCopy: false }, 20_000],
] as [string, Features, number][]) {
  t.test(`${rounds} random streams: ${name}`, async (t) => {
    for (let seed = 1; seed <= rounds; seed++) {
      const run = new Run(seed, features)
      try {
        run.finish()
      } catch (error) {
        t.fail(`seed ${seed}: ${(error as Error).message}`, { log: run.log, stack: (error as Error).stack })
        return
      }
    }
    t.pass()
  })
}

t.test('a reply the server does not owe is found out, wherever it comes', async (t) => {
  const types = [...'Z123CInTsGE*']
  const found: Record<string, number> = {}
  for (let seed = 1; seed <= 5000; seed++) {
    const run = new Run(seed, { proxy: false, mixed: false, syncsInCopy: false })
    for (let steps = Math.floor(run.random() * 40); steps > 0 && !run.over; steps--) run.step()
    const [next] = run.model.output
    const type = types[Math.floor(run.random() * types.length)]!
    if (run.plan.settled) {
      // Nothing is owed: everything is too much.
      if (onReply(run.plan, type) !== DESYNC) t.fail(`${type} on a settled plan`, { seed, log: run.log })
      else found[type] = (found[type] ?? 0) + 1
      continue
    }
    // An error may come at any time. Which rows and tags belong to a statement, only its text would tell.
    if (next === undefined || next.type === type || type === 'E' || next.type === 'E') continue
    if (!'123'.includes(type) && !'123'.includes(next.type)) continue
    if (onReply(run.plan, type) === DESYNC) found[type] = (found[type] ?? 0) + 1
    else t.fail(`${type} in the place of ${next.type}`, { seed, log: run.log })
  }
  for (const type of types) t.ok((found[type] ?? 0) > 10, `${type}: ${found[type]} times`)
})

t.test('a ReadyForQuery for a query that has not said anything is another one', async (t) => {
  const plan = new ReplyPlan()
  plan.expect(QUERY)
  t.equal(onReply(plan, 'Z'), DESYNC)
})

t.test('the release rule', async (t) => {
  const plan = new ReplyPlan()
  t.ok(plan.settled)
  plan.expect(PARSE)
  t.notOk(plan.settled)
  t.equal(onReply(plan, '1'), TO_CLIENT)
  t.notOk(plan.settled, 'not before the Sync: the server is inside of a batch')
  t.ok(plan.needsSync)
  plan.expect(SYNC)
  t.notOk(plan.settled)
  t.equal(onReply(plan, 'Z'), TO_CLIENT)
  t.ok(plan.settled)
  plan.expect(QUERY)
  plan.expect(QUERY)
  for (const type of 'CZ') onReply(plan, type)
  t.notOk(plan.settled, 'not at any ReadyForQuery, only at the last')
  for (const type of 'CZ') onReply(plan, type)
  t.ok(plan.settled)
})

t.test('an error discards what is behind it up to the Sync, a Query included', async (t) => {
  const plan = new ReplyPlan()
  for (const kind of [PARSE, BIND, QUERY, EXECUTE, SYNC, QUERY]) plan.expect(kind)
  t.equal(plan.readies, 3)
  t.equal(onReply(plan, 'E'), TO_CLIENT)
  t.equal(plan.readies, 2)
  for (const type of 'ZCZ') t.equal(onReply(plan, type), TO_CLIENT)
  t.ok(plan.settled)
})

t.test('in a batch that failed nothing is expected until the Sync is sent', async (t) => {
  const plan = new ReplyPlan()
  plan.expect(PARSE)
  onReply(plan, 'E')
  t.ok(plan.skipping)
  for (const kind of [BIND, EXECUTE, QUERY, FUNCTION_CALL]) plan.expect(kind)
  t.equal(plan.size, 0)
  t.notOk(plan.settled)
  plan.expect(SYNC)
  t.notOk(plan.skipping)
  t.equal(onReply(plan, 'Z'), TO_CLIENT)
  t.ok(plan.settled)
})

t.test('who asked with a request is told how it ended', async (t) => {
  const told: unknown[] = []
  const plan = new ReplyPlan({
    onAnswered: (kind, action, ref) => void told.push(['answered', kind, action, ref]),
    onDropped: (kind, action, ref) => void told.push(['dropped', kind, action, ref]),
  })
  plan.expect(PARSE, SKIP, 'first')
  plan.expect(BIND, FORWARD, 'second')
  plan.expect(CLOSE, FAKE, 'third')
  plan.expect(SYNC)
  t.strictSame(told, [], 'a fake waits for its turn')
  t.equal(onReply(plan, '1'), SWALLOW)
  t.equal(onReply(plan, '2'), TO_CLIENT)
  t.strictSame(told.splice(0), [
    ['answered', PARSE, SKIP, 'first'],
    ['answered', BIND, FORWARD, 'second'],
    ['answered', CLOSE, FAKE, 'third'],
  ])
  onReply(plan, 'Z')
  told.length = 0
  plan.expect(CLOSE, FAKE, 'at once')
  t.strictSame(told.splice(0), [['answered', CLOSE, FAKE, 'at once']])
  t.ok(plan.settled, 'what was not sent opens no batch')

  plan.expect(PARSE, SKIP, 'bad')
  plan.expect(CLOSE, FAKE, 'lost')
  t.equal(onReply(plan, 'E'), TO_CLIENT, 'the client would have had this error for its own message')
  plan.expect(PARSE, FAKE, 'late')
  t.strictSame(told, [
    ['dropped', PARSE, SKIP, 'bad'],
    ['dropped', CLOSE, FAKE, 'lost'],
    ['dropped', PARSE, FAKE, 'late'],
  ])
})

t.test('thousands of requests under way', async (t) => {
  const refs: unknown[] = []
  const plan = new ReplyPlan({ onAnswered: (_kind, _action, ref) => void refs.push(ref), onDropped: () => {} })
  for (let i = 0; i < 5000; i++) {
    plan.expect(BIND, FORWARD, i)
    if (i % 3 === 0) onReply(plan, '2')
  }
  while (plan.size > 0) onReply(plan, '2')
  t.strictSame(refs, [...Array(5000).keys()])
})

t.test('a failed COPY with a Sync in it leaves a doubt, which a reply to anything later settles', async (t) => {
  const copy = (): ReplyPlan => {
    const plan = new ReplyPlan()
    for (const kind of [BIND, EXECUTE, SYNC]) plan.expect(kind)
    for (const type of '2GE') t.equal(onReply(plan, type), TO_CLIENT)
    t.notOk(plan.settled)
    return plan
  }
  // It failed before it read the Sync: that ends the batch.
  const early = copy()
  t.equal(onReply(early, 'Z'), TO_CLIENT)
  t.ok(early.settled)
  // It had ignored the Sync: the client sends another.
  const late = copy()
  late.expect(COPY_END)
  late.expect(SYNC)
  t.equal(onReply(late, 'Z'), TO_CLIENT)
  t.notOk(late.settled, 'one more ReadyForQuery may come')
  t.ok(late.doubtful)
  late.expect(DESCRIBE, SKIP)
  late.expect(SYNC, SKIP)
  t.equal(onReply(late, 'n'), SWALLOW)
  t.equal(onReply(late, 'Z'), SWALLOW)
  t.ok(late.settled)
})

t.test('clear forgets everything', async (t) => {
  const plan = new ReplyPlan()
  for (const kind of [EXECUTE, SYNC]) plan.expect(kind)
  for (const type of 'GE') onReply(plan, type)
  plan.clear()
  t.ok(plan.settled)
  t.equal(plan.size + plan.readies, 0)
  t.equal(onReply(plan, 'Z'), DESYNC)
})
