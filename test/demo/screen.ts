/**
 * What the demo prints: steps with a bar that moves on a terminal, plain lines elsewhere.
 * Colours only on a terminal, and not with NO_COLOR.
 */

type Progress = (share: number, note: string) => void

export class Screen {
  #terminal = process.stdout.isTTY === true
  #colours = this.#terminal && !process.env.NO_COLOR
  /** The step that is being shown on the terminal's last line. */
  #open = false
  #quarter = 0

  title(text: string): void {
    process.stdout.write(`\n${this.#paint('1', text)}\n\n`)
  }

  /** Runs one step, with its name in front of a bar while it lasts and `done` in its place afterwards. */
  async step<T>(name: string, work: (progress: Progress) => Promise<{ result: T; done: string }>): Promise<T> {
    const start = performance.now()
    this.#quarter = 0
    if (this.#terminal) this.#redraw(`  ${this.#paint('36', '…')} ${name}`)
    const { result, done } = await work((share, note) => this.#progress(name, share, note))
    const took = `${((performance.now() - start) / 1000).toFixed(1)} s`
    const line = `  ${this.#paint('32', '✓')} ${done.padEnd(48)}${this.#paint('2', took.padStart(8))}`
    if (this.#terminal) this.#redraw(line)
    else process.stdout.write(line)
    process.stdout.write('\n')
    this.#open = false
    return result
  }

  /** Names and values, one row each. */
  table(rows: [string, string | number][]): void {
    const shown = rows.map(([name, value]) => [name, typeof value === 'number' ? value.toLocaleString('en-US') : value])
    const left = Math.max(...shown.map(([name]) => name!.length))
    const right = Math.max(...shown.map(([, value]) => value!.length))
    const rule = (a: string, b: string, c: string): string =>
      `  ${this.#paint('2', `${a}${'─'.repeat(left + 2)}${b}${'─'.repeat(right + 2)}${c}`)}\n`
    const bar = this.#paint('2', '│')
    let text = `\n${rule('┌', '┬', '┐')}`
    for (const [name, value] of shown) {
      text += `  ${bar} ${name!.padEnd(left)} ${bar} ${this.#paint('1', value!.padStart(right))} ${bar}\n`
    }
    process.stdout.write(`${text}${rule('└', '┴', '┘')}\n`)
  }

  say(text: string): void {
    process.stdout.write(`  ${text}\n`)
  }

  problem(text: string): void {
    this.stop()
    process.stderr.write(`  ${this.#paint('31', '✗')} ${text}\n`)
  }

  /** Leaves a line that is being redrawn, so that what follows starts on one of its own. */
  stop(): void {
    if (this.#open) process.stdout.write('\n')
    this.#open = false
  }

  #progress(name: string, share: number, note: string): void {
    if (this.#terminal) {
      const width = 24
      const full = Math.round(width * share)
      const bar = this.#paint('36', '█'.repeat(full)) + this.#paint('2', '░'.repeat(width - full))
      this.#redraw(`  ${this.#paint('36', '…')} ${name} ${bar} ${note}`)
      return
    }
    // A file or a pipe gets one line per quarter of the way.
    const quarter = Math.floor(share * 4)
    if (quarter <= this.#quarter || quarter === 4) return
    this.#quarter = quarter
    process.stdout.write(`    ${name}: ${quarter * 25} %, ${note}\n`)
  }

  #redraw(line: string): void {
    process.stdout.write(`\r\x1b[2K${line}`)
    this.#open = true
  }

  #paint(code: string, text: string): string {
    return this.#colours ? `\x1b[${code}m${text}\x1b[0m` : text
  }
}
