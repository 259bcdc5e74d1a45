/** The way to one node of a cluster, which can be cut as by a broken switch: nothing arrives any more, and nobody is told. */
import net, { type AddressInfo, type Socket } from 'node:net'
import type { Owner } from '../bench/owner.ts'
import type { Node } from '../fixtures/cluster.ts'

export class Line {
  readonly node: Node
  readonly host = '127.0.0.1'
  /** Nothing passes. */
  isCut = false
  readonly #server: net.Server
  readonly #ends = new Map<Socket, Socket>()

  private constructor(node: Node) {
    this.node = node
    this.#server = net.createServer({ pauseOnConnect: true }, (socket) => this.#connect(socket))
  }

  /** A line to `node`, which ends with `owner`. */
  static async start(owner: Owner, node: Node): Promise<Line> {
    const line = new Line(node)
    await new Promise<void>((resolve) => line.#server.listen(0, line.host, resolve))
    owner.teardown(() => {
      line.#server.close()
      for (const end of line.#ends.keys()) end.destroy()
    })
    return line
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** What is under way stays there; who connects hears nothing. */
  cut(): void {
    this.isCut = true
    for (const end of this.#ends.keys()) end.pause()
  }

  /** Everything goes on where it was, as TCP does after a while. */
  mend(): void {
    this.isCut = false
    for (const end of this.#ends.keys()) end.resume()
  }

  #connect(client: Socket): void {
    const server = net.connect({ host: this.node.host, port: this.node.port })
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#ends.set(from, to)
      from.setNoDelay(true)
      from.on('error', () => {})
      from.on('data', (bytes) => {
        if (to.write(bytes) || from.isPaused()) return
        from.pause()
        to.once('drain', () => this.isCut || from.resume())
      })
      // The end of one end is not heard of either while it is cut.
      from.on('end', () => to.end())
      from.on('close', () => {
        this.#ends.delete(from)
        if (!this.isCut) to.destroy()
      })
      if (this.isCut) from.pause()
      else from.resume()
    }
  }
}
