#!/usr/bin/env node
/**
 * The launcher: finds the program that this runtime can run and loads it. Plain JavaScript in a form that old Node
 * versions can still read, so that they get a sentence and not a syntax error.
 *
 * dist/ is what npm ships. In a checkout without it, runtimes that strip types (Bun, Node from 22.18 on) run lib/.
 */
import fs from 'node:fs'

const isBun = process.versions.bun !== undefined
const [major, minor] = process.versions.node.split('.').map(Number)
const built = new URL('../dist/cli/main.js', import.meta.url)
const source = new URL('../lib/cli/main.ts', import.meta.url)

function stop(message) {
  process.stderr.write(`pgbun: ${message}\n`)
  process.exitCode = 1
}

/** Load the program. Its signal handlers come first: the rest takes a while, and SIGHUP must not end it meanwhile. */
async function load(program) {
  try {
    await import(program.href.replace(/main(?=\.[jt]s$)/, 'signals'))
    await import(program.href)
  } catch (error) {
    const { code, message, stack } = error
    if (code === 'ERR_MODULE_NOT_FOUND' && /'(yargs|@iarna\/toml)'/.test(message)) {
      stop('its dependencies are not installed. Run "npm ci" first.')
    } else {
      stop(stack)
    }
  }
}

if (!isBun && (major < 20 || (major === 20 && minor < 19))) {
  stop(`needs Node 20.19 or later, or Bun; this is Node ${process.versions.node}.`)
} else if (fs.existsSync(built)) {
  load(built)
} else if (fs.existsSync(source) && (isBun || process.features.typescript)) {
  load(source)
} else {
  stop('is not built yet. Run "npm run build" first.')
}
