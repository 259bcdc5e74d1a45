/**
 * The differential fuzzer for half a minute: random conversations, directly and through pgbun, must be answered alike. Half
 * of the time without and half of it with statements that leave state in the session. A case that fails is cut down,
 * printed, and kept in a file that `npm run fuzz -- --replay` takes.
 *
 * PGBUN_TEST_SEED: the first case's seed, otherwise a new one each time. PGBUN_FUZZ_SECONDS: for how long.
 */
import t from 'tap'
import { DEFAULTS, reportFailure, runCampaign } from './campaign.ts'
import { Lab } from './lab.ts'

const seconds = Number(process.env.PGBUN_FUZZ_SECONDS ?? 30)
const seed = Number(process.env.PGBUN_TEST_SEED ?? Date.now() % 2 ** 31)

// Cutting down takes its own time, once for each half.
t.setTimeout((seconds + 400) * 1000)

t.test(`every answer is that of a direct connection, PGBUN_TEST_SEED=${seed}`, async (t) => {
  const lab = await Lab.start(t)
  for (const state of [false, true]) {
    await t.test(state ? 'with session state' : 'without session state', async (t) => {
      const { cases, failed } = await runCampaign(lab, { ...DEFAULTS, seed, duration: seconds * 500, state })
      t.comment(`${cases} cases`)
      if (failed) t.fail(`seed ${failed.seed}`, { report: reportFailure(failed, lab.log), at: null, stack: '' })
      else t.pass('no difference')
    })
  }
})
