/** What clients of the failover test saw: by phase, what was served, errors and gaps; in all, what was lost or too old. Pure. */

/** What a phase came to. */
interface Phase {
  readonly name: string
  readonly since: number
  readonly served: Record<Kind, number>
  /** When one of the kind was served last; the longest time between two, in ms. */
  readonly last: Record<Kind, number>
  readonly gap_ms: Record<Kind, number>
  readonly longest_ms: Record<Kind, number>
  readonly errors: Record<string, number>
}

type Kind = 'write' | 'read'

/** What is written and read. */
interface Row {
  readonly writer: number
  readonly number: number
}

/** One run. */
export class FailoverTally {
  readonly #promisedMs: number
  readonly #phases: Phase[] = []
  /** Numbers that were acknowledged, and when, by writer. */
  readonly #written = new Map<number, { number: number; at: number }[]>()
  #stale = 0
  #unseen = 0
  #checked = 0

  /** @param promisedMs how old what is read may be */
  constructor(promisedMs: number) {
    this.#promisedMs = promisedMs
    this.begin('start')
  }

  /** A phase begins. */
  begin(name: string): void {
    const since = performance.now()
    this.#closeGaps(since)
    this.#phases.push({
      name,
      since,
      served: { write: 0, read: 0 },
      last: { write: since, read: since },
      gap_ms: { write: 0, read: 0 },
      longest_ms: { write: 0, read: 0 },
      errors: {},
    })
  }

  get #phase(): Phase {
    return this.#phases.at(-1)!
  }

  #closeGaps(at: number): void {
    const phase = this.#phases.at(-1)
    if (phase === undefined) return
    for (const kind of ['write', 'read'] as const) {
      phase.gap_ms[kind] = Math.max(phase.gap_ms[kind], at - phase.last[kind])
    }
  }

  /** Do `request`, and count it where it succeeds. */
  async time<T>(kind: Kind, request: () => Promise<T>): Promise<T> {
    const began = performance.now()
    const result = await request()
    const at = performance.now()
    const phase = this.#phase
    phase.served[kind]++
    phase.gap_ms[kind] = Math.max(phase.gap_ms[kind], at - phase.last[kind])
    phase.longest_ms[kind] = Math.max(phase.longest_ms[kind], at - began)
    phase.last[kind] = at
    return result
  }

  failed({ code, message }: Error & { code?: string }): void {
    const { errors } = this.#phase
    const key = code ?? message
    errors[key] = (errors[key] ?? 0) + 1
  }

  /** `number` of `writer` was acknowledged. */
  acknowledged(writer: number, number: number): void {
    const at = performance.now()
    const written = this.#written.get(writer)
    if (written === undefined) this.#written.set(writer, [{ number, at }])
    else written.push({ number, at })
  }

  /** The writer itself read this as its highest number. */
  sawOwn(writer: number, number: number): void {
    this.#checked++
    if (number < (this.#written.get(writer)?.at(-1)?.number ?? 0)) this.#unseen++
  }

  /** Somebody else read at `at` the highest numbers of all writers. */
  saw(at: number, rows: readonly Row[]): void {
    const found = new Map(rows.map(({ writer, number }) => [writer, number]))
    this.#checked++
    for (const [writer, written] of this.#written) {
      const promised = written.findLast((one) => one.at < at - this.#promisedMs)
      if (promised !== undefined && (found.get(writer) ?? 0) < promised.number) this.#stale++
    }
  }

  /** The figures; `rows` is all that is there at the end. */
  figures(rows: readonly Row[]) {
    this.#closeGaps(performance.now())
    const there = new Set(rows.map(({ writer, number }) => `${writer} ${number}`))
    let acknowledged = 0
    let lost = 0
    for (const [writer, written] of this.#written) {
      for (const { number } of written) {
        acknowledged++
        if (!there.has(`${writer} ${number}`)) lost++
      }
    }
    return {
      acknowledged,
      lost,
      reads_checked: this.#checked,
      stale: this.#stale,
      own_writes_unseen: this.#unseen,
      phases: this.#phases.map(({ name, served, gap_ms, longest_ms, errors }) => ({
        name,
        served,
        gap_ms: rounded(gap_ms),
        longest_ms: rounded(longest_ms),
        errors,
      })),
    }
  }
}

function rounded({ write, read }: Record<Kind, number>): Record<Kind, number> {
  return { write: Math.round(write), read: Math.round(read) }
}
