/** What is found to be wrong with a configuration: problems stop the start, warnings are logged. */

import type { SettingName } from './options.ts'
import type { Problem } from './raw-value.ts'

/** What was found. */
export interface CheckResult {
  problems: Problem[]
  warnings: Problem[]
}

/** Takes down what is wrong with a setting. */
export class Findings implements CheckResult {
  readonly problems: Problem[] = []
  readonly warnings: Problem[] = []
  readonly #where: (name: SettingName) => string

  /** @param where says where a setting is written */
  constructor(where: (name: SettingName) => string) {
    this.#where = where
  }

  readonly problem = (name: SettingName, message: string): void => {
    this.problems.push({ where: this.#where(name), message })
  }

  readonly warning = (name: SettingName, message: string): void => {
    this.warnings.push({ where: this.#where(name), message })
  }
}
