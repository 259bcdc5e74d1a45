/** Messages of a script as bytes. */

import { cstring, frontend, int16, int32, message } from '../fixtures/messages.ts'
import { type CopyStream, expand, type FuzzMessage, type Value } from './script.ts'

/** How many Close messages make the mark that tells the end of a turn: more in a row than any turn has of its own. */
export const MARKS = 24

const MARK = Buffer.concat(Array.from({ length: MARKS }, () => frontend.close('P', 'fuzz_mark')))

/**
 * What a `ready` turn ends with where the number of its ReadyForQuery is not known beforehand. The Close of a portal
 * that is not there is answered in any state of a transaction, and changes none.
 */
export const READY_MARK = Buffer.concat([frontend.sync(), MARK, frontend.sync()])
/** The same for a turn that leaves its batch open. */
export const FLUSH_MARK = Buffer.concat([MARK, frontend.flush()])

export function encode(item: FuzzMessage): Buffer {
  switch (item.type) {
    case 'Q':
      return Buffer.concat([frontend.query(expand(item.sql)), ...streams(item.copies)])
    case 'P':
      return frontend.parse(expand(item.sql), item.name, item.types)
    case 'B':
      return message(
        'B',
        cstring(item.portal),
        cstring(item.statement),
        ...shorts(item.formats),
        int16(item.values.length),
        ...item.values.map(field),
        ...shorts(item.results),
      )
    case 'D':
      return frontend.describe(item.kind, item.name)
    case 'C':
      return frontend.close(item.kind, item.name)
    case 'E':
      return Buffer.concat([frontend.execute(item.limit, item.portal), ...streams(item.copies)])
    case 'F':
      return message('F', int32(item.oid), int16(0), int16(item.values.length), ...item.values.map(field), int16(0))
    case 'S':
      return frontend.sync()
    case 'H':
      return frontend.flush()
    case 'd':
      return frontend.copyData(item.data)
    case 'c':
      return frontend.copyDone()
    case 'f':
      return frontend.copyFail('not in a copy')
  }
}

function streams(copies: CopyStream[] = []): Buffer[] {
  return copies.flatMap(({ parts, end }) => [
    ...parts.map((part) => {
      if ('data' in part) return frontend.copyData(expand(part.data))
      return part.message === 'sync' ? frontend.sync() : frontend.flush()
    }),
    end === 'done' ? frontend.copyDone() : frontend.copyFail('changed my mind'),
  ])
}

function shorts(values: number[]): Buffer[] {
  return [int16(values.length), ...values.map(int16)]
}

/** A value with its length in front. Those beginning with `\x` are given as hexadecimal digits, for binary formats. */
function field(value: Value): Buffer {
  if (value === null) return int32(-1)
  let bytes: Buffer
  if (typeof value === 'object') bytes = Buffer.from(value.text.repeat(value.length).slice(0, value.length))
  else if (value.startsWith('\\x')) bytes = Buffer.from(value.slice(2), 'hex')
  else bytes = Buffer.from(value)
  return Buffer.concat([int32(bytes.length), bytes])
}
