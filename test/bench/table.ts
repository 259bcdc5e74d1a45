/** Tables as text with aligned columns, and as Markdown. Pure. */

export type TableStyle = 'text' | 'markdown'

/** A table; columns of which every cell begins with a digit, a sign or is `-` are aligned to the right. */
export function renderTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  style: TableStyle,
): string {
  const right = header.map(
    (_, column) => rows.length > 0 && rows.every((row) => /^([\d±≥≤+-]|$)/.test(row[column] ?? '')),
  )
  const widths = header.map((name, column) => Math.max(name.length, ...rows.map((row) => (row[column] ?? '').length)))
  const line = (cells: readonly string[]): string[] =>
    header.map((_, column) => {
      const cell = cells[column] ?? ''
      return right[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)
    })
  if (style === 'markdown') {
    const rule = widths.map((width, column) =>
      right[column] ? `${'-'.repeat(Math.max(width, 3) - 1)}:` : '-'.repeat(Math.max(width, 3)),
    )
    return [line(header), rule, ...rows.map(line)].map((cells) => `| ${cells.join(' | ')} |\n`).join('')
  }
  return [line(header), widths.map((width) => '-'.repeat(width)), ...rows.map(line)]
    .map((cells) => `  ${cells.join('  ').trimEnd()}\n`)
    .join('')
}
