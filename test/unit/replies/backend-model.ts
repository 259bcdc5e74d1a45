/**
 * PostgreSQL's own loop (PostgresMain in postgres.c, CopyGetData in copyfromparse.c) as an executable model: requests
 * in, replies out, one step at a time. What a request leads to is decided by its `plan` when it is made, as the text of
 * a statement would decide it, and by `luck` where the server decides.
 *
 * Replies are type letters; `*` stands for a run of messages nobody looks at (rows, copy data, descriptions of
 * parameters, results of functions).
 */

/** What one statement does. */
export type Statement = 'rows' | 'command' | 'empty' | 'error' | 'rows then error' | 'copy in' | 'copy out'

/** A client's message. */
export interface Request {
  /** Type letter of the protocol. */
  type: string
  /** What it leads to, where that is not the server's decision alone. */
  statements?: Statement[]
  fails?: boolean
  /** Execute with a row limit that is reached; Describe of a portal without columns; CopyData that does not parse. */
  variant?: boolean
  /** The proxy sends it on its own: the client must not see the answer. */
  injected?: boolean
  /** The proxy does not send it: it answers in the server's place. */
  faked?: boolean
}

/** A server's message, or one of the proxy's in its place. */
export interface Reply {
  type: string
  to: 'client' | 'nobody'
  faked?: boolean
}

export class BackendModel {
  /** Requests the server has not read yet. */
  readonly input: Request[] = []
  /** Replies not delivered yet. */
  readonly output: Reply[] = []
  #skipping = false
  /** An extended message since the last Sync, Query or FunctionCall. */
  #batch = false
  /** A COPY FROM STDIN reads the input; with what follows it in the same Query, or undefined for an Execute. */
  #copy: { rest: Statement[] | undefined } | undefined
  /** Inside of a Query or Execute: replies not produced yet, one per step. */
  #work: (() => void)[] = []
  #luck: () => number

  /** @param luck random numbers from 0 to 1 */
  constructor(luck: () => number) {
    this.#luck = luck
  }

  /** It will not say anything more unless it is sent something. */
  get quiet(): boolean {
    return this.#work.length === 0 && this.input.length === 0
  }

  /**
   * It is where a server is that may be given to another client. What it does not get to see does not count, nor what
   * it will ignore when it gets to it.
   */
  get clean(): boolean {
    const asked = this.input.some((request) => !request.faked && !'dcfH'.includes(request.type))
    const owed = this.output.some((reply) => !reply.faked)
    return !asked && !owed && this.#work.length === 0 && !this.#skipping && !this.#batch && this.#copy === undefined
  }

  get skipping(): boolean {
    return this.#skipping
  }

  /** Do one thing. */
  step(): void {
    const work = this.#work.shift()
    if (work) work()
    else {
      const request = this.input.shift()
      if (request) this.#take(request)
    }
  }

  #say(type: string, request?: Request): void {
    this.output.push({ type, to: request?.injected ? 'nobody' : 'client', faked: request?.faked })
  }

  #take(request: Request): void {
    if (this.#copy) {
      this.#takeInCopy(request)
      return
    }
    const { type } = request
    const committing = this.#batch && !this.#skipping
    // SocketBackend: a Sync ends skipping whoever sent it.
    if (type === 'S') this.#skipping = false
    if (this.#skipping) return
    if ('PBDEC'.includes(type) && !request.faked) this.#batch = true
    switch (type) {
      case 'P':
        this.#extended(request, '1')
        break
      case 'B':
        this.#extended(request, '2')
        break
      case 'C':
        this.#extended(request, '3')
        break
      case 'D':
        if (request.fails) this.#extended(request, '')
        else {
          if (this.#luck() < 0.5) this.#say('*', request)
          this.#say(request.variant ? 'n' : 'T', request)
        }
        break
      case 'E':
        this.#execute(request)
        break
      case 'S':
        // A deferred constraint: the error is not one of an extended message.
        if (request.fails && committing) this.#say('E', request)
        this.#batch = false
        this.#say('Z', request)
        break
      case 'Q':
        this.#batch = false
        this.#query(request.statements!)
        break
      case 'F':
        this.#batch = false
        this.#say(request.fails ? 'E' : '*')
        this.#work.push(() => this.#say('Z'))
        break
      // H asks for nothing; d, c and f are what is left of a COPY that failed.
    }
  }

  #extended(request: Request, type: string): void {
    if (!request.fails) {
      this.#say(type, request)
      return
    }
    // The client is to see it, whoever sent the request.
    this.#say('E')
    this.#skipping = true
  }

  #execute(request: Request): void {
    const [statement] = request.statements!
    switch (statement) {
      case 'error':
      case 'rows then error':
        if (statement !== 'error') this.#say('*')
        this.#work.push(() => this.#fail(undefined))
        break
      case 'rows':
        this.#say('*')
        this.#work.push(() => this.#say(request.variant ? 's' : 'C'))
        break
      case 'command':
        this.#say('C')
        break
      case 'empty':
        this.#say('I')
        break
      case 'copy out':
        this.#say('*')
        this.#work.push(() => this.#say('C'))
        break
      case 'copy in':
        this.#beginCopy(undefined)
    }
  }

  #query(statements: Statement[]): void {
    const [statement, ...rest] = statements
    const next = (): void => this.#query(rest)
    switch (statement) {
      case undefined:
        this.#say('Z')
        break
      case 'error':
      case 'rows then error':
        if (statement !== 'error') this.#work.push(() => this.#say('T'))
        this.#work.push(() => this.#fail(rest))
        break
      case 'rows':
        this.#say('T')
        this.#work.push(
          () => this.#say('*'),
          () => this.#say('C'),
          next,
        )
        break
      case 'command':
        this.#work.push(() => this.#say('C'), next)
        break
      case 'empty':
        this.#work.push(() => this.#say('I'), next)
        break
      case 'copy out':
        this.#work.push(
          () => this.#say('*'),
          () => this.#say('C'),
          next,
        )
        break
      case 'copy in':
        this.#beginCopy(rest)
    }
  }

  /** An error in a statement; `rest` is undefined for that of an Execute. */
  #fail(rest: Statement[] | undefined): void {
    this.#copy = undefined
    this.#work = []
    this.#say('E')
    if (rest === undefined) this.#skipping = true
    else this.#work.push(() => this.#say('Z'))
  }

  #beginCopy(rest: Statement[] | undefined): void {
    this.#say('G')
    this.#copy = { rest }
    // A view, a trigger: it fails with the CopyInResponse sent and before it reads any data.
    if (this.#luck() < 0.1) this.#work.push(() => this.#fail(rest))
  }

  #takeInCopy(request: Request): void {
    const { rest } = this.#copy!
    switch (request.type) {
      case 'S':
      case 'H':
        return
      case 'd':
        if (request.variant) this.#fail(rest)
        return
      case 'f':
        this.#fail(rest)
        return
      case 'c':
        if (request.variant) this.#fail(rest)
        else {
          this.#copy = undefined
          this.#say('C')
          if (rest) this.#work.push(() => this.#query(rest))
        }
        return
      default:
        throw new Error(`the generator sent ${request.type} in a COPY: PostgreSQL ends the session`)
    }
  }
}
