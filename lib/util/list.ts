/**
 * An intrusive doubly linked list: members carry their own links, so moving an object between lists allocates nothing
 * and leaving a list from the middle is O(1). An object is on at most one list; the list it is on says its state.
 */

/** What a member of a list must carry. Only List writes these fields. */
export interface ListNode<T> {
  list: { readonly name: string } | null
  prev: T | null
  next: T | null
}

/** A list of members that carry their own links. */
export class List<T extends ListNode<T>> {
  /** Name of the state its members are in, for errors. */
  readonly name: string
  #head: T | null = null
  #tail: T | null = null
  #size = 0

  constructor(name: string) {
    this.name = name
  }

  get size(): number {
    return this.#size
  }

  get first(): T | null {
    return this.#head
  }

  get last(): T | null {
    return this.#tail
  }

  /** Append `node`. Throws where it is on a list already: a member of two lists is a state error. */
  push(node: T): void {
    this.#adopt(node)
    node.prev = this.#tail
    node.next = null
    if (this.#tail) this.#tail.next = node
    else this.#head = node
    this.#tail = node
  }

  /** Take `node` out. Throws where it is not on this list. */
  remove(node: T): void {
    if (node.list !== this) throw new Error(`not a member of list ${this.name}`)
    if (node.prev) node.prev.next = node.next
    else this.#head = node.next
    if (node.next) node.next.prev = node.prev
    else this.#tail = node.prev
    node.list = null
    node.prev = null
    node.next = null
    this.#size--
  }

  /** Take out and return the first member. */
  shift(): T | null {
    const node = this.#head
    if (node) this.remove(node)
    return node
  }

  /** The members in order; the current one may be removed while iterating. */
  *[Symbol.iterator](): Generator<T> {
    let node = this.#head
    while (node) {
      const next: T | null = node.next
      yield node
      node = next
    }
  }

  #adopt(node: T): void {
    if (node.list) throw new Error(`already a member of list ${node.list.name}`)
    node.list = this
    this.#size++
  }
}
