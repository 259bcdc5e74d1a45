/**
 * The connections of HTTP clients, of which there are never more than a limit: one more closes the one that has been idle
 * longest, so that nobody keeps others out by doing nothing.
 */

import type { Socket } from 'node:net'

/** Idle and busy connections. */
export class Connections {
  readonly #limit: number
  /** By address and port, the one that has been idle longest first. */
  readonly #idle = new Map<string, Socket>()
  readonly #busy = new Map<string, Socket>()

  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#idle.size + this.#busy.size
  }

  /** A client has connected. */
  add(socket: Socket): void {
    const key = keyOf(socket)
    this.#idle.set(key, socket)
    socket.once('close', () => {
      this.#idle.delete(key)
      this.#busy.delete(key)
    })
    if (this.size <= this.#limit) return
    // Where all of them are busy it is the new one.
    const [oldest] = this.#idle.values()
    oldest?.destroy()
  }

  /** A request has come, by TLS or without. */
  busy(socket: Socket): void {
    move(keyOf(socket), this.#idle, this.#busy)
  }

  /** The request is answered. */
  idle(socket: Socket): void {
    move(keyOf(socket), this.#busy, this.#idle)
  }

  /** Close all of them. */
  close(): void {
    for (const socket of [...this.#idle.values(), ...this.#busy.values()]) socket.destroy()
  }
}

function move(key: string, from: Map<string, Socket>, to: Map<string, Socket>): void {
  const socket = from.get(key)
  if (socket === undefined) return
  from.delete(key)
  to.set(key, socket)
}

/** With TLS, requests come by another socket than connections do; where they come from is the same. */
function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
