/**
 * Passes on cancel requests for clients of other processes (PgBouncer's peering): behind one address for several pgbuns, a
 * cancel request arrives anywhere.
 *
 * Where `peer_id` is set, each cancel key says whose it is, and one peer is asked. Peers that share a name have no ids:
 * all of them are asked. Each request says how often it was passed on: three times is the most.
 *
 * What must hold: whoever guesses keys makes no more work elsewhere than here: a bounded number of requests is on its way
 * to each peer, a bounded number waits, and none longer than cancel_wait_timeout.
 */

import type { Config } from '../config/options.ts'
import { type PeerAddress, parsePeers } from '../config/peers.ts'
import { sendAndWaitClose } from '../net/dial.ts'
import { isOwnAddress } from '../net/own-addresses.ts'
import type { Resolver } from '../net/resolve.ts'
import type { PeerSnapshot } from '../observe/snapshot.ts'
import { writePassedCancel } from '../protocol/startup.ts'
import { after, now } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { MOST_HOPS, peerOfKey } from './cancel-keys.ts'

/** So many requests may wait for one address; no more are taken. */
const MOST_WAITING = 1000
/** A name may stand for so many peers. */
const MOST_ADDRESSES = 64

/** What is needed to reach them. */
export interface PeerParts {
  config: () => Config
  resolver: Resolver
  /** That is listened on. */
  port: () => number
  log: Logger
}

/** Requests for one address. */
class PeerQueue {
  /** The entry of the configuration that it belongs to. */
  readonly entry: string
  active = 0
  readonly waiting: (() => void)[] = []

  constructor(entry: string) {
    this.entry = entry
  }

  /**
   * Do `work` when there is room for it, with the milliseconds that are left of `timeoutMs`. Not at all where none are: a
   * late cancel request could hit what its client runs by then.
   */
  async run(limit: number, timeoutMs: number, work: (leftMs: number) => Promise<void>): Promise<void> {
    const deadline = now() + timeoutMs
    if (this.active < limit) this.active++
    else if (this.waiting.length >= MOST_WAITING || !(await this.#turn(timeoutMs))) return
    try {
      const leftMs = deadline - now()
      if (leftMs > 0) await work(leftMs)
    } finally {
      // Whoever ends hands its place on.
      const next = this.waiting.shift()
      if (next) next()
      else this.active--
    }
  }

  /** Wait until another one hands its place on; false where none does in `timeoutMs`. */
  #turn(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const take = (): void => {
        stop()
        resolve(true)
      }
      const stop = after(timeoutMs, () => {
        this.waiting.splice(this.waiting.indexOf(take), 1)
        resolve(false)
      })
      this.waiting.push(take)
    })
  }
}

/** All peers of one process. */
export class Peers {
  readonly #parts: PeerParts
  readonly #queues = new Map<string, PeerQueue>()

  constructor(parts: PeerParts) {
    this.#parts = parts
  }

  /** Have the process that may know the client with this key cancel what it runs. Never rejects. */
  async passOn(pid: number, secret: Buffer, hops: number): Promise<void> {
    const { peerId } = this.#parts.config()
    if (hops >= MOST_HOPS) return
    const owner = peerId > 0 ? peerOfKey(pid) : 0
    // Ours, and not here: the client has left.
    if (peerId > 0 && owner === peerId) return
    const peers = this.#peers()
    const known = peers.find(({ id }) => id > 0 && id === owner)
    if (known) return this.#ask(known, known, writePassedCancel(pid, secret, hops + 1))
    // Of several under one name nobody is nearer than this one.
    const last = writePassedCancel(pid, secret, MOST_HOPS)
    const named = peers.filter(({ id }) => id === 0)
    await Promise.all(
      named.map(async (peer) => {
        const addresses = await this.#addressesOf(peer)
        await Promise.all(addresses.map((address) => this.#ask(peer, address, last)))
      }),
    )
  }

  /** For SHOW PEERS and SHOW PEER_POOLS: those of the configuration. */
  snapshot(): PeerSnapshot[] {
    const { poolSize } = this.#parts.config()
    return this.#peers().map((peer) => {
      const queues = [...this.#queues.values()].filter(({ entry }) => entry === keyOf(peer))
      const sum = (count: (queue: PeerQueue) => number): number =>
        queues.reduce((total, queue) => total + count(queue), 0)
      return { poolSize, ...peer, active: sum(({ active }) => active), waiting: sum(({ waiting }) => waiting.length) }
    })
  }

  #peers(): PeerAddress[] {
    const { peers, peerId } = this.#parts.config()
    return parsePeers(peers).filter(({ id }) => id === 0 || id !== peerId)
  }

  async #addressesOf({ host, port }: PeerAddress): Promise<PeerAddress[]> {
    const addresses = await this.#parts.resolver.resolve(host).catch(() => [])
    return addresses
      .filter((address) => port !== this.#parts.port() || !isOwnAddress(address))
      .slice(0, MOST_ADDRESSES)
      .map((address) => ({ id: 0, host: address, port }))
  }

  /** @param entry of the configuration, which has led to `address` */
  async #ask(entry: PeerAddress, address: PeerAddress, packet: Buffer): Promise<void> {
    const { cancelWaitTimeout, poolSize, tcpKeepalive, tcpKeepidle } = this.#parts.config()
    const { resolver } = this.#parts
    const key = keyOf(address)
    const queue = this.#queues.get(key) ?? new PeerQueue(keyOf(entry))
    this.#queues.set(key, queue)
    const { host, port } = address
    try {
      await queue.run(Math.max(entry.poolSize ?? poolSize, 1), cancelWaitTimeout || 10_000, (timeoutMs) =>
        sendAndWaitClose(
          { host, port },
          { timeoutMs, keepAlive: tcpKeepalive, keepIdleMs: tcpKeepidle, resolver },
          packet,
        ),
      )
    } catch (error) {
      this.#parts.log.warn('a cancel request could not be passed on to a peer', {
        peer: key,
        reason: (error as Error).message,
      })
    } finally {
      if (queue.active === 0) this.#queues.delete(key)
    }
  }
}

function keyOf({ host, port }: { host: string; port: number }): string {
  return `${host}:${port}`
}
