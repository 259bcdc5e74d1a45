/**
 * Random scripts. Most of what is sent makes sense, so that transactions, portals and statements live long enough to
 * meet each other; the rest is whatever the protocol allows. What a statement name, a portal or the transaction is by
 * then is a guess: after an error PostgreSQL skips what the generator believed to happen.
 *
 * What must hold: a direct connection comes to the same end every time (see statements.ts), and never to a FATAL.
 */

import { MARKS } from './encode.ts'
import { Random } from './random.ts'
import {
  type ClientScript,
  type CopyStream,
  type Cut,
  type FuzzMessage,
  isSync,
  legalTurns,
  type PoolMode,
  type Script,
  type Settings,
  type Turn,
  type Value,
} from './script.ts'
import { type ArgumentType, type Context, type Group, KINDS, type Kind } from './statements.ts'

export interface GenerateOptions extends Settings {
  clients: number
  /** Turns of a client at most. */
  turns: number
  /** Statements that leave state behind in a session are sent, too. */
  state: boolean
  /** Settings of transactions are sent, too, and what they decide the meaning of. */
  meaning?: boolean
}

/** These have the same text for all clients. */
const SHORT = ['tag', 'sum', 'rows', 'division', 'null']

/** Of so many kinds most of the requests are, where pipelining is tried: a text is shared once it has run several times. */
const FAVOURITES = 3

/** Type ids for Parse: int4, text, and not given. */
const OIDS: Record<ArgumentType, number> = { tag: 25, int: 23, id: 23 }

/** Functions for FunctionCall, with how many arguments they take: abs, int4pl, int4div, one that is not there. */
const FUNCTIONS = [
  { oid: 1397, count: 1 },
  { oid: 177, count: 2 },
  { oid: 154, count: 2 },
  { oid: 99_999_999, count: 1 },
] as const

const NAMES = ['a', 'b', 'c', 'a longer name, as long as PostgreSQL keeps names of other things or longer', '€']
const PORTALS = ['p', 'q']

/** The script of a case. */
export function generateScript(
  seed: number,
  { clients, turns, state, meaning = false, ...settings }: GenerateOptions,
): Script {
  const random = new Random(seed)
  const groups: Group[] = ['always']
  if (settings.mode !== 'statement') groups.push('transaction')
  if (state) groups.push('state')
  if (meaning) groups.push('settings')
  const kinds = KINDS.filter(({ group = 'always' }) => groups.includes(group))
  const favourites: Kind[] = []
  const short = KINDS.filter(({ name, group }) => group === 'shared' || SHORT.includes(name))
  if (settings.pipelining !== undefined) while (favourites.length < FAVOURITES) favourites.push(random.weighted(short))
  const scripts: ClientScript[] = []
  for (let client = 0; client < clients; client++) {
    // Who is there alone shares nothing.
    const count = random.between(favourites.length > 0 ? Math.ceil(turns / 2) : 1, turns)
    const script = new ClientGenerator(random, client, kinds, favourites, settings.mode).script(count)
    const canceled = favourites.length > 0 && random.percent(15)
    scripts.push(canceled ? { ...script, canceled } : script)
  }
  return { settings, clients: scripts }
}

/** A statement a name may stand for. */
interface Prepared {
  args: ArgumentType[]
  /** Ways to end the COPY its execution may begin. */
  copy: Kind['copy']
}

class ClientGenerator {
  readonly #random: Random
  readonly #client: number
  readonly #kinds: readonly Kind[]
  /** What most of its requests are, each of them whole. */
  readonly #favourites: readonly Kind[]
  readonly #mode: PoolMode
  #step = 0
  #inTransaction = false
  /** Statements and portals by name, as they probably are. */
  #statements = new Map<string, Prepared>()
  #portals = new Map<string, Prepared>()
  /** Names that ever stood for a COPY FROM: they may still, whatever was sent since. */
  readonly #copying: { [kind in 'statement' | 'portal']: Map<string, Kind['copy']> } = {
    statement: new Map(),
    portal: new Map(),
  }
  #messages: FuzzMessage[] = []
  /** It sends COPY FROM by the extended protocol, too; behind that, most of its Execute messages bring data along. */
  readonly #copiesExtended: boolean

  constructor(random: Random, client: number, kinds: readonly Kind[], favourites: readonly Kind[], mode: PoolMode) {
    this.#random = random
    this.#favourites = favourites
    this.#mode = mode
    this.#client = client
    this.#kinds = kinds
    this.#copiesExtended = random.percent(40)
  }

  script(count: number): ClientScript {
    const random = this.#random
    const turns: Turn[] = []
    for (const kind of this.#favourites)
      for (let left = random.below(10); left > 0; left--) turns.push(this.#request(kind))
    count += turns.length
    while (turns.length < count) {
      if (this.#favourites.length > 0 && random.percent(88)) turns.push(this.#request(this.#favourite()))
      else if (random.percent(12)) this.#conversation(turns)
      else turns.push(this.#turn('ready'))
      if (random.percent(3)) turns.push(this.#reconnected())
    }
    if (random.percent(10)) turns.at(-1)!.wait = 'nothing'
    return { client: this.#client, turns: legalTurns(turns, this.#mode) }
  }

  // ---- turns ----

  #turn(wait: Turn['wait']): Turn {
    const random = this.#random
    this.#messages = []
    const style = random.below(10)
    const parts = random.percent(5) ? random.between(10, 30) : random.between(1, 4)
    for (let left = parts; left > 0; left--) {
      if (style < 3) this.#simple()
      else if (style < 7) this.#batch()
      else if (style < 8) random.percent(50) ? this.#simple() : this.#batch()
      else this.#anything()
    }
    return this.#finish(wait)
  }

  /** One of the favourites, or the end of a transaction that would keep the server from others. */
  #favourite(): Kind {
    const random = this.#random
    const end = this.#kinds.find(({ transaction }) => transaction === 'end')
    return end && this.#inTransaction && random.percent(50) ? end : random.pick(this.#favourites)
  }

  /** One request as most drivers send it: a Query, or a batch that runs one statement; mostly in one piece. */
  #request(kind: Kind): Turn {
    const random = this.#random
    this.#messages = []
    const known = [...this.#statements.keys()].filter((name) => name !== '')
    if (random.percent(40) || kind.transaction) this.#query([kind])
    else {
      const portal = this.#bind(known.length > 0 && random.percent(50) ? random.pick(known) : this.#parse(kind))
      if (random.percent(70)) this.#messages.push({ type: 'D', kind: 'P', name: portal })
      this.#messages.push({ type: 'E', portal, limit: 0, ...this.#copies(portal) })
      this.#sync()
    }
    const turn = this.#finish('ready')
    return random.percent(80) ? { ...turn, cuts: [], stall: 0 } : turn
  }

  /** A batch whose answers are waited for with Flush, as cursors of drivers do. */
  #conversation(turns: Turn[]): void {
    const random = this.#random
    this.#messages = []
    const portal = this.#bind(this.#parse())
    if (random.percent(60)) this.#messages.push({ type: 'D', kind: 'P', name: portal })
    turns.push(this.#finish('flush'))
    for (let left = random.below(4); left > 0; left--) {
      this.#messages = []
      if (random.percent(80))
        this.#messages.push({ type: 'E', portal, limit: this.#rowLimit(), ...this.#copies(portal) })
      else this.#extended()
      turns.push(this.#finish('flush'))
    }
    this.#messages = []
    if (random.percent(50)) this.#messages.push({ type: 'C', kind: 'P', name: portal })
    if (random.percent(20)) this.#anything()
    this.#sync()
    turns.push(this.#finish('ready'))
  }

  #reconnected(): Turn {
    this.#statements.clear()
    this.#portals.clear()
    this.#inTransaction = false
    return { ...this.#turn('ready'), reconnect: this.#random.percent(50) ? 'terminate' : 'close' }
  }

  #finish(wait: Turn['wait']): Turn {
    const random = this.#random
    let closes = 0
    const messages = this.#messages.filter((item) => item.type !== 'C' || ++closes < MARKS)
    // Where the COPY turns out to be none, a Sync would end the batch.
    if (wait === 'flush') for (const item of messages) if (item.type === 'E') item.copies?.forEach(withoutSync)
    const cuts: Cut[] = []
    if (random.percent(60)) {
      for (let left = random.between(1, 4); left > 0; left--) {
        cuts.push({ at: random.below(1000) / 1000, pause: random.percent(70) ? 0 : random.below(4) })
      }
    }
    cuts.sort((a, b) => a.at - b.at)
    return { messages, wait, cuts, stall: random.percent(4) ? random.between(1, 30) : 0 }
  }

  // ---- what a turn is made of ----

  /** One to four statements in one Query. */
  #simple(): void {
    const random = this.#random
    const kinds = [this.#kind()]
    while (random.percent(22) && kinds.length < 4) kinds.push(this.#kind())
    this.#query(kinds.length === 1 ? kinds : kinds.filter(({ alone }) => !alone))
  }

  #query(statements: Kind[]): void {
    const context = this.#context()
    const sql = statements.map((kind) => kind.sql(context, ...(kind.args ?? []).map((type) => this.#literal(type))))
    const copies = statements.flatMap(({ copy }) => (copy ? [copy(context)] : []))
    this.#messages.push({ type: 'Q', sql: sql.join('; '), ...(copies.length > 0 && { copies }) })
    for (const kind of statements) this.#guess(kind)
    this.#portals.delete('')
    this.#statements.delete('')
  }

  /** Messages of the extended protocol that belong together, and mostly a Sync. */
  #batch(): void {
    const random = this.#random
    for (let left = random.percent(75) ? 1 : random.between(2, 4); left > 0; left--) {
      const known = [...this.#statements.keys()]
      const again = known.length > 0 && random.percent(45)
      const name = again ? random.pick(known) : this.#parse()
      if (random.percent(20)) this.#messages.push({ type: 'D', kind: 'S', name })
      if (random.percent(5)) this.#sync()
      if (!random.percent(92)) continue
      const portal = this.#bind(name)
      if (random.percent(50)) this.#messages.push({ type: 'D', kind: 'P', name: portal })
      this.#execute(portal)
      while (random.percent(15)) this.#execute(portal)
      if (random.percent(10)) this.#messages.push({ type: 'H' })
    }
    if (random.percent(93)) this.#sync()
  }

  /** Any message at all. */
  #anything(): void {
    const random = this.#random
    switch (random.below(10)) {
      case 0:
        this.#simple()
        break
      case 1:
        this.#messages.push(this.#functionCall())
        break
      case 2:
        this.#sync()
        break
      case 3:
        this.#messages.push({ type: 'H' })
        break
      case 4:
        this.#messages.push(random.pick([{ type: 'd', data: 'late\n' }, { type: 'c' }, { type: 'f' }] as const))
        break
      default:
        this.#extended()
    }
  }

  #extended(): void {
    const random = this.#random
    const kind = random.percent(50) ? 'S' : 'P'
    const name = kind === 'S' ? this.#name() : this.#portal()
    switch (random.below(8)) {
      case 0:
      case 1:
        this.#parse()
        break
      case 2:
      case 3:
        this.#bind()
        break
      case 4:
      case 5:
        this.#execute(this.#portal())
        break
      case 6:
        this.#messages.push({ type: 'D', kind, name })
        break
      default:
        this.#messages.push({ type: 'C', kind, name })
        if (kind === 'S') this.#statements.delete(name)
        else this.#portals.delete(name)
    }
  }

  #parse(wanted?: Kind): string {
    const random = this.#random
    // A name that is taken is an error: seldom on purpose.
    const free = NAMES.filter((name) => !this.#statements.has(name))
    const name = random.percent(45) ? '' : free.length > 0 && random.percent(92) ? random.pick(free) : this.#name()
    let kind = wanted ?? this.#kind()
    while ((kind.copy && !this.#copiesExtended) || (kind.unnamed && name !== '')) kind = this.#kind()
    const context = this.#context()
    const args: ArgumentType[] = []
    const texts = (kind.args ?? []).map((type) => {
      if (random.percent(wanted ? 3 : 25)) return this.#literal(type)
      args.push(type)
      return `$${args.length}::${type === 'tag' ? 'text' : 'int'}`
    })
    let types: number[] = []
    if (random.percent(30)) types = args.map((type) => (random.percent(90) ? OIDS[type] : random.pick([0, 23, 25, 1])))
    this.#messages.push({ type: 'P', name, sql: kind.sql(context, ...texts), types })
    this.#statements.set(name, { args, copy: kind.copy })
    if (kind.copy) this.#copying.statement.set(name, kind.copy)
    if (random.percent(80)) this.#guess(kind)
    return name
  }

  #bind(statement = this.#name()): string {
    const random = this.#random
    const known = this.#statements.get(statement)
    const portal = this.#portals.size < 2 && random.percent(20) ? random.pick(PORTALS) : ''
    const values = (known?.args ?? []).map((type) => this.#value(type))
    if (random.percent(3)) values.push('1')
    if (random.percent(2)) values.pop()
    const formats = random.percent(90) ? [] : values.map(() => random.below(2))
    const binary = values.map((value, at) => (formats[at] === 1 ? inBinary(value) : value))
    const results = random.percent(3) ? [1, 0] : random.pick([[], [0], [1]])
    this.#messages.push({ type: 'B', portal, statement, values: binary, formats, results })
    this.#portals.set(portal, known ?? { args: [], copy: undefined })
    const copy = this.#copying.statement.get(statement)
    if (copy) this.#copying.portal.set(portal, copy)
    return portal
  }

  #execute(portal: string): void {
    const random = this.#random
    const limit = random.percent(70) ? 0 : this.#rowLimit()
    this.#messages.push({ type: 'E', portal, limit, ...this.#copies(portal) })
  }

  /**
   * Never 1: what a suspended INSERT … RETURNING has written is seen by the next statement only if a Parse came between
   * (exec_parse_message increments the command counter), and pgbun may prepare one there again. All of them write one row.
   */
  #rowLimit(): number {
    return this.#random.between(2, 4)
  }

  #copies(portal: string): { copies?: CopyStream[] } {
    const copy = this.#copying.portal.get(portal)
    return copy ? { copies: [copy(this.#context())] } : {}
  }

  #sync(): void {
    this.#messages.push({ type: 'S' })
    if (!this.#inTransaction) this.#portals.clear()
  }

  #functionCall(): FuzzMessage {
    const random = this.#random
    const { oid, count } = random.pick(FUNCTIONS)
    const values: Value[] = []
    for (let left = random.percent(95) ? count : 3; left > 0; left--) values.push(this.#value('int'))
    return { type: 'F', oid, values }
  }

  // ---- choices ----

  #kind(): Kind {
    const random = this.#random
    // Transactions that are left open for long keep the others waiting and most statements failing.
    if (this.#inTransaction && random.percent(18)) {
      const end = this.#kinds.find(({ transaction }) => transaction === 'end')
      if (end) return end
    }
    return random.weighted(this.#kinds)
  }

  #guess({ transaction }: Kind): void {
    if (transaction === 'begin') this.#inTransaction = true
    if (transaction === 'end') this.#inTransaction = false
  }

  #context(): Context {
    return { random: this.#random, client: this.#client, tag: `c${this.#client}.${++this.#step}` }
  }

  #name(): string {
    const known = [...this.#statements.keys()]
    if (known.length > 0 && this.#random.percent(85)) return this.#random.pick(known)
    return this.#random.pick(['', ...NAMES])
  }

  #portal(): string {
    const known = [...this.#portals.keys()]
    if (known.length > 0 && this.#random.percent(85)) return this.#random.pick(known)
    return this.#random.pick(['', ...PORTALS])
  }

  #literal(type: ArgumentType): string {
    if (type === 'tag') return `'${this.#context().tag}'`
    return String(this.#number(type))
  }

  #value(type: ArgumentType): Value {
    const random = this.#random
    if (random.percent(3)) return null
    if (type === 'tag') {
      const { tag } = this.#context()
      return random.percent(3) ? { text: `${tag} `, length: random.below(150_000) } : tag
    }
    return random.percent(3) ? 'x' : String(this.#number(type))
  }

  #number(type: ArgumentType): number {
    return type === 'id' ? this.#random.below(20) : this.#random.between(-1, 8)
  }
}

function withoutSync(copy: CopyStream): void {
  copy.parts = copy.parts.filter((part) => !isSync(part))
}

/** Text as it is; a whole number in the four bytes of its binary format. */
function inBinary(value: Value): Value {
  if (typeof value !== 'string' || !/^-?\d+$/.test(value)) return value
  return `\\x${(Number(value) >>> 0).toString(16).padStart(8, '0')}`
}
