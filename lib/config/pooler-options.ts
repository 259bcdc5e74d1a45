/**
 * Made from the option table (options.ts) by `npm run docs`, so that an editor shows the text, the unit and the default of
 * each option. Do not edit.
 */

/** What the library accepts: any part of the configuration; durations and sizes also as text ('15s', '64kB'). */
export interface PoolerOptions {
  /** TCP port clients connect to, and the suffix of the unix socket name. A number from 1 to 65535, or 0 for any free one. Default: 6432. Cannot change while the pooler runs. */
  listenPort?: number
  /** Addresses to listen on, separated by commas; * is all of them, empty is no TCP. An array of texts, or one text with commas. Default: ['0.0.0.0']. Cannot change while the pooler runs. */
  listenHost?: string | readonly string[]
  /** Connections the kernel keeps waiting until they are accepted; Bun has it keep 512. A number from 1 to 65535. Default: 4096. Cannot change while the pooler runs. */
  listenBacklog?: number
  /** Directory for the socket .s.PGSQL.<port>; @name is an abstract socket; empty is none. Default: ''. Cannot change while the pooler runs. */
  unixSocketDir?: string
  /** Permissions of the unix socket, in octal. Default: '0777'. Cannot change while the pooler runs. */
  unixSocketMode?: string
  /** Host of PostgreSQL; a value that begins with / or @ is a unix socket directory. Default: 'localhost'. Cannot change while the pooler runs. */
  serverHost?: string
  /** Port of PostgreSQL. A number from 1 to 65535. Default: 5432. Cannot change while the pooler runs. */
  serverPort?: number
  /** Let the kernel probe silent TCP connections, of servers and of clients on other machines. Default: true. */
  tcpKeepalive?: boolean
  /** Silence before the first keepalive probe. Milliseconds, or a text with a unit: '15s', '10min'. Default: 60000 (1min). */
  tcpKeepidle?: number | string
  /** Largest protocol message that is passed on, either way. Bytes, or a text with a unit: '64kB', '1MB'. Default: 1073741823. */
  maxPacketSize?: number | string
  /** When a server connection goes back into the pool: at the end of the session, transaction or statement. Default: 'session'. */
  poolMode?: 'session' | 'transaction' | 'statement'
  /** What becomes of session state that cannot follow its client in transaction and statement mode: pin keeps the client on its server, error refuses such statements, reset ends the state with the transaction. Default: 'pin'. */
  sessionState?: 'pin' | 'error' | 'reset'
  /** Ask PostgreSQL, in transaction and statement mode, which functions of the database may leave session state unseen, and treat statements that lead to one with care; off leaves such state to the next client. Default: true. */
  checkFunctions?: boolean
  /** Client connections in all; further ones are refused. A number from 1 to 1000000. Default: 100. */
  maxClientConn?: number
  /** Connections that have not sent their startup packet; with one more the oldest goes. 0 is maxClientConn, at least 100. A number from 0 to 1000000. Default: 0. */
  maxSilentConnections?: number
  /** Server connections per database and user; replication connections come on top. A number from 1 to 1000000. Default: 25. */
  poolSize?: number
  /** Server connections in all; replication connections come on top. 0 is 90, or poolSize and reservePoolSize together where they are more. A number from 0 to 1000000. Default: 0. */
  maxServerConnections?: number
  /** Server connections to one database, of all users; 0 is no limit. A number from 0 to 1000000. Default: 0. */
  maxDbConnections?: number
  /** Server connections of one user, in all databases; 0 is no limit. A number from 0 to 1000000. Default: 0. */
  maxUserConnections?: number
  /** Server connections a pool in use keeps open at least. A number from 0 to 1000000. Default: 0. */
  minPoolSize?: number
  /** Further server connections a pool may open when clients wait too long. A number from 0 to 1000000. Default: 0. */
  reservePoolSize?: number
  /** How long a client waits before the reserve is used; 0 never uses it. Milliseconds, or a text with a unit: '15s', '10min'. Default: 5000 (5s). */
  reservePoolTimeout?: number | string
  /** Named prepared statements kept on each server connection in transaction and statement mode; 0 keeps a client that prepares one on its server. A number from 0 to 1000000. Default: 200. */
  maxPreparedStatements?: number
  /** Named prepared statements one client may keep in transaction and statement mode; one more is refused (53400). 0 is no limit. A number from 0 to 1000000. Default: 10000. */
  maxClientPreparedStatements?: number
  /** Memory for the named prepared statements of all clients together in transaction and statement mode; one more is refused (53400). Of one database user, they may take as much as is left free: half of it where it is alone. 0 is no limit. Bytes, or a text with a unit: '64kB', '1MB'. Default: 268435456. */
  maxPreparedStatementMemory?: number | string
  /** Sent to a server connection between two sessions; empty is none. Default: 'DISCARD ALL'. */
  serverResetQuery?: string
  /** Sent to a server connection that was unused for serverCheckDelay before it is used again; empty sends an empty query, "none" skips the check. Default: ''. */
  serverCheckQuery?: string
  /** Use server connections in turn; off prefers the one used last. Default: false. */
  serverRoundRobin?: boolean
  /** Log each login. Default: true. */
  logConnections?: boolean
  /** Log each disconnection and its reason. Default: true. */
  logDisconnections?: boolean
  /** Log the errors pgbun itself sends to clients. Default: true. */
  logPoolerErrors?: boolean
  /** Least important lines that are logged. Default: 'info'. */
  logLevel?: 'debug' | 'info' | 'warn' | 'error'
  /** Form of the log lines: text for people, json in the shape of the lines of pino; auto is text. Default: 'auto'. Cannot change while the pooler runs. */
  logFormat?: 'auto' | 'text' | 'json'
  /** How often a line of statistics is logged, where anything happened; 0 is never. Milliseconds, or a text with a unit: '15s', '10min'. Default: 60000 (1min). */
  statsPeriod?: number | string
  /** Time to connect and log in to PostgreSQL. Milliseconds, at least 1000, or a text with a unit: '15s', '10min'. Default: 15000 (15s). */
  serverConnectTimeout?: number | string
  /** Time a client has to log in. Milliseconds, or a text with a unit: '15s', '10min'. Default: 60000 (1min). */
  clientLoginTimeout?: number | string
  /** Unused server connections are closed after this. Milliseconds, or a text with a unit: '15s', '10min'. Default: 600000 (10min). */
  serverIdleTimeout?: number | string
  /** Server connections older than this are closed once they are unused. Milliseconds, or a text with a unit: '15s', '10min'. Default: 3600000 (1h). */
  serverLifetime?: number | string
  /** Longest pause between two attempts to reach a server that fails. Milliseconds, or a text with a unit: '15s', '10min'. Default: 15000 (15s). */
  serverLoginRetry?: number | string
  /** Server connections unused for longer are checked before use; 0 is always. Milliseconds, or a text with a unit: '15s', '10min'. Default: 30000 (30s). */
  serverCheckDelay?: number | string
  /** Clients that send nothing for this long are disconnected. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
  clientIdleTimeout?: number | string
  /** Idle clients of transaction mode that keep a server connection because of session state are disconnected after this. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
  pinIdleTimeout?: number | string
  /** Longest wait of a client for a server connection. Milliseconds, or a text with a unit: '15s', '10min'. Default: 120000 (2min). */
  queryWaitTimeout?: number | string
  /** Queries running for longer are ended and their client disconnected; not those of replication. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
  queryTimeout?: number | string
  /** Clients idle in a transaction for longer are disconnected. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
  idleTransactionTimeout?: number | string
  /** Clients whose transaction takes longer are disconnected; not those of replication. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
  transactionTimeout?: number | string
  /** Longest wait of a cancel request until it reaches the server. Milliseconds, or a text with a unit: '15s', '10min'. Default: 10000 (10s). */
  cancelWaitTimeout?: number | string
  /** A client that stops reading its results is disconnected after this; not one of replication. Milliseconds, or a text with a unit: '15s', '10min'. Default: 300000 (5min). */
  clientStallTimeout?: number | string
  /** Grace for running work when pgbun is told to end (SIGTERM, SIGINT). Milliseconds, or a text with a unit: '15s', '10min'. Default: 30000 (30s). */
  shutdownTimeout?: number | string
  /** How clients prove who they are; without authFile passthrough is the default, with it scram-sha-256. Default: 'passthrough'. */
  authType?: 'passthrough' | 'trust' | 'plain' | 'md5' | 'scram-sha-256'
  /** File of users and their secrets, in PgBouncer's format. The path of a file. Default: ''. */
  authFile?: string
  /** How long a password PostgreSQL has accepted counts before it is tried again. Milliseconds, or a text with a unit: '15s', '10min'. Default: 60000 (1min). */
  passthroughTtl?: number | string
  /** Ask for cleartext passwords over unencrypted TCP from other hosts too. Default: false. */
  allowCleartextPassword?: boolean
  /** With authType passthrough, let clients of this machine in as any user where PostgreSQL asks pgbun for no password because of the account, host or certificate of pgbun (peer, ident, trust for a host, cert). Default: false. */
  allowUnprovenLocalClients?: boolean
  /** Logins at PostgreSQL at a time for passwords that are not proven yet (authType passthrough); half of them for one address. A number from 1 to 1000000. Default: 16. */
  maxUnprovenLogins?: number
  /** Longest time until another password of a user is looked at when several from the same address were wrong; 0 is none. Milliseconds, or a text with a unit: '15s', '10min'. Default: 4000 (4s). */
  loginFailureDelay?: number | string
  /** Secret that salts of SCRAM logins are made of, so that unknown users keep theirs over a restart; empty is what identifies the machine. Processes of one service need the same. Default: ''. Cannot change while the pooler runs. */
  scramSaltSecret?: string
  /** Iterations of the SCRAM secret made from a plain password. A number from 1000 to 1000000. Default: 4096. */
  scramIterations?: number
  /** TLS towards clients; auto is prefer, without a certificate with one made at start, for clients of other machines. Default: 'auto'. */
  clientTlsMode?: 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full' | 'auto'
  /** Private key shown to clients (PEM). The path of a file. Default: ''. */
  clientTlsKeyFile?: string
  /** Certificate chain shown to clients (PEM). The path of a file. Default: ''. */
  clientTlsCertFile?: string
  /** Authorities that may sign client certificates (PEM). The path of a file. Default: ''. */
  clientTlsCaFile?: string
  /** TLS versions towards clients; secure is 1.2 and 1.3. Default: 'secure'. */
  clientTlsProtocols?: string
  /** Cipher suites towards clients, in OpenSSL notation. Default: 'default'. */
  clientTlsCiphers?: string
  /** TLS towards PostgreSQL. Default: 'prefer'. */
  serverTlsMode?: 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'
  /** Private key shown to PostgreSQL (PEM). The path of a file. Default: ''. */
  serverTlsKeyFile?: string
  /** Certificate shown to PostgreSQL (PEM). The path of a file. Default: ''. */
  serverTlsCertFile?: string
  /** Authorities that may sign PostgreSQL's certificate (PEM). The path of a file. Default: ''. */
  serverTlsCaFile?: string
  /** Ask PostgreSQL before TLS begins, or begin at once (PostgreSQL 17 and later). Default: 'postgres'. */
  serverTlsNegotiation?: 'postgres' | 'direct'
  /** TLS versions towards PostgreSQL; secure is 1.2 and 1.3. Default: 'secure'. */
  serverTlsProtocols?: string
  /** Cipher suites towards PostgreSQL, in OpenSSL notation. Default: 'default'. */
  serverTlsCiphers?: string
  /** File that holds the process id while pgbun runs; empty is none. Default: ''. Cannot change while the pooler runs. */
  pidFile?: string
  /** What is set for single databases, by name; a user's value counts before a database's. */
  databases?: Record<
    string,
    {
      /** What becomes of session state that cannot follow its client in transaction and statement mode: pin keeps the client on its server, error refuses such statements, reset ends the state with the transaction. Default: 'pin'. */
      sessionState?: 'pin' | 'error' | 'reset'
    }
  >
  /** What is set for single users, by name; a user's value counts before a database's. */
  users?: Record<
    string,
    {
      /** What becomes of session state that cannot follow its client in transaction and statement mode: pin keeps the client on its server, error refuses such statements, reset ends the state with the transaction. Default: 'pin'. */
      sessionState?: 'pin' | 'error' | 'reset'
    }
  >
}
