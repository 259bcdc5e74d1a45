/** The table of trials. */
import { PLAIN, type Setup, TLS } from '../cases.ts'
import { idleMemoryTrial } from './idle-memory.ts'
import { queueTrial } from './queue.ts'
import { resumeTrial } from './resume.ts'
import { slowReadersTrial } from './slow-readers.ts'
import { stormTrial } from './storm.ts'
import type { Trial } from './trial.ts'

const fewServers: Setup = { ...PLAIN, poolSize: 2 }

export const TRIALS: readonly Trial[] = [
  queueTrial('queue', 'latency of 1,000 clients on 20 servers beside an ideal queue', PLAIN),
  stormTrial('storm', 'connect and one query, 5,000 clients at once', PLAIN),
  stormTrial('storm-shipped', 'the same, each pooler with the backlog it is shipped with', {
    ...PLAIN,
    backlog: 'shipped',
  }),
  resumeTrial('tls-resume', 'connect over TLS with a session to resume, one query, disconnect', TLS),
  slowReadersTrial('slow-readers', '100 slow readers of a result of 1 GB', { ...PLAIN, poolSize: 110 }),
  idleMemoryTrial('memory', 'resident memory per idle client', fewServers),
  idleMemoryTrial('memory-tls', 'resident memory per idle client over TLS', { ...TLS, poolSize: 2 }),
]

/** Names for --only. */
export const TRIAL_NAMES: readonly string[] = TRIALS.map(({ name }) => name)
