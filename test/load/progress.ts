/** One line a second on standard error while a run goes on; on a terminal in place of the one before. */
import type { Tally } from './tally.ts'

/** Begins; call the result to end it. */
export function showProgress(tally: Tally, durationMs: number): () => void {
  const terminal = process.stderr.isTTY === true
  const start = performance.now()
  const show = (): void => {
    const elapsed = (performance.now() - start) / 1000
    const number = (value: number): string => Math.round(value).toLocaleString('en-US')
    const line =
      `${elapsed.toFixed(0)} s of ${(durationMs / 1000).toFixed(0)} s: ${number(tally.queries)} queries, ` +
      `${number(tally.queries / elapsed)}/s, ${number(tally.errors + tally.mixUps)} errors`
    process.stderr.write(terminal ? `\r\x1b[2K${line}` : `${line}\n`)
  }
  const ticker = setInterval(show, 1000)
  return () => {
    clearInterval(ticker)
    if (terminal) process.stderr.write('\r\x1b[2K')
  }
}
