/**
 * Made from the option table (options.ts) by `npm run docs`, so that an editor shows the text, the unit and the default of
 * each option. Do not edit.
 */

/** What the library accepts: any part of the configuration; durations and sizes also as text ('15s', '64kB'). */
export interface PoolerOptions {
  /** TCP port for clients; also the suffix of the unix socket name. A number from 1 to 65535, or 0 for any free one. Default: 6432. Cannot change while the pooler runs. */
  listenPort?: number
  /** Addresses to listen on, separated by commas; * means all, empty means no TCP. An array of texts, or one text with commas. Default: ['0.0.0.0']. Cannot change while the pooler runs. */
  listenHost?: string | readonly string[]
  /** Connections that the kernel queues until pgbun accepts them; on Bun always 512. A number from 1 to 65535. Default: 4096. Cannot change while the pooler runs. */
  listenBacklog?: number
  /** Directory for the socket .s.PGSQL.<port>; @name is an abstract socket, empty is none. Default: ''. Cannot change while the pooler runs. */
  unixSocketDir?: string
  /** Permissions of the unix socket, in octal. Default: '0777'. Cannot change while the pooler runs. */
  unixSocketMode?: string
  /** Host of PostgreSQL, or several separated by commas; a value that begins with / or @ is a unix socket directory. Default: 'localhost'. */
  serverHost?: string
  /** Port of PostgreSQL. A number from 1 to 65535. Default: 5432. */
  serverPort?: number
  /** Which of several hosts the next server connection leads to; disable takes the first that can be used. Default: 'round-robin'. */
  loadBalanceHosts?: 'round-robin' | 'least-connections' | 'disable'
  /** Weights of the hosts for round-robin and least-connections, in their order, separated by commas; empty means the same for all. Default: ''. */
  loadBalanceWeights?: string
  /** What a host must be to be used, as in libpq. Default: 'any'. */
  targetSessionAttrs?: 'any' | 'read-write' | 'read-only' | 'primary' | 'standby' | 'prefer-standby'
  /** Query that a host must answer for a health check, and not with false; empty asks for a sign of life without a login. Default: ''. */
  healthCheckQuery?: string
  /** Health checks that fail one after the other until a host is not used any more. A number from 1 to 1000000. Default: 1. */
  healthCheckFailures?: number
  /** Health checks that succeed one after the other until a failed host is used again. A number from 1 to 1000000. Default: 1. */
  healthCheckSuccesses?: number
  /** Where single statements that certainly only read are run in transaction and statement mode: replicas sends them to standbys of the list of hosts, and all else to the primary. Default: 'off'. */
  routeReads?: 'off' | 'replicas'
  /** With routeReads, time after a write of a client during which its reads go to the primary; longer, until a standby has replayed the write. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
  readAfterWrite?: number | string
  /** With routeReads, age of the data beyond which a standby is not read from. Milliseconds, at least 1000, or a text with a unit: '15s', '10min'. Default: 10000 (10s). */
  maxReplicaLag?: number | string
  /** Let the kernel probe silent TCP connections to servers and to clients on other machines. Default: true. */
  tcpKeepalive?: boolean
  /** Idle time before the first keepalive probe. Milliseconds, or a text with a unit: '15s', '10min'. Default: 60000 (1min). */
  tcpKeepidle?: number | string
  /** Largest protocol message that pgbun forwards in either direction. Bytes, or a text with a unit: '64kB', '1MB'. Default: 1073741823. */
  maxPacketSize?: number | string
  /** When a server connection returns to the pool: at the end of the session, transaction or statement. Default: 'session'. */
  poolMode?: 'session' | 'transaction' | 'statement'
  /** How transaction and statement mode treat session state that cannot follow its client: pin keeps the client on its server connection, error refuses such statements, reset discards the state at the end of the transaction. Default: 'pin'. */
  sessionState?: 'pin' | 'error' | 'reset'
  /** In transaction and statement mode, ask PostgreSQL which functions may change the session unseen, and check the session after statements that may call one; off lets such state reach the next client. Default: true. */
  checkFunctions?: boolean
  /** Maximum number of client connections; further ones are refused. A number from 1 to 1000000. Default: 100. */
  maxClientConn?: number
  /** Startup parameters of clients that are ignored; others are judged by PostgreSQL. An array of texts, or one text with commas. Default: []. */
  ignoreStartupParameters?: string | readonly string[]
  /** End clients that send a Query message, in which an injected text can hold several statements; replication is exempt. Default: false. */
  disablePqexec?: boolean
  /** Add the address of the client to application_name at its login. Default: false. */
  applicationNameAddHost?: boolean
  /** Maximum number of connections without a startup packet; one more closes the oldest. 0 means maxClientConn, at least 100. A number from 0 to 1000000. Default: 0. */
  maxSilentConnections?: number
  /** Maximum number of server connections per database and user, without replication connections. A number from 1 to 1000000. Default: 25. */
  poolSize?: number
  /** Maximum number of client connections to one database; 0 means no limit. A number from 0 to 1000000. Default: 0. */
  maxDbClientConnections?: number
  /** Maximum number of client connections of one user; 0 means no limit. A number from 0 to 1000000. Default: 0. */
  maxUserClientConnections?: number
  /** Maximum number of server connections to one host, over all databases and users, without replication connections. 0 means 90, or the sum of poolSize and reservePoolSize if that is more. A number from 0 to 1000000. Default: 0. */
  maxServerConnections?: number
  /** Maximum number of server connections to one database; 0 means no limit. A number from 0 to 1000000. Default: 0. */
  maxDbConnections?: number
  /** Maximum number of server connections of one user; 0 means no limit. A number from 0 to 1000000. Default: 0. */
  maxUserConnections?: number
  /** Minimum number of server connections that a pool in use keeps open. A number from 0 to 1000000. Default: 0. */
  minPoolSize?: number
  /** Additional server connections that a pool may open after reservePoolTimeout. A number from 0 to 1000000. Default: 0. */
  reservePoolSize?: number
  /** Wait of a client after which the pool uses its reserve; 0 means never. Milliseconds, or a text with a unit: '15s', '10min'. Default: 5000 (5s). */
  reservePoolTimeout?: number | string
  /** Named prepared statements kept on each server connection in transaction and statement mode; 0 keeps a client that prepares one on its server connection. A number from 0 to 1000000. Default: 200. */
  maxPreparedStatements?: number
  /** Maximum number of named prepared statements of one client in transaction and statement mode; one more is refused (53400). 0 means no limit. A number from 0 to 1000000. Default: 10000. */
  maxClientPreparedStatements?: number
  /** Memory for the named prepared statements of all clients in transaction and statement mode; one more is refused (53400). One user may take at most as much as stays free: half of it if no other user has any. 0 means no limit. Bytes, or a text with a unit: '64kB', '1MB'. Default: 268435456. */
  maxPreparedStatementMemory?: number | string
  /** Query sent to a server connection between two sessions; empty means none. Default: 'DISCARD ALL'. */
  serverResetQuery?: string
  /** Run serverResetQuery at the end of each transaction or statement, too; not needed, because pgbun resets what it must. Default: false. */
  serverResetQueryAlways?: boolean
  /** In session mode, end a client between two transactions if its server connection is not to be used again, for instance because a reload has changed its database. Default: false. */
  serverFastClose?: boolean
  /** Query that is run on each new server connection before it is used; empty means none. Default: ''. */
  connectQuery?: string
  /** Query that checks a server connection after serverCheckDelay without use; empty sends an empty query, "none" skips the check. Default: ''. */
  serverCheckQuery?: string
  /** Whether short statements outside of transactions are sent behind those of other clients on the same server connection, while these still run, in transaction and statement mode: auto where it is certain that they only read and leave nothing behind. Default: 'auto'. */
  serverPipelining?: 'auto' | 'off'
  /** With serverPipelining, how long the statements under way on one server connection may be expected to take in all. Milliseconds, at least 1, or a text with a unit: '15s', '10min'. Default: 1 (1ms). */
  serverPipeliningBudget?: number | string
  /** With serverPipelining, how long one statement may keep those behind it waiting: then it is canceled and run again alone. Milliseconds, at least 1, or a text with a unit: '15s', '10min'. Default: 50 (50ms). */
  serverPipeliningMaxWait?: number | string
  /** Use server connections in turn; off prefers the one that was used last. Default: false. */
  serverRoundRobin?: boolean
  /** Log each login. Default: true. */
  logConnections?: boolean
  /** Log each disconnection and its reason. Default: true. */
  logDisconnections?: boolean
  /** Log errors that pgbun itself sends to clients. Default: true. */
  logPoolerErrors?: boolean
  /** Lowest level that is logged. Default: 'info'. */
  logLevel?: 'debug' | 'info' | 'warn' | 'error'
  /** Format of the log lines: text, or json in the format of pino; auto means text. Default: 'auto'. Cannot change while the pooler runs. */
  logFormat?: 'auto' | 'text' | 'json'
  /** File for the log instead of standard error, which gets it too if it is a terminal; each reload opens it anew. Default: ''. */
  logFile?: string
  /** Log statements that ran at least so many milliseconds, without their literals; 0 logs all, -1 none. A number from -1 to 2147483647. Default: -1. */
  logMinDuration?: number
  /** Log statements of logMinDuration as they were sent: with literals and parameters. Default: false. */
  logParameters?: boolean
  /** Statements of which statistics are kept, by database and user (SHOW QUERIES); 0 keeps none, and reads no text for it. A number from 0 to 100000. Default: 5000. */
  queryStatsMax?: number
  /** Show users of statsUsers the texts of SHOW QUERIES, which have no literals, too. Default: false. */
  statsShowQueries?: boolean
  /** Interval between lines of statistics, omitted if nothing happened; 0 means never. Milliseconds, or a text with a unit: '15s', '10min'. Default: 60000 (1min). */
  statsPeriod?: number | string
  /** Maximum time to connect and log in to PostgreSQL. Milliseconds, at least 1000, or a text with a unit: '15s', '10min'. Default: 15000 (15s). */
  serverConnectTimeout?: number | string
  /** Maximum time for a login. Milliseconds, or a text with a unit: '15s', '10min'. Default: 60000 (1min). */
  clientLoginTimeout?: number | string
  /** Time after which an unused server connection is closed. Milliseconds, or a text with a unit: '15s', '10min'. Default: 600000 (10min). */
  serverIdleTimeout?: number | string
  /** Age after which a server connection is closed when it is unused. Milliseconds, or a text with a unit: '15s', '10min'. Default: 3600000 (1h). */
  serverLifetime?: number | string
  /** Maximum pause between two attempts to reach a server that fails. Milliseconds, or a text with a unit: '15s', '10min'. Default: 15000 (15s). */
  serverLoginRetry?: number | string
  /** Time that clients wait while no host can be used, before they are refused. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
  outageGrace?: number | string
  /** Interval at which each host is asked for a sign of life; 0 means only hosts that have failed. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
  healthCheckInterval?: number | string
  /** Time that a host has to give a sign of life. Milliseconds, at least 10, or a text with a unit: '15s', '10min'. Default: 2000 (2s). */
  healthCheckTimeout?: number | string
  /** Time for which the addresses of a host are used without asking again. Milliseconds, or a text with a unit: '15s', '10min'. Default: 15000 (15s). */
  dnsMaxTtl?: number | string
  /** Time for which it is remembered that there is no such host. Milliseconds, or a text with a unit: '15s', '10min'. Default: 15000 (15s). */
  dnsNxdomainTtl?: number | string
  /** Idle time after which a server connection is checked; 0 means always. Milliseconds, or a text with a unit: '15s', '10min'. Default: 30000 (30s). */
  serverCheckDelay?: number | string
  /** Time after which a client that sends nothing is disconnected. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
  clientIdleTimeout?: number | string
  /** Time after which an idle client that keeps its server connection because of session state is disconnected (transaction mode). Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
  pinIdleTimeout?: number | string
  /** Maximum wait of a client for a server connection. Milliseconds, or a text with a unit: '15s', '10min'. Default: 120000 (2min). */
  queryWaitTimeout?: number | string
  /** Wait of a client for a server connection after which it is sent a notice; 0 means none. Milliseconds, or a text with a unit: '15s', '10min'. Default: 5000 (5s). */
  queryWaitNotify?: number | string
  /** Maximum duration of a query; then the query is ended and its client disconnected. Not for replication. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
  queryTimeout?: number | string
  /** Maximum idle time in a transaction; then the client is disconnected. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
  idleTransactionTimeout?: number | string
  /** Maximum duration of a transaction; then the client is disconnected. Not for replication. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
  transactionTimeout?: number | string
  /** Maximum time until a cancel request reaches PostgreSQL. Milliseconds, or a text with a unit: '15s', '10min'. Default: 10000 (10s). */
  cancelWaitTimeout?: number | string
  /** Time after SUSPEND at which clients that do not read their results are disconnected. Milliseconds, or a text with a unit: '15s', '10min'. Default: 10000 (10s). */
  suspendTimeout?: number | string
  /** Time after which a client that stops reading its results is disconnected. Not for replication. Milliseconds, or a text with a unit: '15s', '10min'. Default: 300000 (5min). */
  clientStallTimeout?: number | string
  /** Time that running work may take after SIGTERM or SIGINT; after SIGTERM, clients are disconnected one after the other within two thirds of it. Milliseconds, or a text with a unit: '15s', '10min'. Default: 30000 (30s). */
  shutdownTimeout?: number | string
  /** Time after SIGTERM in which pgbun still accepts clients but is not ready any more, so that load balancers notice. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
  shutdownDelay?: number | string
  /** Time that clients may stay when another pgbun has taken over (-R); then they are disconnected as after SIGTERM. Milliseconds, or a text with a unit: '15s', '10min'. Default: 3600000 (1h). */
  upgradeTimeout?: number | string
  /** How clients authenticate; the default is passthrough, or scram-sha-256 if authFile is set. Default: 'passthrough'. */
  authType?: 'passthrough' | 'trust' | 'plain' | 'md5' | 'scram-sha-256'
  /** File of users and their secrets in PgBouncer's format. The path of a file. Default: ''. */
  authFile?: string
  /** Users that may do everything at the console (databases pgbouncer and pgbun). An array of texts, or one text with commas. Default: []. */
  adminUsers?: string | readonly string[]
  /** Users that may SHOW everything at the console but what others have sent. An array of texts, or one text with commas. Default: []. */
  statsUsers?: string | readonly string[]
  /** Number of this process among its peers, which is a part of the cancel keys of its clients; 0 is none. A number from 0 to 16383. Default: 0. */
  peerId?: number
  /** Other pgbuns behind the same address, which cancel requests are passed on to: id=host:port, or the name of a host whose addresses are all peers. An array of texts, or one text with commas. Default: []. */
  peers?: string | readonly string[]
  /** Time after which a password that PostgreSQL has accepted is verified again. Milliseconds, or a text with a unit: '15s', '10min'. Default: 60000 (1min). */
  passthroughTtl?: number | string
  /** Also ask clients of other machines for cleartext passwords without TLS. Default: false. */
  allowCleartextPassword?: boolean
  /** With authType passthrough, admit clients of this machine as any user if PostgreSQL admits pgbun without a password because of its account, host or certificate (peer, ident, trust for a host, cert). Default: false. */
  allowUnprovenLocalClients?: boolean
  /** Maximum number of simultaneous logins to PostgreSQL for unverified passwords (authType passthrough); half of them for one address. A number from 1 to 1000000. Default: 16. */
  maxUnprovenLogins?: number
  /** Maximum delay of the next login after several wrong passwords of a user from one address; 0 means none. Milliseconds, or a text with a unit: '15s', '10min'. Default: 4000 (4s). */
  loginFailureDelay?: number | string
  /** Secret from which SCRAM salts are derived, so that those of unknown users survive a restart; empty uses the identity of the machine. All processes of one service need the same secret. Default: ''. Cannot change while the pooler runs. */
  scramSaltSecret?: string
  /** Iterations of SCRAM secrets that are made from plain passwords. A number from 1000 to 1000000. Default: 4096. */
  scramIterations?: number
  /** TLS towards clients; auto means prefer, and without a certificate prefer for clients of other machines with one made at the start. Default: 'auto'. */
  clientTlsMode?: 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full' | 'auto'
  /** Private key shown to clients (PEM). The path of a file. Default: ''. */
  clientTlsKeyFile?: string
  /** Certificate chain shown to clients (PEM). The path of a file. Default: ''. */
  clientTlsCertFile?: string
  /** Authorities that may sign client certificates (PEM). The path of a file. Default: ''. */
  clientTlsCaFile?: string
  /** TLS versions towards clients; secure means 1.2 and 1.3. Default: 'secure'. */
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
  /** postgres asks PostgreSQL before TLS begins, direct begins at once (PostgreSQL 17 and later). Default: 'postgres'. */
  serverTlsNegotiation?: 'postgres' | 'direct'
  /** TLS versions towards PostgreSQL; secure means 1.2 and 1.3. Default: 'secure'. */
  serverTlsProtocols?: string
  /** Cipher suites towards PostgreSQL, in OpenSSL notation. Default: 'default'. */
  serverTlsCiphers?: string
  /** Address and port for metrics and health over HTTP, "127.0.0.1:6433"; a port alone means 127.0.0.1. Empty means none. Default: ''. Cannot change while the pooler runs. */
  httpListen?: string
  /** Token that lets HTTP clients see what stats users see ("Authorization: Bearer TOKEN"); at least 16 characters. Default: ''. */
  httpToken?: string
  /** Read the configuration again when its file, or one that it names, has changed, as SIGHUP does. Default: false. Cannot change while the pooler runs. */
  reloadOnChange?: boolean
  /** File that holds the process id while pgbun runs; empty means none. Default: ''. Cannot change while the pooler runs. */
  pidFile?: string
  /** User that pgbun becomes once it listens, if root has started it; empty means none. Default: ''. Cannot change while the pooler runs. */
  runAsUser?: string
  /** What is set for single databases, by name; with any, the others are unknown, unless there is one named *. */
  databases?: Record<
    string,
    {
      /** Host of PostgreSQL, or several separated by commas, each with :port if it differs; default serverHost. Default: ''. */
      host?: string
      /** Port of PostgreSQL; default serverPort. A number from 1 to 65535. Default: 0. */
      port?: number
      /** Name of the database in PostgreSQL; default the name that clients use. Default: ''. */
      dbname?: string
      /** User that pgbun logs in to PostgreSQL as, for all clients; default the user of the client. Default: ''. */
      user?: string
      /** Password of user. Default: ''. */
      password?: string | (() => string | Promise<string>)
      /** File whose first line is the password of user; it is read for each login. The path of a file. Default: ''. */
      passwordFile?: string
      /** Shell command whose first line of output is the password of user. Default: ''. */
      passwordCommand?: string
      /** Time after which password_command is run again; it is also run when PostgreSQL refuses the password. Milliseconds, at least 1000, or a text with a unit: '15s', '10min'. Default: 600000 (10min). */
      passwordLifetime?: number | string
      /** application_name of the sessions of clients that set none. Default: ''. */
      applicationName?: string
      /** client_encoding of the sessions of clients that set none. Default: ''. */
      clientEncoding?: string
      /** DateStyle of the sessions of clients that set none. Default: ''. */
      datestyle?: string
      /** TimeZone of the sessions of clients that set none. Default: ''. */
      timezone?: string
      /** When a server connection returns to the pool: at the end of the session, transaction or statement. Default: 'session'. */
      poolMode?: 'session' | 'transaction' | 'statement'
      /** How transaction and statement mode treat session state that cannot follow its client: pin keeps the client on its server connection, error refuses such statements, reset discards the state at the end of the transaction. Default: 'pin'. */
      sessionState?: 'pin' | 'error' | 'reset'
      /** Whether short statements outside of transactions are sent behind those of other clients on the same server connection, while these still run, in transaction and statement mode: auto where it is certain that they only read and leave nothing behind. Default: 'auto'. */
      serverPipelining?: 'auto' | 'off'
      /** Maximum number of server connections per database and user, without replication connections. A number from 1 to 1000000. Default: 25. */
      poolSize?: number
      /** Minimum number of server connections that a pool in use keeps open. A number from 0 to 1000000. Default: 0. */
      minPoolSize?: number
      /** Additional server connections that a pool may open after reservePoolTimeout. A number from 0 to 1000000. Default: 0. */
      reservePoolSize?: number
      /** Maximum number of server connections to one database; 0 means no limit. A number from 0 to 1000000. Default: 0. */
      maxDbConnections?: number
      /** Maximum number of client connections to one database; 0 means no limit. A number from 0 to 1000000. Default: 0. */
      maxDbClientConnections?: number
      /** Query that is run on each new server connection before it is used; empty means none. Default: ''. */
      connectQuery?: string
      /** Which of several hosts the next server connection leads to; disable takes the first that can be used. Default: 'round-robin'. */
      loadBalanceHosts?: 'round-robin' | 'least-connections' | 'disable'
      /** Weights of the hosts for round-robin and least-connections, in their order, separated by commas; empty means the same for all. Default: ''. */
      loadBalanceWeights?: string
      /** What a host must be to be used, as in libpq. Default: 'any'. */
      targetSessionAttrs?: 'any' | 'read-write' | 'read-only' | 'primary' | 'standby' | 'prefer-standby'
      /** Where single statements that certainly only read are run in transaction and statement mode: replicas sends them to standbys of the list of hosts, and all else to the primary. Default: 'off'. */
      routeReads?: 'off' | 'replicas'
      /** With routeReads, time after a write of a client during which its reads go to the primary; longer, until a standby has replayed the write. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
      readAfterWrite?: number | string
      /** With routeReads, age of the data beyond which a standby is not read from. Milliseconds, at least 1000, or a text with a unit: '15s', '10min'. Default: 10000 (10s). */
      maxReplicaLag?: number | string
      /** Time that clients wait while no host can be used, before they are refused. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
      outageGrace?: number | string
      /** Age after which a server connection is closed when it is unused. Milliseconds, or a text with a unit: '15s', '10min'. Default: 3600000 (1h). */
      serverLifetime?: number | string
      /** Maximum wait of a client for a server connection. Milliseconds, or a text with a unit: '15s', '10min'. Default: 120000 (2min). */
      queryWaitTimeout?: number | string
      /** Maximum duration of a query; then the query is ended and its client disconnected. Not for replication. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
      queryTimeout?: number | string
      /** Maximum duration of a transaction; then the client is disconnected. Not for replication. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
      transactionTimeout?: number | string
      /** Maximum idle time in a transaction; then the client is disconnected. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
      idleTransactionTimeout?: number | string
      /** Time after which a client that sends nothing is disconnected. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
      clientIdleTimeout?: number | string
      /** Log statements that ran at least so many milliseconds, without their literals; 0 logs all, -1 none. A number from -1 to 2147483647. Default: -1. */
      logMinDuration?: number
      /** TLS towards PostgreSQL. Default: 'prefer'. */
      serverTlsMode?: 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'
      /** Private key shown to PostgreSQL (PEM). The path of a file. Default: ''. */
      serverTlsKeyFile?: string
      /** Certificate shown to PostgreSQL (PEM). The path of a file. Default: ''. */
      serverTlsCertFile?: string
      /** Authorities that may sign PostgreSQL's certificate (PEM). The path of a file. Default: ''. */
      serverTlsCaFile?: string
      /** postgres asks PostgreSQL before TLS begins, direct begins at once (PostgreSQL 17 and later). Default: 'postgres'. */
      serverTlsNegotiation?: 'postgres' | 'direct'
      /** TLS versions towards PostgreSQL; secure means 1.2 and 1.3. Default: 'secure'. */
      serverTlsProtocols?: string
      /** Cipher suites towards PostgreSQL, in OpenSSL notation. Default: 'default'. */
      serverTlsCiphers?: string
    }
  >
  /** What is set for single users, by name; a user's value counts before a database's. */
  users?: Record<
    string,
    {
      /** When a server connection returns to the pool: at the end of the session, transaction or statement. Default: 'session'. */
      poolMode?: 'session' | 'transaction' | 'statement'
      /** How transaction and statement mode treat session state that cannot follow its client: pin keeps the client on its server connection, error refuses such statements, reset discards the state at the end of the transaction. Default: 'pin'. */
      sessionState?: 'pin' | 'error' | 'reset'
      /** Whether short statements outside of transactions are sent behind those of other clients on the same server connection, while these still run, in transaction and statement mode: auto where it is certain that they only read and leave nothing behind. Default: 'auto'. */
      serverPipelining?: 'auto' | 'off'
      /** Maximum number of server connections per database and user, without replication connections. A number from 1 to 1000000. Default: 25. */
      poolSize?: number
      /** Additional server connections that a pool may open after reservePoolTimeout. A number from 0 to 1000000. Default: 0. */
      reservePoolSize?: number
      /** Maximum number of server connections of one user; 0 means no limit. A number from 0 to 1000000. Default: 0. */
      maxUserConnections?: number
      /** Maximum number of client connections of one user; 0 means no limit. A number from 0 to 1000000. Default: 0. */
      maxUserClientConnections?: number
      /** Maximum wait of a client for a server connection. Milliseconds, or a text with a unit: '15s', '10min'. Default: 120000 (2min). */
      queryWaitTimeout?: number | string
      /** Maximum duration of a query; then the query is ended and its client disconnected. Not for replication. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
      queryTimeout?: number | string
      /** Maximum duration of a transaction; then the client is disconnected. Not for replication. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
      transactionTimeout?: number | string
      /** Maximum idle time in a transaction; then the client is disconnected. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
      idleTransactionTimeout?: number | string
      /** Time after which a client that sends nothing is disconnected. Milliseconds, or a text with a unit: '15s', '10min'. Default: 0. */
      clientIdleTimeout?: number | string
      /** Log statements that ran at least so many milliseconds, without their literals; 0 logs all, -1 none. A number from -1 to 2147483647. Default: -1. */
      logMinDuration?: number
    }
  >
}
