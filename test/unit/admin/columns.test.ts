/** The columns of each SHOW are those of PgBouncer 1.25, in its order and of its types: programs count on it. */
import t from 'tap'
import { TOPICS } from '../../../lib/admin/topics.ts'

const COUNTS =
  'server_assignment_count xact_count query_count received sent xact_time query_time wait_time client_parse_count server_parse_count bind_count'
const SOCKET =
  'type:s user:s database:s replication:s state:s addr:s port:i local_addr:s local_port:i connect_time:s request_time:s ' +
  'wait:i wait_us:i close_needed:i ptr:s link:s remote_pid:i tls:s application_name:s prepared_statements:i id:i'
const BUFFERS = ' recv_pos:i pkt_pos:i pkt_remain:i send_pos:i send_remain:i pkt_avail:i send_avail:i'
const numeric = (names: string): string => names.replace(/\S+/g, '$&:N')

/** By the letters of PgBouncer's source: s text, i int4, q int8, N numeric, b bytea. */
const REFERENCE: Record<string, string> = {
  stats: `database:s ${numeric(COUNTS.replace(/\S+/g, 'total_$&'))} ${numeric(COUNTS.replace(/\S+/g, 'avg_$&').replace('avg_received', 'avg_recv'))}`,
  stats_totals: `database:s ${numeric(COUNTS.replace(' received sent ', ' bytes_received bytes_sent '))}`,
  stats_averages: `database:s ${numeric(
    COUNTS.replace(' received sent ', ' bytes_received bytes_sent ').replace(
      /(client_parse|server_parse|bind)_count/g,
      'avg_$&',
    ),
  )}`,
  totals: 'name:s value:N',
  servers: SOCKET,
  clients: SOCKET,
  sockets: SOCKET + BUFFERS,
  active_sockets: SOCKET + BUFFERS,
  pools:
    'database:s user:s cl_active:i cl_waiting:i cl_active_cancel_req:i cl_waiting_cancel_req:i sv_active:i sv_active_cancel:i ' +
    'sv_being_canceled:i sv_idle:i sv_used:i sv_tested:i sv_login:i maxwait:i maxwait_us:i pool_mode:s load_balance_hosts:s',
  peer_pools: 'peer_id:i cl_active_cancel_req:i cl_waiting_cancel_req:i sv_active_cancel:i sv_login:i',
  peers: 'peer_id:i host:s port:i pool_size:i',
  lists: 'list:s items:i',
  users:
    'name:s pool_size:s reserve_pool_size:s pool_mode:s max_user_connections:i current_connections:i ' +
    'max_user_client_connections:i current_client_connections:i',
  databases:
    'name:s host:s port:i database:s force_user:s pool_size:i min_pool_size:i reserve_pool_size:i server_lifetime:i pool_mode:s ' +
    'load_balance_hosts:s max_connections:i current_connections:i max_client_connections:i current_client_connections:i paused:i disabled:i',
  fds:
    'fd:i task:s user:s database:s addr:s port:i cancel:q link:i client_encoding:s std_strings:s datestyle:s timezone:s password:s ' +
    'scram_client_key:b scram_server_key:b',
  config: 'key:s value:s default:s changeable:s',
  mem: 'name:s size:i used:i free:i memtotal:i',
  dns_hosts: 'hostname:s ttl:q addrs:s',
  dns_zones: 'zonename:s serial:q count:i',
  version: 'version:s',
  state: 'key:s value:s',
}
const LETTERS = { text: 's', int4: 'i', int8: 'q', numeric: 'N', bytea: 'b' }

for (const [name, expected] of Object.entries(REFERENCE)) {
  t.test(name, async (t) => {
    const { columns, plain } = TOPICS.get(name)!
    const shown = columns.slice(0, plain).map((column) => `${column.name}:${LETTERS[column.type]}`)
    t.same(shown, expected.split(' '))
  })
}
