/** Where HTTP is listened on, as it is written: `6433`, `127.0.0.1:6433`, `[::1]:6433`, `*:6433`. Pure. */

/** A place to listen on. */
export interface HttpAddress {
  /** An IP address, a name, or `*` for all addresses. */
  readonly host: string
  /** 0 means any free one. */
  readonly port: number
}

/** What an address looks like; '' is none. */
export const HTTP_ADDRESS = /^(?:|\d{1,5}|(?:\*|[\w.-]{1,253}|\[[0-9a-f:.]{2,45}\]):\d{1,5})$/i
export const HTTP_ADDRESS_EXPECTED = 'a port, or an address with one: "6433", "127.0.0.1:6433", "[::1]:6433", "*:6433"'

/** The address in `text`; undefined where it is empty. */
export function parseHttpAddress(text: string): HttpAddress | undefined {
  if (text === '') return undefined
  const at = text.lastIndexOf(':')
  const host = at === -1 ? '127.0.0.1' : text.slice(0, at).replace(/^\[(.*)\]$/, '$1')
  return { host, port: Number(text.slice(at + 1)) }
}

/** Whether only programs of this machine can connect there. */
export function isLoopbackAddress(host: string): boolean {
  return host.toLowerCase() === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)
}
