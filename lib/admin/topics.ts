/** Everything that can be shown, by name. */

import { CERTIFICATES, ERRORS, PINS, PIPELINING, PREPARED, PROCESSES, QUEUE } from './show/own.ts'
import { DATABASES, DNS_HOSTS, DNS_ZONES, HOSTS, LISTS, PEER_POOLS, PEERS, POOLS, USERS } from './show/pools.ts'
import { QUERIES } from './show/queries.ts'
import { CONFIG, MEM, MEMORY, STATE, VERSION } from './show/settings.ts'
import { ACTIVE_SOCKETS, CLIENTS, FDS, SERVERS, SOCKETS } from './show/sockets.ts'
import { STATS, STATS_AVERAGES, STATS_TOTALS, TOTALS } from './show/stats.ts'
import { columns, type Topic } from './view.ts'

const SHOWN: readonly Topic[] = [
  ACTIVE_SOCKETS,
  CERTIFICATES,
  CLIENTS,
  CONFIG,
  DATABASES,
  DNS_HOSTS,
  DNS_ZONES,
  ERRORS,
  FDS,
  HOSTS,
  LISTS,
  MEM,
  MEMORY,
  PEER_POOLS,
  PEERS,
  PINS,
  PIPELINING,
  POOLS,
  PREPARED,
  PROCESSES,
  QUERIES,
  QUEUE,
  SERVERS,
  SOCKETS,
  STATE,
  STATS,
  STATS_AVERAGES,
  STATS_TOTALS,
  TOTALS,
  USERS,
  VERSION,
]

/** Commands with what they do, for SHOW HELP. */
const COMMANDS: readonly (readonly [string, string])[] = [
  ['SET name = value', 'change a setting until the next RELOAD'],
  ['RELOAD', 'read the configuration again'],
  ['PAUSE [db]', 'wait until servers are given back, and close them; clients wait'],
  ['RESUME [db]', 'end a PAUSE, KILL or SUSPEND'],
  ['DISABLE db', 'let in no more clients of the database'],
  ['ENABLE db', 'let them in again'],
  ['RECONNECT [db]', 'renew connections to servers as they become free'],
  ['KILL [db]', 'end all clients and servers, then pause'],
  ['KILL_CLIENT id', 'end one client'],
  ['SUSPEND', 'stop serving for a moment'],
  ['WAIT_CLOSE [db]', 'wait until no connection is left that a RECONNECT or RELOAD renews'],
  ['RESET QUERIES', 'begin anew with the statistics of SHOW QUERIES'],
  ['SHUTDOWN', 'end at once'],
  ['SHUTDOWN WAIT_FOR_SERVERS', 'end when running transactions are over'],
  ['SHUTDOWN WAIT_FOR_CLIENTS', 'end when clients have left, or shutdown_timeout has passed'],
]

/** Everything that can be typed, with what it shows or does. */
export function consoleHelp(): [string, string][] {
  return [
    ...SHOWN.map(({ name, help }): [string, string] => [`SHOW ${name.toUpperCase()}`, help]),
    [
      'SHOW topic (columns) WHERE … ORDER BY … LIMIT n',
      'some columns and rows of it; SELECT … FROM topic does the same',
    ],
    ...COMMANDS.map(([command, description]): [string, string] => [command, description]),
  ]
}

/** SHOW HELP: the text that people of PgBouncer know, and rows for programs. */
const HELP: Topic = {
  name: 'help',
  help: 'this list',
  columns: columns('command:s description:s'),
  plain: 2,
  rows: consoleHelp,
  notice: {
    message: 'Console usage',
    detail: [
      '',
      ...SHOWN.map(({ name }) => `SHOW ${name.toUpperCase()}`),
      ...COMMANDS.map(([command]) => command),
    ].join('\n\t'),
  },
}

/** By name. */
export const TOPICS: ReadonlyMap<string, Topic> = new Map([...SHOWN, HELP].map((topic) => [topic.name, topic]))
