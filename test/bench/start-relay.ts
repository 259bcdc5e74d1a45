/** Starts the relay that pgbun is compared with (relay.mjs). */
import { fileURLToPath } from 'node:url'
import { waitFor } from '../fixtures/wait.ts'
import type { Owner } from './owner.ts'

const PROGRAM = fileURLToPath(new URL('relay.mjs', import.meta.url))

/** Where it takes its servers, as whom, and how many. */
interface Upstream {
  host: string
  port: number
  user: string
  size: number
}

/** Resolves once it accepts connections; it ends with `owner`. @param node the path of the Node that runs it */
export async function startRelay(
  owner: Owner,
  node: string,
  { host, port, user, size }: Upstream,
): Promise<{ port: number; pid: number }> {
  const program = owner.start(node, [PROGRAM, host, String(port), user, String(size)])
  const [, listening] = await waitFor(() => /listening on (\d+)/.exec(program.output), {
    what: () => `the relay to listen; it printed:\n${program.output}`,
  })
  return { port: Number(listening), pid: program.child.pid! }
}
