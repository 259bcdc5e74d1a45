import t from 'tap'
import { parseBenchArguments } from '../../bench/arguments.ts'
import { CASE_NAMES } from '../../bench/cases.ts'
import { TRIAL_NAMES } from '../../bench/trials/trials.ts'

t.test('without arguments everything is measured', async (t) => {
  const options = parseBenchArguments([])
  t.match(options, { reps: 3, seconds: 3, clients: [1, 8, 32, 200], runtimes: ['node'], postgres: 'auto' })
  t.same(options.only, [...CASE_NAMES, ...TRIAL_NAMES])
})

t.test('--quick is shorter, and what is said besides it counts', async (t) => {
  t.match(parseBenchArguments(['--quick']), { reps: 1, seconds: 2, clients: [1, 32] })
  t.match(parseBenchArguments(['--quick', '--reps', '5', '--clients', '8']), { reps: 5, seconds: 2, clients: [8] })
})

t.test('lists', async (t) => {
  const options = parseBenchArguments(['--only=simple, 50kB', '--clients', '1,8', '--runtime', 'node,bun'])
  t.match(options, { only: ['simple', '50kB'], clients: [1, 8], runtimes: ['node', 'bun'] })
})

t.test('details are left out of a quick run, or by request', async (t) => {
  const details = (...args: string[]) => parseBenchArguments(args).details
  t.same([details(), details('--no-details')], [true, false])
  t.same([details('--quick'), details('--quick', '--details')], [false, true])
})

t.test('paths', async (t) => {
  t.match(parseBenchArguments(['--node', '/opt/node', '--report', 'x.md']), { node: '/opt/node', report: 'x.md' })
})

t.test('mistakes name the option and what it takes', async (t) => {
  const mistakes: [string[], string | RegExp][] = [
    [['--reps', '0'], '--reps 0: a whole number from 1 to 100 is needed'],
    [['--seconds', '1.5'], '--seconds 1.5: a whole number from 1 to 3600 is needed'],
    [['--clients', '8,many'], '--clients many: a whole number from 1 to 1000 is needed'],
    [['--only', 'simpel'], /^--only: no case 'simpel'\. There are: simple, extended/],
    [['--postgres', 'mysql'], '--postgres mysql: must be one of auto, system, embedded'],
    [['--fast'], /--fast/],
  ]
  for (const [args, message] of mistakes) t.throws(() => parseBenchArguments(args), { message })
})
