/** A map that counts its changes, so that whoever computed something from it can tell whether it still holds. */
export class StampedMap<K, V> extends Map<K, V> {
  /** Grows with every change. */
  stamp = 0

  override set(key: K, value: V): this {
    this.stamp++
    return super.set(key, value)
  }

  override delete(key: K): boolean {
    this.stamp++
    return super.delete(key)
  }

  override clear(): void {
    this.stamp++
    super.clear()
  }
}
