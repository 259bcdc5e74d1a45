/**
 * The differential fuzzer for half a minute: random conversations, directly and through pgbun, must be answered alike. A
 * third of the time without and a third with statements that leave state in the session, and a third with many clients on
 * few servers that they share (`server_pipelining`). A case that fails is cut down, printed, and kept in a file that
 * `npm run fuzz -- --replay` takes.
 *
 * PGBUN_TEST_SEED: the first case's seed, otherwise a new one each time. PGBUN_FUZZ_SECONDS: for how long.
 */
import t from 'tap'
import { DEFAULTS, reportFailure, runCampaign } from './campaign.ts'
import { Lab } from './lab.ts'

const seconds = Number(process.env.PGBUN_FUZZ_SECONDS ?? 30)
const seed = Number(process.env.PGBUN_TEST_SEED ?? Date.now() % 2 ** 31)

// Cutting down takes its own time, once for each part.
t.setTimeout((seconds + 500) * 1000)

t.test(`every answer is that of a direct connection, PGBUN_TEST_SEED=${seed}`, async (t) => {
  const lab = await Lab.start(t)
  const parts = {
    'without session state': {},
    'with session state': { state: true },
    'many clients on few servers': { pipelining: true, turns: 60 },
  }
  for (const [name, options] of Object.entries(parts)) {
    await t.test(name, async (t) => {
      const duration = (seconds * 1000) / Object.keys(parts).length
      const { cases, failed } = await runCampaign(lab, { ...DEFAULTS, seed, duration, ...options })
      t.comment(`${cases} cases`)
      if (failed) t.fail(`seed ${failed.seed}`, { report: reportFailure(failed, lab.log), at: null, stack: '' })
      else t.pass('no difference')
    })
  }
})
