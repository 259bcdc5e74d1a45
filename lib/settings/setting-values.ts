/**
 * What clients want set, as a value: clients of one program want the same, and share it (client/login/startup-packet.ts). Pure.
 */

import { createHash } from 'node:crypto'
import type { LocalStep } from '../sql/local-steps.ts'

/**
 * Settings that have no part in what a statement means, nor in what is evaluated while it is parsed or planned: `DateStyle`
 * has, and so do `extra_float_digits` and `bytea_output` (`'\\x01'::bytea::text` is a constant to the planner). What is
 * not known here is taken to have one.
 */
const HARMLESS = new Set([
  'application_name',
  'client_min_messages',
  'constraint_exclusion',
  'cursor_tuple_fraction',
  'default_statistics_target',
  'default_transaction_deferrable',
  'default_transaction_isolation',
  'default_transaction_read_only',
  'effective_cache_size',
  'effective_io_concurrency',
  'hash_mem_multiplier',
  'maintenance_io_concurrency',
  'maintenance_work_mem',
  'plan_cache_mode',
  'recursive_worktable_factor',
  'scram_iterations',
  'synchronize_seqscans',
  'synchronous_commit',
  'temp_buffers',
  'temp_file_limit',
  'work_mem',
])
const HARMLESS_NAMES =
  /^(?:commit|enable|geqo|jit|log|max_parallel|min_parallel|parallel|tcp|track|vacuum)(?:_\w+)?$|_(?:cost|timeout|collapse_limit)$/

/** Characters of settings that are their own fingerprint. */
const LONG = 256

/** Settings a statement is parsed under, as far as they decide what it means. */
export interface ParseSettings {
  /** What tells them from others; undefined where they are not known for sure. */
  readonly fingerprint: string | undefined
  /** What the client wanted, by the lower-case names of parameters; undefined where that is not kept. */
  readonly values: ReadonlyMap<string, string> | undefined
  /** What its transaction has set on top of that, in this order. */
  readonly steps?: readonly LocalStep[]
}

/** A transaction may have changed them, or what names stand for, in a way that is not known. */
export const UNKNOWN_SETTINGS: ParseSettings = { fingerprint: undefined, values: undefined }

/** True where the parameter `name` (in lower case) has no part in what a statement means. */
export function isHarmless(name: string): boolean {
  return HARMLESS.has(name) || HARMLESS_NAMES.test(name)
}

/** A fingerprint for `text`, which is a part of many keys: as it is, or, where it is long, a hash of it. */
export function digestOf(text: string): string {
  return text.length <= LONG ? text : createHash('sha256').update(text).digest('hex')
}

/** Values by the lower-case names of their parameters. Nobody changes one: clients that want the same share it. */
export class SettingValues implements ParseSettings {
  readonly values: ReadonlyMap<string, string>
  #fingerprint: string | undefined
  #signature: string | undefined

  constructor(values: ReadonlyMap<string, string>) {
    this.values = values
  }

  /** What tells apart settings under which the same statement may mean different things; '' for none. */
  get fingerprint(): string {
    if (this.#fingerprint === undefined) {
      const parts: string[] = []
      for (const [name, value] of this.values) {
        if (!isHarmless(name)) parts.push(`${name}=${value}`)
      }
      this.#fingerprint = digestOf(parts.sort().join('\0'))
    }
    return this.#fingerprint
  }

  /** All of them as one text. */
  get signature(): string {
    this.#signature ??= Array.from(this.values, ([name, value]) => `${name}=${value}`).join('\0')
    return this.#signature
  }
}

/** Of all clients without a wish. */
export const NO_SETTING_VALUES = new SettingValues(new Map())
