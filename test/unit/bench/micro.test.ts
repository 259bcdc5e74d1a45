import t from 'tap'
import { loginCases } from '../../bench/micro/login-cases.ts'
import { measureMicro, repeat } from '../../bench/micro/measure.ts'
import { replyPlanCases } from '../../bench/micro/reply-plan-cases.ts'
import { rewritingCases } from '../../bench/micro/rewriting-cases.ts'
import { scannerCases } from '../../bench/micro/scanner-cases.ts'
import { settingsCases } from '../../bench/micro/settings-cases.ts'

const plan = { rounds: 3, warmUp: 1, round: 1 }

t.test('every case can be repeated', async (t) => {
  for (const { title, cases } of [scannerCases, replyPlanCases, rewritingCases, settingsCases, loginCases]) {
    for (const { name, run } of cases) {
      run()
      t.doesNotThrow(run, `${title}: ${name}`)
    }
  }
})

t.test('figures are per message', async (t) => {
  let calls = 0
  const run = (): void => {
    calls++
    // Long enough for any clock.
    for (const end = performance.now() + 0.5; performance.now() < end; );
  }
  const { nanoseconds, least, spread } = await measureMicro({ name: 'slow', messages: 5, run }, plan)
  t.ok(calls > 3)
  t.ok(
    least >= 100_000 && least <= nanoseconds,
    'half a millisecond for five messages, or more where it is interrupted',
  )
  t.ok(spread >= 0)
})

t.test('what a case leaves to microtasks is done every so many calls', async (t) => {
  let waiting = 0
  let most = 0
  const run = (): void => {
    most = Math.max(most, ++waiting)
    queueMicrotask(() => waiting--)
  }
  await repeat({ name: 'later', messages: 1, pauseAfter: 7, run }, 20)
  t.equal(most, 7)
})

t.test('a case that goes wrong is no figure', async (t) => {
  const run = (): void => {
    throw new Error('not what was expected')
  }
  await t.rejects(() => measureMicro({ name: 'wrong', messages: 1, run }, plan), { message: 'not what was expected' })
})
