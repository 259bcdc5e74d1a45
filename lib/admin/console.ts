/**
 * The console: what a statement means, and who may run it. What is shown is a function of a view (show/), what is done is
 * the control's.
 *
 * Comes in: texts of clients that are logged in to the databases `pgbouncer` and `pgbun`. Goes out: statements that can be
 * run. Nothing is run before its whole text was read.
 */

import {
  type ConsoleBackend,
  ConsoleError,
  type ConsoleResult,
  type ConsoleStatement,
  type ConsoleUser,
} from '../client/lifecycle/console-backend.ts'
import { isConsoleName } from '../config/console-names.ts'
import type { ErrorFields } from '../errors.ts'
import { COMMANDS, done, shutdownMode } from './commands.ts'
import type { Control } from './control.ts'
import { driverHabit, isIgnored, parameterShown } from './driver-habits.ts'
import { type RowQuery, RowQueryReader } from './row-query.ts'
import { COMPATIBLE_VERSION } from './show/settings.ts'
import { readTokens, type Token, TokenReader } from './tokens.ts'
import { TOPICS } from './topics.ts'
import type { Topic, View } from './view.ts'

/** What the console works with. */
export interface ConsoleParts {
  /** Users that may do everything, and users that may look. */
  users(): { readonly admin: readonly string[]; readonly stats: readonly string[] }
  view(): View
  readonly control: Control
}

/** What PgBouncer's console reports at a login; drivers decide by it how to speak. */
const GREETING: ReadonlyMap<string, string> = new Map([
  ['server_version', `${COMPATIBLE_VERSION}/bouncer`],
  ['client_encoding', 'UTF8'],
  ['server_encoding', 'UTF8'],
  ['DateStyle', 'ISO'],
  ['TimeZone', 'GMT'],
  ['standard_conforming_strings', 'on'],
  ['integer_datetimes', 'on'],
  ['is_superuser', 'on'],
])

/** So much of a text that is no statement is said again in the error. */
const QUOTED = 200

/** Runs the statements of all clients of the console. */
export class Console implements ConsoleBackend {
  readonly greeting = GREETING
  #queries = 0
  #logins = 0
  readonly #parts: ConsoleParts

  constructor(parts: ConsoleParts) {
    this.#parts = parts
  }

  /** Statements that were run, and clients that were let in. */
  get counts(): View['console'] {
    return { queries: this.#queries, logins: this.#logins }
  }

  letIn(): void {
    this.#logins++
  }

  isConsole(database: string): boolean {
    return isConsoleName(database)
  }

  roleOf(user: string): ConsoleUser['role'] | undefined {
    const { admin, stats } = this.#parts.users()
    if (admin.includes(user)) return 'admin'
    return stats.includes(user) ? 'stats' : undefined
  }

  read(text: string, user: ConsoleUser): ConsoleStatement[] {
    return readTokens(text).map((tokens) => this.#counted(this.#read(tokens, text, user)))
  }

  #counted(statement: ConsoleStatement): ConsoleStatement {
    return {
      ...statement,
      run: (call) => {
        this.#queries++
        return statement.run(call)
      },
    }
  }

  #read(tokens: readonly Token[], text: string, user: ConsoleUser): ConsoleStatement {
    const verb = tokens[0]!.kind === 'word' ? tokens[0]!.text.toLowerCase() : ''
    if (verb === 'show' || verb === 'select') {
      const shown = this.#show(tokens, verb, user) ?? driverHabit(tokens)
      if (shown === undefined) throw unknownCommand(text, tokens)
      return shown
    }
    if (verb === 'set') return this.#set(tokens, user)
    return this.#command(verb, tokens, user) ?? driverHabit(tokens) ?? fail(unknownCommand(text, tokens))
  }

  // ---- what is shown ----

  /** SHOW topic, SHOW topic (columns), SELECT topic, SELECT columns FROM topic, each with conditions behind. */
  #show(tokens: readonly Token[], verb: string, user: ConsoleUser): ConsoleStatement | undefined {
    const from = tokens.findIndex(({ kind, text }) => kind === 'word' && text.toLowerCase() === 'from')
    if (verb === 'select' && from > 0) return this.#select(tokens, from, user)
    const name = nameOf(tokens[1])
    const topic = TOPICS.get(name)
    // version() is a function.
    if (verb === 'select' && tokens[2]?.text === '(') return undefined
    if (topic === undefined) return tokens.length === 2 ? parameterShown(name) : undefined
    const reader = new TokenReader(tokens.slice(2))
    const query = new RowQueryReader(reader, topic.columns)
    let selected = topic.columns.slice(0, topic.plain)
    if (reader.takesSymbol('(')) {
      selected = query.columnList()
      reader.expectSymbol(')')
    }
    return this.#shown(topic, query.rest(selected), 'SHOW', user)
  }

  #select(tokens: readonly Token[], from: number, user: ConsoleUser): ConsoleStatement | undefined {
    const topic = TOPICS.get(nameOf(tokens[from + 1]))
    if (topic === undefined) return undefined
    const list = new TokenReader(tokens.slice(1, from))
    const reader = new TokenReader(tokens.slice(from + 2))
    const query = new RowQueryReader(reader, topic.columns)
    if (list.takesSymbol('*')) {
      list.end()
      return this.#shown(topic, query.rest(topic.columns), 'SELECT', user)
    }
    if (list.takes('count')) {
      for (const symbol of ['(', '*', ')']) list.expectSymbol(symbol)
      list.end()
      return this.#shown(topic, query.rest('count'), 'SELECT', user)
    }
    const selected = new RowQueryReader(list, topic.columns).columnList()
    list.end()
    return this.#shown(topic, query.rest(selected), 'SELECT', user)
  }

  #shown(topic: Topic, query: RowQuery, tag: string, user: ConsoleUser): ConsoleStatement {
    if (topic.adminOnly) checkAdmin(user)
    return {
      columns: query.columns,
      parameters: query.parameters,
      run: ({ parameters }): ConsoleResult => {
        const rows = query.apply(topic.rows(this.#viewOf(user)), parameters)
        const { notice } = topic
        return {
          tag: tag === 'SELECT' ? `SELECT ${rows.length}` : tag,
          rows,
          notices: notice === undefined ? [] : [{ ...NOTICE, ...notice }],
        }
      },
    }
  }

  /** Admins see everything. */
  #viewOf({ role }: ConsoleUser): View {
    const view = this.#parts.view()
    return role === 'admin' ? { ...view, showsQueries: true } : view
  }

  // ---- what is done ----

  #command(verb: string, tokens: readonly Token[], user: ConsoleUser): ConsoleStatement | undefined {
    const { control } = this.#parts
    if (verb === 'shutdown') {
      const mode = tokens.length > 2 ? undefined : shutdownMode(tokens[1]?.text)
      if (mode === undefined) return undefined
      checkAdmin(user)
      return statement(() => {
        control.shutDown(mode)
        return done('SHUTDOWN')
      })
    }
    if (verb === 'reset' && tokens.length === 2 && nameOf(tokens[1]) === 'queries') {
      checkAdmin(user)
      return statement(() => {
        control.resetQueries()
        return done('RESET')
      })
    }
    const command = COMMANDS.get(verb)
    if (command === undefined || tokens.length > (command.argument === 'none' ? 1 : 2)) return undefined
    checkAdmin(user)
    return statement(async (call) => {
      await command.run(control, tokens[1]?.text, call)
      return done(verb.toUpperCase())
    })
  }

  /** SET name = value, SET name TO value. */
  #set(tokens: readonly Token[], user: ConsoleUser): ConsoleStatement {
    const reader = new TokenReader(tokens.slice(1))
    const name = nameOf(reader.take())
    if (isIgnored(name)) {
      const result = { tag: 'SET', notices: [{ ...NOTICE, message: 'SET ignored' }] }
      return statement(() => result)
    }
    if (!reader.takesSymbol('=')) reader.expect('to')
    const value = reader.take()
    if (value.kind === 'symbol') throw reader.error()
    reader.end()
    checkAdmin(user)
    return statement(async () => {
      await this.#parts.control.set(name, value.text)
      return done(`SET ${name}=${value.text}`)
    })
  }
}

const NOTICE: Pick<ErrorFields, 'severity' | 'sqlstate'> = { severity: 'NOTICE', sqlstate: '00000' }

function statement(run: ConsoleStatement['run']): ConsoleStatement {
  return { columns: undefined, parameters: [], run }
}

function nameOf(token: Token | undefined): string {
  return token === undefined || token.kind === 'symbol' || token.kind === 'string' ? '' : token.text.toLowerCase()
}

function checkAdmin(user: ConsoleUser): void {
  if (user.role !== 'admin') throw new ConsoleError('console_denied')
}

/** Says what it is that was not understood, and what to do instead. */
function unknownCommand(text: string, tokens: readonly Token[]): ConsoleError {
  const shown = text.length > QUOTED ? `${text.slice(0, QUOTED)}…` : text
  const catalogue = tokens.some(({ text: word }) => /^(pg_catalog\.|information_schema\.|pg_)/i.test(word))
  return new ConsoleError('console_invalid', {
    args: { what: `invalid command '${shown}', use SHOW HELP;` },
    hint: catalogue
      ? 'This is the console of the pooler, which has no tables: SHOW DATABASES, SHOW POOLS and SHOW CLIENTS list what there is. Connect to another database to look into that.'
      : 'SHOW HELP lists the commands.',
  })
}

function fail(error: ConsoleError): never {
  throw error
}
