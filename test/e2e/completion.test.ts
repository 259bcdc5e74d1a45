/** `pgbun completion`: the scripts in the shells that they are for. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import t, { type Test } from 'tap'
import { COMMANDS, FLAGS, flagName } from '../../lib/cli/flags.ts'
import { OPTION_NAMES } from '../../lib/config/options.ts'
import { runPgbun } from '../fixtures/pgbun.ts'
import { hasTerminal, startTerminal, type Terminal } from '../fixtures/terminal.ts'

const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-completion-'))
t.teardown(() => rmSync(dir, { recursive: true, force: true }))
writeFileSync(path.join(dir, 'pool.toml'), '')

async function scriptFor(t: Test, shell: string): Promise<string> {
  const { code, stdout, stderr } = await runPgbun(t, ['completion', shell])
  t.match({ code, stderr }, { code: 0, stderr: '' })
  const file = path.join(dir, `completion.${shell}`)
  writeFileSync(file, stdout)
  return file
}

const has = (shell: string): boolean => spawnSync(shell, ['-c', 'exit 0']).status === 0

/** What is typed, and what of it is offered; the last word is the one that is completed. */
const CASES: [string[], string[]][] = [
  [[''], Object.keys(COMMANDS)],
  [['doc'], ['doctor']],
  [['--pool-mo'], ['--pool-mode']],
  [
    ['--pool-mode', ''],
    ['session', 'transaction', 'statement'],
  ],
  [['start', '--log-level', 'w'], ['warn']],
  [['ctl', 'SHOW', 'POO'], ['POOLS']],
  [['ctl', '--json', 'SHUTDOWN', 'WAIT_FOR_C'], ['WAIT_FOR_CLIENTS']],
  [['ctl', 'SET', 'pool_s'], ['pool_size']],
  [['ctl', '--watch', '1', 'SHOW', 'STATS_T'], ['STATS_TOTALS']],
  [['--pool-mode', 'session', 'ctl', '--wat'], ['--watch']],
  [['start', '--wat'], []],
  [['ctl', '--dae'], []],
  [
    ['completion', ''],
    ['bash', 'zsh', 'fish'],
  ],
  [['--config', 'pool.'], ['pool.toml']],
]

t.test('bash', async (t) => {
  const file = await scriptFor(t, 'bash')
  const complete = (...words: string[]): string[] => {
    const script =
      'source "$1"; shift; COMP_WORDS=(pgbun "$@"); COMP_CWORD=$#; _pgbun; printf "%s\\n" "${COMPREPLY[@]}"'
    const shown = execFileSync('bash', ['--norc', '-c', script, 'bash', file, ...words], { cwd: dir, encoding: 'utf8' })
    return shown.split('\n').filter((line) => line !== '')
  }
  for (const [words, offered] of CASES) t.strictSame(complete(...words), offered, words.join(' '))
  t.strictSame(complete('ctl', 'show', 'poo'), ['POOLS'], 'in small letters')
  t.strictSame(complete('ctl', "'show poo"), ['SHOW POOLS'], 'in quotes')
  t.strictSame(complete('--pool-mode', '=', 'tra'), ['transaction'], 'bash takes = for a word')
  t.strictSame(complete('--pool-mode', '='), ['session', 'transaction', 'statement'])
  const known = [...Object.keys(FLAGS), ...OPTION_NAMES.map(flagName)].map((name) => `--${name}`)
  const offered = new Set(Object.keys(COMMANDS).flatMap((command) => complete(command, '--')))
  for (const name of known) t.ok(offered.has(name), name)
})

t.test('bash at a terminal', { skip: !hasTerminal() && 'tmux is not installed' }, async (t) => {
  const file = await scriptFor(t, 'bash')
  const terminal = await startTerminal(t, `cd ${dir}; PS1='> ' exec bash --norc --noprofile`)
  await terminal.shows(/^>$/m)
  terminal.type(`source ${file}\n`)
  await clear(terminal)
  for (const [typed, shown] of [
    ['pgbun ctl show poo', /^> pgbun ctl show POOLS$/m],
    ["pgbun ctl 'show poo", /^> pgbun ctl 'SHOW POOLS'$/m],
    ['pgbun --pool-mode=tra', /^> pgbun --pool-mode=transaction$/m],
    ['pgbun -c poo', /^> pgbun -c pool\.toml$/m],
  ] as const) {
    terminal.type(typed)
    terminal.press('Tab')
    t.ok(await terminal.shows(shown), typed)
    await clear(terminal)
  }
})

t.test('fish', { skip: !has('fish') && 'fish is not installed' }, async (t) => {
  const file = await scriptFor(t, 'fish')
  const complete = (...words: string[]): string[] => {
    const script = `source ${file}; complete -C 'pgbun ${words.join(' ')}'`
    const shown = execFileSync('fish', ['--no-config', '-c', script], { cwd: dir, encoding: 'utf8', stdio: 'pipe' })
    return shown
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split('\t')[0]!)
  }
  for (const [words, offered] of CASES) t.strictSame(complete(...words).sort(), [...offered].sort(), words.join(' '))
  t.ok(complete('ctl', '').includes('SHOW POOLS'), 'a whole statement')
})

t.test('zsh', { skip: (!has('zsh') || !hasTerminal()) && 'zsh or tmux is not installed' }, async (t) => {
  const file = await scriptFor(t, 'zsh')
  const terminal = await startTerminal(t, `cd ${dir}; PS1='> ' exec zsh -f`, { columns: 120, rows: 50 })
  await terminal.shows(/^>$/m)
  terminal.type(`autoload -U compinit; compinit -u -D; source ${file}; zstyle ':completion:*' menu no\n`)
  await clear(terminal)
  for (const [words, offered] of CASES) {
    const typed = `pgbun ${words.join(' ')}`
    terminal.type(typed)
    if (offered.length === 1) {
      terminal.press('Tab')
      const whole = `pgbun ${[...words.slice(0, -1), offered[0]!].join(' ')}`
      // zsh adds the = of an option that takes a value.
      const isThere = (screen: string): boolean => new RegExp(`^> ${whole}=?$`, 'm').test(screen)
      t.ok(await terminal.shows(isThere, whole), whole)
    } else if (offered.length > 1) {
      terminal.press('Tab', 'Tab')
      t.ok(await terminal.shows((screen) => offered.every((word) => screen.includes(word)), offered.join(' ')))
    }
    await clear(terminal)
  }
})

/** An empty line at the top: what is typed next is the first line. */
async function clear(terminal: Terminal): Promise<void> {
  terminal.press('C-u', 'C-l')
  await terminal.shows((screen) => screen.trim() === '>', 'an empty line')
}

t.test('which shell', async (t) => {
  const named = await runPgbun(t, ['completion'], { env: { SHELL: '/usr/bin/zsh' } })
  t.match(named, { code: 0, stdout: /^#compdef pgbun\n/ })
  t.match(await runPgbun(t, ['completion'], { env: { SHELL: '/bin/tcsh' } }), {
    code: 1,
    stdout: '',
    stderr:
      'pgbun: SHELL names "tcsh", for which there is no completion. Name one of bash, zsh, fish: pgbun completion bash\n',
  })
  t.match(await runPgbun(t, ['completion', 'ksh']), {
    code: 2,
    stderr: "Unknown shell 'ksh'. Must be one of: bash, zsh, fish",
  })
})
