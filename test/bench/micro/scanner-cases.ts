/** The scanner: a chunk in, a batch of segments out. */
import { Batch, LAST } from '../../../lib/protocol/batch.ts'
import { Scanner } from '../../../lib/protocol/scanner.ts'
import { BACKEND_TABLE, FRONTEND_TABLE, type MessageTable } from '../../../lib/protocol/types.ts'
import type { MicroCase, MicroGroup } from './micro-case.ts'
import { ROWS, replies, requests, rows } from './replies.ts'

function scan(name: string, table: MessageTable, messages: number, ...chunks: Buffer[]): MicroCase {
  const scanner = new Scanner(table)
  return {
    name,
    messages,
    run() {
      let whole = false
      for (const chunk of chunks) {
        const batch = Batch.take(chunk)
        scanner.scan(chunk, batch)
        whole = batch.count > 0 && (batch.flags(batch.count - 1) & LAST) !== 0
        batch.release()
      }
      if (!whole) throw new Error(`${name}: the scanner is not where it should be`)
    },
  }
}

function cut(bytes: Buffer, at: number): Buffer[] {
  return [bytes.subarray(0, at), bytes.subarray(at)]
}

export const scannerCases: MicroGroup = {
  title: 'scanner',
  cases: [
    scan('Query', FRONTEND_TABLE, 1, requests.query),
    scan('Parse, Bind, Describe, Execute, Sync', FRONTEND_TABLE, 5, requests.extended),
    scan('Query in two chunks', FRONTEND_TABLE, 1, ...cut(requests.query, 20)),
    scan('Query in two chunks, cut in its header', FRONTEND_TABLE, 1, ...cut(requests.query, 3)),
    scan('reply to a Query (4 messages)', BACKEND_TABLE, 4, replies.query),
    scan('reply to the extended query (6 messages)', BACKEND_TABLE, 6, replies.extended),
    scan(`${ROWS} rows of 100 bytes in one chunk`, BACKEND_TABLE, ROWS, rows),
  ],
}
