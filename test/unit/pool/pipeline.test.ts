/**
 * Requests of several clients on one server, in every order of answers, errors, cancels, departures and losses, against a
 * model of what each client is to be told (pipeline-model.ts).
 */
import t, { type Test } from 'tap'
import { randomFractions } from '../../fixtures/random.ts'
import { type Options, Run, type Step } from './pipeline-model.ts'
import type { Saying } from './pipeline-sayings.ts'

const say = (...sayings: Saying[]): Step => ({ say: sayings })
const leave = (how: 'abandoned' | 'finishing' | 'broken' = 'abandoned', who?: number): Step => ({ leave: how, who })
const CANCEL: Step = { cancel: true }
const CANCEL_OVER: Step = { cancelOver: true }
const LOSE: Step = { lose: true }
const ARRIVE: Step = { arrive: {} }

/** What may become of one request when its turn has come. */
const OUTCOMES: Record<string, Step[]> = {
  answer: [say('answer')],
  error: [say('error')],
  'in two reads': [say('half'), say('answer')],
  'in two messages': [say('piece'), say('answer')],
  'an error behind a row': [say('piece'), say('error')],
  'left, and is answered': [leave(), say('answer')],
  'left, and is canceled': [leave(), say('canceled')],
  'took its leave': [leave('finishing'), say('answer')],
  'left half way': [say('half'), leave(), say('answer')],
  'left half way, and is canceled': [say('piece'), leave(), say('canceled')],
  'asked for a cancel': [CANCEL, say('canceled')],
  'asked for it half way': [say('half'), CANCEL, say('answer')],
  'asked too late': [CANCEL, say('answer')],
  'asked, and left': [CANCEL, leave(), say('canceled')],
  'is hit': [say('canceled')],
  'is hit, in two reads': [say('failing'), say('ready')],
  'is hit, and leaves': [say('failing'), leave(), say('ready')],
  'is sent again': [say('refused')],
  'is sent again, and leaves': [say('refusing'), leave(), say('ready')],
}
const ALL = Object.keys(OUTCOMES)
const MOST = [
  'answer',
  'error',
  'in two reads',
  'in two messages',
  'left, and is answered',
  'left, and is canceled',
  'took its leave',
  'left half way',
  'asked for a cancel',
  'asked too late',
  'is hit',
  'is hit, in two reads',
  'is sent again',
]
const FEWER = [
  'answer',
  'in two messages',
  'left, and is answered',
  'asked for a cancel',
  'asked too late',
  'is hit, in two reads',
  'is sent again',
]
const FEWEST = ['answer', 'in two messages', 'left, and is answered', 'asked too late', 'is hit, in two reads']
/** Those of a line of five. */
const LEAST = ['answer', 'left, and is answered', 'asked too late', 'is hit, in two reads']
const LARGE: Record<string, Step[]> = {
  large: [say('bulk'), say('answer')],
  'large, and fails': [say('bulk'), say('error')],
  'large, and is hit': [say('bulk'), say('canceled')],
  'large, and asked for a cancel': [say('bulk'), CANCEL, say('canceled')],
  'large, and left': [say('bulk'), leave(), say('answer')],
}
/** Of one that has left before. */
const OF_NOBODY: Step[][] = [[say('answer')], [say('canceled')], [say('half'), say('answer')]]

/** How the connection may be lost. */
const LOSSES: Step[][] = [[LOSE], [say('fatal'), LOSE], [say('fatal'), leave(), LOSE]]

t.setTimeout(300_000)

interface Case extends Options {
  steps: Step[]
}

function isMid(steps: Step[]): boolean {
  const last = steps.findLast((step) => 'say' in step)
  return last !== undefined && 'say' in last && last.say.at(-1) === 'half'
}

/**
 * All cases of a line of `size`: who has left before the first is answered, what becomes of each, and where the connection is
 * lost, if it is.
 */
function* casesOf(size: number, outcomes: Step[][], early: 'early' | 'stay' = 'early'): Generator<Step[]> {
  for (let left = 0; left < (early === 'stay' ? 1 : 1 << size); left++) {
    const before: Step[] = []
    for (let who = 0; who < size; who++) if ((left & (1 << who)) !== 0) before.push(leave('abandoned', who))
    yield* casesFrom(0, before)
    function* casesFrom(place: number, steps: Step[]): Generator<Step[]> {
      if (place === size) {
        yield steps
        return
      }
      const gone = (left & (1 << place)) !== 0
      yield* lost(steps, gone)
      for (const outcome of gone ? OF_NOBODY : outcomes) {
        for (let at = 1; at < outcome.length; at++) {
          const before = outcome.slice(0, at)
          yield* lost([...steps, ...before], gone || before.some((step) => 'leave' in step))
        }
        yield* casesFrom(place + 1, [...steps, ...outcome])
      }
    }
    function* lost(steps: Step[], gone: boolean): Generator<Step[]> {
      for (const loss of LOSSES) {
        if (loss.length > 1 && isMid(steps)) continue
        if (loss.length > 2 && gone) continue
        yield [...steps, ...loss]
      }
    }
  }
}

/** Cancel requests that are over at once, or only in the end. */
function* withCancels(cases: Iterable<Step[]>): Generator<Step[]> {
  for (const steps of cases) {
    yield steps
    if (steps.includes(CANCEL)) yield steps.flatMap((step) => (step === CANCEL ? [CANCEL, CANCEL_OVER] : [step]))
  }
}

/** What is said in one read after the other, in one. */
function merged(steps: Step[]): Step[] {
  const result: Step[] = []
  for (const step of steps) {
    const last = result.at(-1)
    if ('say' in step && last && 'say' in last) result.splice(-1, 1, say(...last.say, ...step.say))
    else result.push(step)
  }
  return result
}

function isPrepared(steps: Step[]): boolean {
  return steps.some((step) => 'say' in step && (step.say.includes('refused') || step.say.includes('refusing')))
}

/** Requests of `size` clients, of which some are prepared. */
function line(size: number, steps: Step[]): Options {
  const prepared = isPrepared(steps)
  return { requests: Array.from({ length: size }, (_, i) => ({ extended: prepared || i % 2 === 1 })) }
}

/** Whether `all` go as the model says; the first that does not is shown. */
function go(t: Test, all: Iterable<Case>): void {
  let count = 0
  for (const { steps, ...options } of all) {
    count++
    let run: Run | undefined
    try {
      run = new Run(options)
      for (const step of steps) if (run.givenUp === 0) run.step(step)
      run.finish()
    } catch (error) {
      const { message, stack } = error as Error
      t.fail(message, { options: JSON.stringify(options), steps: JSON.stringify(run?.log), stack })
      return
    }
  }
  t.ok(count > 0, `${count} cases`)
}

function* linesOf(size: number, names: readonly string[], early?: 'early' | 'stay'): Generator<Case> {
  const outcomes = names.map((name) => OUTCOMES[name]!)
  for (const steps of withCancels(casesOf(size, outcomes, early))) yield { steps, ...line(size, steps) }
}

for (const [size, names, early] of [
  [1, ALL, 'early'],
  [2, ALL, 'early'],
  [3, MOST, 'stay'],
  [3, FEWER, 'early'],
  [4, FEWER, 'stay'],
  [4, LEAST, 'early'],
  [5, LEAST, 'stay'],
] as const) {
  const who = early === 'early' ? 'of whom any may have left before' : 'who stay until then'
  t.test(`${size} in a line, ${who}, ${names.length} outcomes of each`, async (t) => go(t, linesOf(size, names, early)))
}

t.test('answers that come in one read', async (t) => {
  function* cases(): Generator<Case> {
    for (const [size, names, early] of [
      [2, ALL, 'early'],
      [3, FEWER, 'stay'],
      [4, FEWEST, 'stay'],
    ] as const) {
      for (const { steps, ...options } of linesOf(size, names, early)) {
        const inOne = merged(steps)
        if (inOne.length < steps.length) yield { steps: inOne, ...options }
      }
    }
  }
  go(t, cases())
})

t.test('answers that are too large to be held back', async (t) => {
  function* cases(): Generator<Case> {
    const outcomes = [...Object.values(LARGE), ...FEWEST.map((name) => OUTCOMES[name]!)]
    for (const size of [1, 2]) for (const steps of casesOf(size, outcomes)) yield { steps, ...line(size, steps) }
  }
  go(t, cases())
})

t.test('the last one is nobody’s to be sent behind', async (t) => {
  function* cases(): Generator<Case> {
    for (const steps of casesOf(1, Object.values(OUTCOMES))) {
      yield { steps, ...line(1, steps), unadmitted: true }
      yield { steps, requests: [{ suspected: true, extended: isPrepared(steps) }] }
    }
    for (const size of [2, 3]) {
      for (const { steps, requests } of linesOf(size, size === 2 ? MOST : FEWEST, size === 2 ? 'early' : 'stay')) {
        // Nobody sends a batch again while others are behind it, so that it would come to stand behind this one.
        if (!isPrepared(steps)) yield { steps, requests: requests.with(-1, { ...requests.at(-1), suspected: true }) }
      }
    }
  }
  go(t, cases())
})

t.test('others come meanwhile, and are let in or wait', async (t) => {
  function* cases(): Generator<Case> {
    for (const size of [1, 2, 3]) {
      for (const { steps, ...options } of linesOf(size, size < 3 ? FEWER : FEWEST, size < 3 ? 'early' : 'stay')) {
        for (let at = 0; at <= steps.length; at++) {
          const full = at % 2 === 1 ? [{ full: true }, ARRIVE, { full: false }] : [ARRIVE, ARRIVE]
          yield { steps: steps.toSpliced(at, 0, ...full), ...options }
        }
      }
    }
  }
  go(t, cases())
})

t.test('clients leave at any moment, in any order', async (t) => {
  const outcomes = ['answer', 'in two reads', 'is hit', 'is sent again'].map((name) => OUTCOMES[name]!)
  /** Have each of the clients from `who` on leave at any moment, or not at all. */
  function* leaving(steps: Step[], who: number, size: number, how: 'abandoned' | 'finishing'): Generator<Step[]> {
    if (who === size) {
      yield steps
      return
    }
    yield* leaving(steps, who + 1, size, how)
    for (let at = 0; at <= steps.length; at++) {
      yield* leaving(steps.toSpliced(at, 0, leave(how, who)), who + 1, size, how)
    }
  }
  function* cases(): Generator<Case> {
    for (const size of [1, 2, 3]) {
      for (const sayings of product(size, size < 3 ? outcomes : outcomes.slice(1, 3))) {
        for (const how of ['abandoned', 'finishing'] as const) {
          for (const steps of leaving(sayings, 0, size, how)) yield { steps, ...line(size, steps) }
        }
      }
    }
  }
  go(t, cases())
})

function* product(size: number, outcomes: Step[][]): Generator<Step[]> {
  if (size === 0) yield []
  else for (const before of product(size - 1, outcomes)) for (const outcome of outcomes) yield [...before, ...outcome]
}

t.test('a statement that did what it was certain not to do', async (t) => {
  function* cases(): Generator<Case> {
    const before = FEWER.map((name) => OUTCOMES[name]!)
    for (const size of [1, 2, 3]) {
      for (let at = 0; at < size; at++) {
        for (const steps of product(at, before)) {
          for (const wrong of ['transaction', 'changed', 'parameter', 'copy'] as const) {
            for (const left of at === size - 1 ? [[]] : [[], [leave('finishing')]]) {
              // The client that a transaction is left to ends it, before or after somebody else has come.
              const after = wrong === 'transaction' && at === size - 1 ? [ARRIVE, { commit: true } as const] : [ARRIVE]
              yield { steps: [...steps, ...left, say(wrong), ...after], ...line(size, steps) }
            }
          }
        }
      }
    }
  }
  go(t, cases())
})

t.test('and is never shared again', async (t) => {
  for (const wrong of ['transaction', 'changed', 'parameter', 'copy'] as const) {
    for (const size of [1, 2]) {
      const run = new Run(line(size, []))
      const [{ text }] = run.clients as [Run['clients'][0]]
      run.step(say(wrong))
      run.finish()
      for (let i = 0; i < 10_000; i++) text.ran(0.1, 100, false)
      // A client that is alone is asked for what has changed; a parameter that is reported is known.
      const shared = wrong === 'parameter' || (wrong === 'changed' && size === 1)
      t.equal(text.admitted, shared, `${wrong}, ${size}`)
      t.equal(run.pool.counters.wrongGuesses, shared ? 0 : 1)
    }
  }
})

t.test('the last one breaks off in the middle of a message', async (t) => {
  function* cases(): Generator<Case> {
    for (const size of [1, 2, 3]) {
      for (const { steps } of linesOf(size - 1, FEWER, 'stay')) {
        if (isPrepared(steps) || steps.includes(LOSE)) continue
        const { requests } = line(size, steps)
        for (let at = 0; at <= steps.length; at++) {
          const cut = [...steps.slice(0, at), leave('broken', size - 1)]
          yield { steps: cut, requests: requests.with(-1, { suspected: true }) }
        }
      }
    }
  }
  go(t, cases())
})

t.test('who is too slow is run again, alone, and so is the next one', async (t) => {
  for (const size of [2, 3]) {
    for (const outcome of ['canceled', 'answer'] as const) {
      const run = new Run(line(size, []), 1)
      await new Promise<void>((resolve) => (run.onCancel = resolve))
      run.check()
      t.equal(run.clients[0]!.text.admitted, false)
      run.step(say(outcome))
      run.finish()
      t.equal(run.clients[0]!.told.includes('|not run|'), outcome === 'canceled')
      t.equal(run.clients[1]!.told.includes('|not run|'), outcome === 'canceled')
    }
  }
})

t.test('one who gets a place and does not use it', async (t) => {
  for (const size of [0, 1, 2]) {
    const run = new Run(line(size, []))
    for (let at = 0; at <= size; at++) {
      const server = run.pool.server.connection
      const { pipelines } = run.pool
      const client = run.client({}, 50 + at)
      if (at === size) {
        run.pool.busy.add(server)
        pipelines.begin(server, client, 0).release('done')
        t.equal(pipelines.counts(true).servers, 0)
        run.forgetOver()
      } else {
        const lease = pipelines.join(client, 1e9, 0, () => true)!
        t.equal(
          pipelines.join(run.client({}, 60), 1e9, 0, () => true),
          undefined,
          'nobody comes before its request',
        )
        lease.release('done')
        run.check()
        run.step(say('answer'))
      }
    }
    run.finish()
    t.pass()
  }
})

t.test('how many may be under way', async (t) => {
  const run = new Run(line(1, []))
  const { pipelines } = run.pool
  const probe = run.client({}, 90)
  const joins = (budgetMs: number, at = 0): boolean => {
    let room = false
    pipelines.join(probe, budgetMs, at, () => {
      room = true
      return false
    })
    return room
  }
  t.ok(joins(0.11))
  t.notOk(joins(0.1), 'as long as all is expected to be done in time')
  t.ok(joins(1, 999))
  t.notOk(joins(1, 1000), 'until the pool has to look at the server')
  run.pool.server.connection.cancelBegan()
  t.notOk(joins(1e9), 'while it is canceled, whoever has asked for that')
  run.pool.server.connection.cancelEnded()
  for (let i = 1; i < 128; i++) run.step(ARRIVE)
  t.notOk(joins(1e9), '128')
  t.equal(pipelines.counts(true).deepest, 128)
  run.step(say('answer'))
  t.ok(joins(1e9))
  t.ok(joins(12.75))
  t.notOk(joins(12.65))
  while (run.queue.length > 0) run.step(say('answer'))
  run.finish()
})

/** What may happen next. */
function anything(run: Run, random: () => number): Step {
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!
  const [first] = run.queue
  const { running } = run
  const luck = random()
  if (luck < 0.1) return ARRIVE
  if (luck < 0.13) return { full: random() < 0.3 }
  if (luck < 0.2 && run.cancels > 0) return CANCEL_OVER
  if (first === undefined || luck < 0.21) return random() < 0.1 ? LOSE : ARRIVE
  const here = run.clients.filter(({ gone, lease }) => !gone && lease !== undefined)
  if (luck < 0.35 && here.length > 0) return leave(pick(['abandoned', 'finishing'] as const), pick(here).id)
  if (luck < 0.45 && running !== undefined) return CANCEL
  if (first.mid) return say('answer')
  if (luck < 0.46) return say('fatal')
  if (first.failed) return say('ready')
  const sayings: Saying[] = ['answer', 'answer', 'error', 'canceled', 'failing', 'half', 'piece']
  if (luck < 0.47) sayings.push('changed', 'parameter')
  const saying = pick(sayings.slice(first.said === '' ? 0 : 0, first.said === '' ? undefined : 5))
  return say(saying)
}

t.test('1,000 random walks of eight', async (t) => {
  for (let seed = 1; seed <= 1000; seed++) {
    const random = randomFractions(seed)
    const run = new Run(line(8, []))
    try {
      for (let steps = 0; steps < 40; steps++) {
        const step = anything(run, random)
        run.step(step)
        if ('say' in step && step.say[0] === 'fatal') run.step(LOSE)
      }
      run.step({ full: false })
      run.finish()
    } catch (error) {
      const { message, stack } = error as Error
      t.fail(`seed ${seed}: ${message}`, { steps: JSON.stringify(run.log), stack })
      return
    }
  }
  t.pass()
})
