/** Names of parameters that PostgreSQL takes for others (map_old_guc_names in its utils/misc/guc.c), and lists as those. */

const OLD: Readonly<Record<string, string>> = { sort_mem: 'work_mem', vacuum_mem: 'maintenance_work_mem' }

/** The name today of the parameter `key` (in lower case). */
export function nameToday(key: string): string {
  return Object.hasOwn(OLD, key) ? OLD[key]! : key
}
