/** The parameters in a Bind message, for people (protocol chapter "Message Formats"). Pure. */

/** So many parameters are read, and so many characters of each. */
const COUNT_LIMIT = 50
const LENGTH_LIMIT = 100

/**
 * The parameters in the `body` of a Bind, as far as it is there: those in text format in quotes, of those in binary format
 * the length.
 */
export function shownParameters(body: Buffer): string[] {
  const statement = body.indexOf(0) + 1
  const formats = body.indexOf(0, statement) + 1
  const shown: string[] = []
  if (statement === 0 || formats === 0 || formats + 2 > body.length) return shown
  const formatCount = body.readUInt16BE(formats)
  const countAt = formats + 2 + 2 * formatCount
  if (countAt + 2 > body.length) return shown
  const count = body.readUInt16BE(countAt)
  let at = countAt + 2
  for (let i = 0; i < count && at + 4 <= body.length; i++) {
    if (i === COUNT_LIMIT) {
      shown.push('...')
      break
    }
    const length = body.readInt32BE(at)
    at += 4
    if (length < 0) {
      shown.push('NULL')
      continue
    }
    // One format may be that of all.
    const format = formatCount === 0 ? 0 : formatCount === 1 ? 0 : i
    const binary = formatCount > 0 && format < formatCount && body.readUInt16BE(formats + 2 + 2 * format) === 1
    shown.push(binary ? `(${length} bytes)` : quoted(body, at, length))
    at += length
  }
  return shown
}

function quoted(body: Buffer, at: number, length: number): string {
  const text = body.toString('utf8', at, Math.min(at + length, at + LENGTH_LIMIT))
  return length > LENGTH_LIMIT ? `'${text}'...` : `'${text}'`
}
