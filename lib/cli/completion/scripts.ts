/**
 * `pgbun completion`: a script for a shell, made of the tables of commands, flags, options and of the console's commands. The
 * script has all words in it, so that a Tab does not start a program.
 */
import { bashScript } from './bash.ts'
import { fishScript } from './fish.ts'
import { isShell, SHELLS, type Shell } from './shells.ts'
import { zshScript } from './zsh.ts'

/** The script, for the shell to read. */
export function completionScript(shell: Shell): string {
  switch (shell) {
    case 'bash':
      return bashScript()
    case 'zsh':
      return zshScript()
    case 'fish':
      return fishScript()
  }
}

/** The shell that a path like that of SHELL names. @throws Error where it is another one */
export function shellOf(path: string | undefined): Shell {
  const name = path?.split('/').at(-1) ?? ''
  if (isShell(name)) return name
  const found = name === '' ? 'SHELL is not set' : `SHELL names ${JSON.stringify(name)}`
  throw new Error(`${found}, for which there is no completion. Name one of ${SHELLS.join(', ')}: pgbun completion bash`)
}
