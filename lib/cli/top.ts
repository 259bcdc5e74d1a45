/**
 * `pgbun top`: what a pgbun or PgBouncer does, live in a terminal. Joins the console (top/watcher), the choices of who
 * watches (top/state), the drawing (top/render) and the terminal (top/screen).
 */
import type { Config } from '../config/options.ts'
import { askOnce } from './ask-password.ts'
import { findConsole } from './console/console-place.ts'
import { openConsole } from './console/open-console.ts'
import type { CliRequest } from './parse-args.ts'
import { onHangUp } from './signals.ts'
import { UsageError } from './split-args.ts'
import { visible } from './terminal-text.ts'
import type { Key } from './top/keys.ts'
import { render } from './top/render.ts'
import type { Sample } from './top/sample.ts'
import { Screen } from './top/screen.ts'
import { type Extent, FIRST_STATE, type TopState, takeKey } from './top/state.ts'
import { VIEWS } from './top/views.ts'
import { Watcher } from './top/watcher.ts'

const INTERVAL_MS = 1000

/** Signals that end it, with the exit codes that shells have for them. SIGHUP has its listener already. */
const ENDS = { SIGINT: 130, SIGTERM: 143, SIGQUIT: 131 } as const

/** Watch until `q`. Returns the exit code. @throws UsageError without a terminal, ConsoleUnreachable */
export async function runTop(
  request: Pick<CliRequest, 'url' | 'everyMs' | 'saysWhere'>,
  config: Config,
): Promise<number> {
  const { stdin, stdout } = process
  if (!stdin.isTTY || !stdout.isTTY) {
    throw new UsageError("pgbun top needs a terminal. Elsewhere: pgbun ctl 'SHOW POOLS' --watch 1")
  }
  let asked: string | undefined
  const found = findConsole({
    url: request.url,
    env: process.env,
    config,
    configured: request.saysWhere,
    name: 'pgbun top',
    warn: (message) => void process.stderr.write(`pgbun: ${message}\n`),
  })
  const place = { ...found, passwordFor: (target: (typeof found.targets)[0]) => asked ?? found.passwordFor(target) }
  const first = await openConsole(place, async () => {
    asked = await askOnce(`Password of "${visible(place.user)}": `)
    return asked
  })

  let state: TopState = FIRST_STATE
  let now: Sample | undefined
  let before: Sample | undefined
  let trouble: string | undefined
  let { where } = first
  let extent: Extent = { columns: 0, rows: 0, page: 1 }
  let code = 0

  const screen = new Screen(stdin, stdout, onKey)
  const watcher = new Watcher(
    {
      open: async () => {
        const console = await openConsole(place)
        // Its counters may have begun anew.
        before = undefined
        now = undefined
        where = console.where
        return console
      },
      wanted: () =>
        state.paused
          ? undefined
          : ['POOLS', 'STATS', ...VIEWS[state.view]!.topics.filter((topic) => topic !== 'POOLS')],
      onSample(sample) {
        // What came behind the pause is not shown.
        if (state.paused) return
        before = now
        now = sample
        trouble = undefined
        draw()
      },
      onTrouble(message) {
        trouble = message
        draw()
      },
      intervalMs: request.everyMs ?? INTERVAL_MS,
    },
    first,
  )

  function draw(anew = false): void {
    const drawn = render({ state, now, before, where, user: place.user, trouble, ...screen.size })
    extent = drawn.extent
    screen.draw(drawn.lines, anew)
  }
  function onKey(key: Key): void {
    if (key === 'redraw') {
      draw(true)
      return
    }
    const next = takeKey(state, key, extent)
    if (next === 'quit') watcher.stop()
    // All of the foreground, as the terminal itself would.
    else if (next === 'suspend') process.kill(0, 'SIGTSTP')
    else {
      const other = next.view !== state.view || next.paused !== state.paused
      state = next
      draw()
      if (other) watcher.wake()
    }
  }
  function end(exitCode: number): void {
    code = exitCode
    watcher.stop()
  }
  const onSuspend = (): void => {
    screen.leave()
    process.kill(process.pid, 'SIGSTOP')
  }
  const onContinue = (): void => {
    screen.enter()
    draw(true)
  }
  const onResize = (): void => draw(true)

  process.on('exit', () => screen.leave())
  process.on('uncaughtException', (error) => {
    screen.leave()
    process.stderr.write(`pgbun: ${error.stack ?? error.message}\n`)
    process.exit(1)
  })
  for (const [signal, exitCode] of Object.entries(ENDS)) process.on(signal, () => end(exitCode))
  onHangUp(() => process.exit(129))
  process.on('SIGTSTP', onSuspend)
  process.on('SIGCONT', onContinue)
  stdout.on('resize', onResize)
  stdin.on('end', () => end(0))
  screen.enter()
  draw()
  try {
    await watcher.run()
  } finally {
    screen.leave()
  }
  return code
}
