/** All clients of a run at work, from its first login until the last of them has finished its round. */
import { LoadClient, type Run } from './client.ts'
import type { Scenario } from './scenario.ts'

/** After an interrupt, what is under way may take so long to end by itself, in milliseconds. */
const GRACE_MS = 3000

export interface Work {
  scenario: Scenario
  concurrency: number
  durationMs: number
  /** Sessions end after some rounds. */
  inSessions: boolean
}

/** Each client does one round at least, and stops at its first error. Resolves with the milliseconds it took. */
export async function drive(run: Run, { scenario, concurrency, durationMs, inSessions }: Work): Promise<number> {
  const start = performance.now()
  const over = (): boolean => run.stop.aborted || performance.now() - start >= durationMs

  async function work(client: LoadClient): Promise<void> {
    let round = 0
    do {
      const last = inSessions ? round + scenario.roundsPerSession : Number.POSITIVE_INFINITY
      await client.connect()
      const next = scenario.session(client)
      do await next(round++)
      while (round < last && !over())
      await client.end()
    } while (!over())
  }

  const clients = Array.from({ length: concurrency }, (_, index) => new LoadClient(run, index))
  let abandoned = false
  const all = Promise.all(
    clients.map((client) =>
      work(client).catch((error: unknown) => {
        // Its transaction, if it is in one, must not outlast it: what is wrong is told by the first error alone.
        client.vanish()
        if (!abandoned) run.tally.failed(error)
      }),
    ),
  )
  await Promise.race([all, interrupted(run.stop)])
  abandoned = true
  for (const client of clients) client.vanish()
  return performance.now() - start
}

/** Resolves when an interrupt is so long ago that nothing is waited for any more. */
export function interrupted(stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wait = (): void => void setTimeout(resolve, GRACE_MS)
    if (stop.aborted) wait()
    else stop.addEventListener('abort', wait)
  })
}
