/** Reads batches back into what a peer sent, for the tests of the scanner and the framer. */
import { Batch, FIRST, LAST, RUN, STARTUP } from '../../../lib/protocol/batch.ts'
import type { Scanner } from '../../../lib/protocol/scanner.ts'

/** One message, or one run of messages nobody looks at, put together from its segments. */
export interface Piece {
  /** Type letter, `run` or `startup`. */
  type: string
  bytes: Buffer
  /** Its last byte has come. */
  whole: boolean
}

const letter = (type: number): string =>
  type === RUN ? 'run' : type === STARTUP ? 'startup' : String.fromCharCode(type)

/** Adds the segments of `batch` to `pieces`. Neighbouring runs are one: where they are cut depends on the chunks. */
export function collect(batch: Batch, pieces: Piece[]): void {
  for (let i = 0; i < batch.count; i++) {
    const flags = batch.flags(i)
    const type = letter(batch.type(i))
    const bytes = Buffer.from(batch.bytesOf(i))
    const last = pieces.at(-1)
    const first = (flags & FIRST) !== 0
    if (!first && last === undefined) throw new Error('a segment that continues nothing')
    if (last && (!first || (type === 'run' && last.type === 'run'))) {
      if (last.type !== type) throw new Error(`a segment of ${type} continues ${last.type}`)
      if (!first && last.whole) throw new Error(`a segment continues ${type}, which had ended`)
      if (first && !last.whole) throw new Error('a message begins inside of another')
      last.bytes = Buffer.concat([last.bytes, bytes])
      last.whole = (flags & LAST) !== 0
    } else {
      if (last && !last.whole) throw new Error(`${type} begins before ${last.type} has ended`)
      pieces.push({ type, bytes, whole: (flags & LAST) !== 0 })
    }
  }
}

/** What `scanner` makes of these chunks, and the violation that ended it. */
export function scanAll(scanner: Scanner, chunks: Iterable<Buffer>): { pieces: Piece[]; violation?: string } {
  const pieces: Piece[] = []
  for (const chunk of chunks) {
    const batch = Batch.take(chunk)
    scanner.scan(chunk, batch)
    collect(batch, pieces)
    const { violation } = batch
    batch.release()
    if (violation !== undefined) return { pieces, violation }
  }
  return { pieces }
}

/** `bytes` cut at the given places. */
export function cutAt(bytes: Buffer, ...places: number[]): Buffer[] {
  const chunks: Buffer[] = []
  let from = 0
  for (const place of [...places, bytes.length]) {
    if (place > from) chunks.push(bytes.subarray(from, place))
    from = place
  }
  return chunks
}
