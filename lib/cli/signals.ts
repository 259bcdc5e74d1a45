/**
 * Signals that must not end the process, from the first moment on. Loaded before everything else: by the launcher before
 * the program, and as the first import of the compiled program.
 *
 * SIGHUP waits until there is a configuration to read again, and SIGUSR2 is for whoever has PAUSEd a running pgbun. The
 * signals without a meaning are only reported; without a listener the kernel ends the process at them, and at SIGUSR1 Node
 * opens its debugger to whoever is on the machine.
 * Signals of job control (SIGTSTP) and of faults (SIGSEGV) keep their meaning. Imports nothing.
 */

/** Signals a pooler may be sent by mistake, or by somebody who knows PgBouncer, and that end a process by default. */
const MEANINGLESS: NodeJS.Signals[] = ['SIGUSR1', 'SIGALRM', 'SIGVTALRM', 'SIGIO']
const isBun = process.versions.bun !== undefined
// JavaScriptCore stops its threads with SIGPWR, and Bun has no SIGSTKFLT; V8 takes its profiles with SIGPROF.
if (!isBun) MEANINGLESS.push('SIGPWR', 'SIGSTKFLT')
if (isBun || !startedWith(/-prof/)) MEANINGLESS.push('SIGPROF')

let hangUps = 0
let answerHangUp = (): void => {
  hangUps++
}
let report: (signal: NodeJS.Signals) => void = () => {}
let resume = (): void => {}

process.on('SIGHUP', () => answerHangUp())
process.on('SIGUSR2', () => resume())
for (const signal of MEANINGLESS) listenFor(signal)
closeStrayDebugger()
// A SIGUSR1 that came just before is worked off in between.
setImmediate(closeStrayDebugger)

/** Call `answer` at each SIGHUP from now on, and now if one has come. */
export function onHangUp(answer: () => void): void {
  answerHangUp = answer
  if (hangUps > 0) answer()
}

/** Call `answer` at each SIGUSR2 from now on; before, nothing can be paused. */
export function onResume(answer: () => void): void {
  resume = answer
}

/** Call `listener` for each signal from now on that has no meaning. */
export function onMeaninglessSignal(listener: (signal: NodeJS.Signals) => void): void {
  closeStrayDebugger()
  report = listener
}

function listenFor(signal: NodeJS.Signals): void {
  try {
    process.on(signal, () => report(signal))
  } catch {
    // Not on this system or with this runtime.
  }
}

/** Close a debugger that Node has opened at a SIGUSR1 before our listener was there. One that was asked for stays. */
function closeStrayDebugger(): void {
  if (isBun || startedWith(/--inspect/)) return
  try {
    const inspector = process.getBuiltinModule('node:inspector')
    if (inspector.url()?.startsWith('ws://127.0.0.1:9229/')) inspector.close()
  } catch {
    // A Node without a debugger, or one that has no getBuiltinModule and whose debugger was not asked for by name.
  }
}

/** Whether the runtime was started with such an option. */
function startedWith(option: RegExp): boolean {
  return option.test([...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' '))
}
