/**
 * A password from whoever runs pgbun: on a terminal typed twice without being shown, otherwise the first line of
 * standard input. The questions go to standard error, so that standard output has the result alone.
 */
import type { ReadStream } from 'node:tty'
import { decodePassword } from '../auth/password-text.ts'
import { MAX_SECRET_BYTES } from '../config/userlist.ts'
import { TypedLine } from './typed-line.ts'

const QUESTIONS = ['Password: ', 'Password again: '] as const

/** The bytes of the password, without the end of the line. @throws Error where there is none or both differ */
export async function askPassword(): Promise<Buffer> {
  const { stdin } = process
  if (!stdin.isTTY) return firstLine(stdin)
  const [first, second] = await typedLines(stdin, QUESTIONS)
  if (second !== undefined && !first!.equals(second)) throw new Error('the two passwords differ')
  return first!
}

/** A password that is only used, not set: asked for once, on the terminal. @throws Error where there is none */
export async function askOnce(question: string): Promise<string> {
  const [line] = await typedLines(process.stdin, [question])
  return decodePassword(line!)
}

/** The answers to `questions`; none is asked after an empty answer. */
async function typedLines(terminal: ReadStream, questions: readonly string[]): Promise<Buffer[]> {
  const lines: Buffer[] = []
  let line = new TypedLine()
  const ask = () => void process.stderr.write(questions[lines.length]!)
  terminal.setRawMode(true)
  try {
    ask()
    // A terminal view reads on from it.
    for await (const chunk of terminal.iterator({ destroyOnReturn: false })) {
      let rest: Buffer = chunk
      for (;;) {
        const ended = line.feed(rest)
        if (ended === undefined) break
        process.stderr.write('\n')
        if (ended.end === 'interrupt') throw new Error('interrupted')
        lines.push(line.bytes)
        if (lines.length === questions.length || lines.at(-1)!.length === 0) return lines
        line = new TypedLine()
        rest = ended.rest
        ask()
      }
    }
    throw new Error('the terminal was closed before the password was typed')
  } finally {
    if (!terminal.destroyed) terminal.setRawMode(false)
    // Bun's keeps the process alive otherwise.
    terminal.pause()
    terminal.unref()
  }
}

async function firstLine(input: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  let length = 0
  for await (const chunk of input) {
    const end = chunk.indexOf('\n')
    parts.push(end === -1 ? chunk : chunk.subarray(0, end))
    length += chunk.length
    // What is longer is refused, whatever follows. The end of a line may have two bytes.
    if (end !== -1 || length > MAX_SECRET_BYTES + 2) break
  }
  const line = Buffer.concat(parts)
  return line.at(-1) === 0x0d ? line.subarray(0, -1) : line
}
