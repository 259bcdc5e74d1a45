/**
 * The process ids in cancel keys. Where a pgbun has peers with ids (`peer_id`), the upper 14 bits of a key's process id say
 * whose client it is; the others, and the secret beside it, are random: 49 bits that nobody can guess in protocol 3.0.
 */

/** A cancel request is passed on so often at most, as by PgBouncer. */
export const MOST_HOPS = 3

const RANDOM_BITS = 17

/** A process id of a client of peer `id`, made of 31 random bits; of any client where `id` is 0. */
export function pidOfPeer(id: number, random: number): number {
  return id === 0 ? random : id * 2 ** RANDOM_BITS + (random % 2 ** RANDOM_BITS)
}

/** The peer whose client has the process id `pid`. */
export function peerOfKey(pid: number): number {
  return pid >>> RANDOM_BITS
}
