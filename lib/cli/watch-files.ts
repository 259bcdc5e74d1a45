/**
 * Notices that the files of a configuration have changed: the TOML file, and those that it names. They are looked at again
 * and again rather than watched, because files of containers are replaced by links that change elsewhere.
 */

import { statSync } from 'node:fs'
import { type Config, OPTION_NAMES, optionRow, scopedNames, settingRow } from '../config/options.ts'
import { camelCase } from '../config/types.ts'
import { every } from '../util/clock.ts'

/** How often they are looked at, in ms. */
const LOOK_MS = 1000

/** Every file that `config` names. */
export function filesOf(config: Config): string[] {
  const paths = OPTION_NAMES.filter((name) => optionRow(name).kind === 'file').map(
    (name) => config[camelCase(name) as 'authFile'],
  )
  for (const values of config.databases.values()) {
    for (const name of scopedNames('databases')) {
      if (settingRow(name).kind === 'file') paths.push(values[camelCase(name) as 'passwordFile'] ?? '')
    }
  }
  return [...new Set(paths)].filter((path) => path !== '')
}

/**
 * Call `changed` when any of `paths` is another than it was; of changes that go on, when they have stopped for one look.
 * @param paths asked for each time: a reload may name others
 */
export function watchFiles(paths: () => readonly string[], changed: () => void): () => void {
  let known = marksOf(paths())
  let before = known
  return every(LOOK_MS, () => {
    const marks = marksOf(paths())
    const settled = marks === before
    before = marks
    if (!settled || marks === known) return
    known = marks
    changed()
  })
}

/** What tells that a file is another, of all of them. */
function marksOf(paths: readonly string[]): string {
  return paths
    .map((path) => {
      const found = statSync(path, { throwIfNoEntry: false, bigint: true })
      return `${path} ${found ? `${found.ino} ${found.size} ${found.mtimeNs}` : 'missing'}`
    })
    .join('\n')
}
