/** The load generators: pgbench where it is on PATH, else pg-load.ts. */
import { writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { typescript } from '../fixtures/runtimes.ts'
import { findProgram, versionOf } from './find-program.ts'
import type { Generator, LoadRequest } from './load.ts'
import { pgbenchScripts } from './scripts.ts'

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
      const files = pgbenchScripts(request.script).map((text, index) => {
        const file = path.join(directory, `script-${index}.sql`)
        writeFileSync(file, text)
        return file
      })
      return { command, args: pgbenchArguments(request, files), env: pgbenchEnvironment(request) }
    },
  }
}

/** Variables of libpq that make startup parameters. */
const variables: Readonly<Record<string, string>> = { TimeZone: 'PGTZ', DateStyle: 'PGDATESTYLE' }

/** What pgbench learns from its environment. @throws Error for a startup parameter libpq has no variable for */
export function pgbenchEnvironment({ password, parameters, tls }: LoadRequest): Record<string, string> {
  const env: Record<string, string> = { PGPASSWORD: password, PGSSLMODE: tls ? 'require' : 'disable' }
  for (const [name, value] of Object.entries(parameters)) {
    const variable = variables[name]
    if (variable === undefined) throw new Error(`pgbench cannot be told the startup parameter ${name}`)
    env[variable] = value
  }
  return env
}

/** The command line of pgbench. */
export function pgbenchArguments(request: LoadRequest, scriptFiles: readonly string[]): string[] {
  return [
    ...['-n', '-h', request.host, '-p', String(request.port), '-U', request.user],
    ...['-c', String(request.clients), '-j', String(threads(request)), '-T', String(request.seconds)],
    ...['-M', request.protocol, '--log', `--log-prefix=${request.logPrefix}`],
    ...(request.reconnect ? ['-C'] : []),
    ...(scriptFiles.length === 0 ? ['-S'] : scriptFiles.flatMap((file) => ['-f', file])),
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
      args: [typescript, program, JSON.stringify(request)],
      env: {},
    }),
  }
}
