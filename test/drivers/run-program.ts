/** A tool as a user starts it, for drivers of the matrix that are programs. */
import { spawn } from 'node:child_process'
import path from 'node:path'
import { text } from 'node:stream/consumers'

/** Longest time a program may take, in milliseconds. Only one that hangs gets there. */
const deadline = 60_000

/**
 * Runs a program to its end, `input` as its standard input, and resolves with its standard output. Rejects with all that
 * it said when it does not end with exit code 0. Nothing of the caller's settings for libpq reaches it.
 */
export async function runProgram(
  command: string,
  args: string[],
  { input = '', env = {} }: { input?: string; env?: Record<string, string> } = {},
): Promise<string> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(PG[A-Z]+|NODE_OPTIONS|TAP.*)$/.test(name))
  const child = spawn(command, args, { env: { ...Object.fromEntries(inherited), ...env } })
  const timer = setTimeout(() => child.kill('SIGKILL'), deadline)
  // A program that ends early does not read the rest; its exit code says more than the broken pipe.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const exit = new Promise<string>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(String(code ?? signal)))
  })
  const [code, output, errors] = await Promise.all([exit, text(child.stdout), text(child.stderr)])
  clearTimeout(timer)
  if (code !== '0') throw new Error(`${path.basename(command)} ended with ${code}\n${errors}${output}`)
  return output
}
