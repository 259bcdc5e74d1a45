import { spawn } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { typescript } from '../fixtures/runtimes.ts'
import { waitFor } from '../fixtures/wait.ts'
import { otherRuntimes, testOnRuntimes } from './net/on-runtimes.ts'

testOnRuntimes('listen')

const SCRIPT = fileURLToPath(new URL('./net/few-descriptors.ts', import.meta.url))

// More clients than file descriptors: the runtimes differ in what becomes of those beyond the limit (Node closes them,
// Bun leaves them waiting), but the listener must live, and serve again when there are descriptors.
for (const [runtime, command] of Object.entries({ Node: `"${process.execPath}" ${typescript}`, ...otherRuntimes() })) {
  t.test(`running out of file descriptors does not end the process, on ${runtime}`, async (t) => {
    const line = `ulimit -n 64; exec ${command} "${SCRIPT}"`
    const child = spawn('sh', ['-c', line], { stdio: ['ignore', 'pipe', 'inherit'] })
    t.teardown(() => child.kill())
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    const [, port] = await waitFor(() => /port (\d+)/.exec(output), { what: 'the listener' })
    const greeted = new Set<Socket>()
    const open = () => {
      const socket = connect(Number(port), '127.0.0.1')
      socket.on('data', () => greeted.add(socket))
      socket.on('error', () => {})
      t.teardown(() => socket.destroy())
      return socket
    }
    const sockets = Array.from({ length: 150 }, open)
    await waitFor(() => greeted.size > 20, { what: 'the clients there are descriptors for' })
    for (const socket of sockets) socket.destroy()
    t.ok(greeted.size < 64, 'the limit was reached')
    await waitFor(
      async () => {
        const socket = open()
        await new Promise((resolve) => socket.on('data', resolve).on('close', resolve))
        return greeted.has(socket)
      },
      { what: 'the listener to serve again' },
    )
    t.equal(child.exitCode, null)
  })
}
