/**
 * Asks hosts for a sign of life: those that have failed, until they answer again, and with `health_check_interval` all of
 * them; and asks for the addresses of those that have names. Called by the janitor's sweep. No password is needed, and PostgreSQL logs nothing: see net/probe.
 */

import type { HostAddress } from '../config/hosts.ts'
import { now } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import type { HostBook, HostState } from './host-book.ts'

/** What is asked how often. Times in milliseconds. */
export interface HealthSettings {
  /** 0 is only those that have failed. */
  readonly intervalMs: number
  readonly timeoutMs: number
  /** So many that fail one after the other, and the host is not used any more; so many that succeed, and it is again. */
  readonly failures: number
  readonly successes: number
  /** How often the names of hosts are asked for. */
  readonly dnsMs: number
}

/** What the monitor works with. */
export interface MonitorPorts {
  settings(): HealthSettings
  /** Resolves when the host has given a sign of life within the time. Rejects with the reason. */
  probe(host: HostAddress, timeoutMs: number): Promise<void>
  /** Ask again what SRV names stand for. */
  renewNames(): Promise<void>
  /** The addresses that a name has now. Rejects where nobody knows. */
  resolve(name: string): Promise<string[]>
  /** The host has these addresses now: connections to others are not to be used again. */
  moved(host: HostState, addresses: readonly string[]): void
  /** The host does not answer any more: connections to it are of no use. */
  down(host: HostState, reason: string): void
  log: Logger
}

/** Watches the hosts of a book. */
export class HostMonitor {
  readonly #book: HostBook
  readonly #ports: MonitorPorts
  #namesAt = now()

  constructor(book: HostBook, ports: MonitorPorts) {
    this.#book = book
    this.#ports = ports
  }

  /** Begin the probes that are due at `at`. */
  sweep(at: number): void {
    const { intervalMs, dnsMs } = this.#ports.settings()
    if (at - this.#namesAt >= dnsMs) {
      this.#namesAt = at
      void this.#ports.renewNames()
    }
    for (const host of this.#book.all()) {
      if (host.hasName && at - host.resolvedAt >= dnsMs) void this.#resolve(host, at)
      const watched = host.shared || intervalMs > 0
      const due = host.up ? intervalMs > 0 && at - host.probedAt >= intervalMs : watched && !host.backoff.active(at)
      if (due && !host.probing) void this.#probe(host)
    }
  }

  async #resolve(host: HostState, at: number): Promise<void> {
    host.resolvedAt = at
    try {
      const addresses = await this.#ports.resolve(host.address.host)
      if (host.addresses.some((address) => !addresses.includes(address))) this.#ports.moved(host, addresses)
      host.addresses = addresses
    } catch {
      // What was found before stays good, also while nobody answers.
    }
  }

  async #probe(host: HostState): Promise<void> {
    const { settings, probe, down, log } = this.#ports
    const { timeoutMs, failures, successes } = settings()
    const began = now()
    host.probing = true
    host.probedAt = began
    try {
      await probe(host.address, timeoutMs)
      host.probes = Math.max(0, host.probes) + 1
      if (!host.up && host.probes < successes) return
      if (!host.up) log.info('host answers again', { host: host.key })
      host.probed(now(), now() - began)
    } catch (error) {
      const reason = (error as Error).message
      host.probes = Math.min(0, host.probes) - 1
      if (host.up && -host.probes < failures) return
      const wasUp = host.up
      host.failed(now(), reason, timeoutMs)
      if (wasUp) {
        log.warn('host does not answer: no more connections lead there until it does', { host: host.key, reason })
        down(host, reason)
      }
    } finally {
      host.probing = false
    }
  }
}
