/** SHOW CONFIG, VERSION, STATE, MEM: what pgbun is and how it is set. */

import { columns, type Topic, type View, yesNo } from '../view.ts'

/** PgBouncer whose console this is like: programs look at the version before they ask. */
export const COMPATIBLE_VERSION = '1.25.2'

export const CONFIG: Topic = {
  name: 'config',
  help: 'settings in force',
  columns: columns('key:s value:s default:s changeable:s'),
  plain: 4,
  rows: (view) => view.options().map((option) => [option.name, option.value, option.default, yesNo(option.changeable)]),
}

export const VERSION: Topic = {
  name: 'version',
  help: 'version, as programs look for that of PgBouncer',
  columns: columns('version:s pgbun:s uptime_us:q'),
  plain: 1,
  rows: ({ snapshot }) => [
    [`PgBouncer ${COMPATIBLE_VERSION} (pgbun ${snapshot.version})`, snapshot.version, snapshot.uptime * 1000],
  ],
}

export const STATE: Topic = {
  name: 'state',
  help: 'whether it is active, paused or suspended',
  columns: columns('key:s value:s'),
  plain: 2,
  rows: ({ state: { paused, suspended } }) => [
    ['active', yesNo(!paused && !suspended)],
    ['paused', yesNo(paused)],
    ['suspended', yesNo(suspended)],
  ],
}

/** Where PgBouncer tells of its caches, pgbun tells of its memory: each use is one thing of that size. */
export const MEM: Topic = {
  name: 'mem',
  help: 'memory, in the form of PgBouncer',
  columns: columns('name:s size:i used:i free:i memtotal:i'),
  plain: 5,
  rows: (view: View) =>
    view.memory().map(({ name, bytes }) => [name, Math.min(bytes, INT4), 1, 0, Math.min(bytes, INT4)]),
}

const INT4 = 2 ** 31 - 1

export const MEMORY: Topic = {
  name: 'memory',
  help: 'memory by what it is used for',
  columns: columns('name:s bytes:q'),
  plain: 2,
  rows: (view) => view.memory().map(({ name, bytes }) => [name, bytes]),
}
