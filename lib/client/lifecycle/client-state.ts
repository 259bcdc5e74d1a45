/**
 * The states of a client and which may follow which (R1):
 *
 *   startup → login → idle ⇄ waiting → linking → active ⇄ inspecting → closed
 *   startup → canceling → closed
 *   login → console → closed
 *
 * From linking it goes back to idle where its server is lost. A replication client goes from login to active, and stays there.
 */

/** States of a client. */
export type ClientState =
  /** Its first packet is awaited. */
  | 'startup'
  /** It says who it is. */
  | 'login'
  /** Its cancel request is delivered; whatever else it sends is not looked at. */
  | 'canceling'
  /** Logged in, holding no server. */
  | 'idle'
  /** In its pool's queue. */
  | 'waiting'
  /** It has a server that is being given its settings. */
  | 'linking'
  /** It has a server. */
  | 'active'
  /** Its transaction is over, and the server is asked what it left behind. */
  | 'inspecting'
  /** It is logged in to the console, and needs no server. */
  | 'console'
  | 'closed'

const EDGES: Record<ClientState, readonly ClientState[]> = {
  startup: ['login', 'canceling', 'closed'],
  login: ['idle', 'active', 'console', 'closed'],
  canceling: ['closed'],
  idle: ['waiting', 'linking', 'active', 'closed'],
  waiting: ['idle', 'linking', 'active', 'closed'],
  linking: ['idle', 'active', 'closed'],
  active: ['idle', 'inspecting', 'linking', 'closed'],
  inspecting: ['idle', 'active', 'closed'],
  console: ['closed'],
  closed: [],
}

/** Throws where `to` may not follow `from`: a defect of pgbun, which ends that one session. */
export function checkEdge(id: number, from: ClientState, to: ClientState): void {
  // The edges of every transaction first: a look into the table costs more than all else here.
  if (from === 'idle' && (to === 'active' || to === 'waiting')) return
  if ((from === 'waiting' && to === 'active') || (from === 'active' && to === 'idle')) return
  if (!EDGES[from].includes(to)) throw new Error(`client ${id}: ${from} -> ${to}`)
}
