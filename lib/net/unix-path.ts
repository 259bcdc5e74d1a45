/**
 * The path of a PostgreSQL unix socket, for the listener and for dial: `.s.PGSQL.<port>` in a directory, or in Linux'
 * abstract namespace where the directory begins with `@` (libpq's host, PgBouncer's unix_socket_dir).
 */

/** Bytes that fit a sockaddr_un with its ending zero; macOS has 4 less. Node 20 cuts a longer one without a word. */
const PATH_LIMIT = process.platform === 'linux' ? 107 : 103

/** Whether a unix socket can have this path. */
export function fitsUnixPath(path: string): boolean {
  return Buffer.byteLength(path) <= PATH_LIMIT
}

export interface UnixPath {
  /** For node:net, with a zero byte in front where it is abstract. */
  path: string
  /** For people: `/tmp/.s.PGSQL.6432`, `@name/.s.PGSQL.6432`. */
  label: string
  abstract: boolean
}

/** Is this host a directory of unix sockets rather than a name or an address? */
export function isUnixDirectory(host: string): boolean {
  return host.startsWith('/') || host.startsWith('@')
}

/**
 * @param option name of the option the directory comes from, for errors
 * @throws Error where such a socket cannot be, or cannot be reached from this runtime
 */
export function unixSocketPath(directory: string, port: number, option: string): UnixPath {
  let end = directory.length
  while (end > 1 && directory[end - 1] === '/') end--
  const label = `${directory.slice(0, end)}/.s.PGSQL.${port}`.replace(/^\/\//, '/')
  const abstract = directory.startsWith('@')
  if (!fitsUnixPath(label)) {
    throw new Error(
      `${option}: the socket's path '${label}' is ${Buffer.byteLength(label)} bytes long, ` +
        `and a unix socket may have ${PATH_LIMIT}: use a shorter directory`,
    )
  }
  if (abstract && !supportsAbstract()) {
    throw new Error(
      `${option} '${directory}' is an abstract unix socket, which this runtime cannot share with other programs: ` +
        'use Node 22 or later on Linux, Bun, or a directory',
    )
  }
  return { path: abstract ? `\0${label.slice(1)}` : label, label, abstract }
}

/** libuv before 1.48 pads abstract names with zero bytes, so that only its own kind finds them (libuv#4266). */
function supportsAbstract(): boolean {
  if (process.platform !== 'linux') return false
  if (process.versions.bun !== undefined) return true
  const [major = 0, minor = 0] = process.versions.uv.split('.').map(Number)
  return major > 1 || minor >= 48
}
