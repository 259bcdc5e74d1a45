/** The load generators: pgbench where it is on PATH, else pg-load.ts. */
import { writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { findProgram, versionOf } from './find-program.ts'
import type { Generator, LoadRequest } from './load.ts'
import { pgbenchScript } from './scripts.ts'

/** The generator of --generator. @throws Error where pgbench is asked for and missing */
export function chooseGenerator(wanted: 'auto' | 'pgbench' | 'pg', directory: string): Generator {
  const pgbench = wanted === 'pg' ? undefined : findProgram('pgbench')
  if (pgbench !== undefined) return pgbenchGenerator(pgbench, directory)
  if (wanted === 'pgbench') throw new Error('--generator pgbench: it is not on PATH')
  return pgGenerator()
}

/** pgbench; its scripts are written to `directory`. */
export function pgbenchGenerator(command: string, directory: string): Generator {
  return {
    name: versionOf(command) || 'pgbench',
    command(request) {
      const text = pgbenchScript(request.script)
      const file = path.join(directory, 'script.sql')
      if (text !== undefined) writeFileSync(file, text)
      return { command, args: pgbenchArguments(request, text && file), env: { PGPASSWORD: request.password } }
    },
  }
}

/** The command line of pgbench. */
export function pgbenchArguments(request: LoadRequest, scriptFile: string | undefined): string[] {
  return [
    ...['-n', '-h', request.host, '-p', String(request.port), '-U', request.user],
    ...['-c', String(request.clients), '-j', String(threads(request)), '-T', String(request.seconds)],
    ...['-M', request.protocol, '--log', `--log-prefix=${request.logPrefix}`],
    ...(request.reconnect ? ['-C'] : []),
    ...(scriptFile === undefined ? ['-S'] : ['-f', scriptFile]),
    'postgres',
  ]
}

/** A thread waits while one of its clients connects; otherwise one drives many clients, and more would take the cores. */
function threads({ reconnect, clients }: LoadRequest): number {
  return reconnect ? clients : Math.min(clients, Math.max(1, os.availableParallelism() >> 1), 8)
}

function pgGenerator(): Generator {
  const program = fileURLToPath(new URL('pg-load.ts', import.meta.url))
  return {
    name: 'pg (npm)',
    command: (request) => ({
      command: process.execPath,
      args: ['--import=tsx', program, JSON.stringify(request)],
      env: {},
    }),
  }
}
