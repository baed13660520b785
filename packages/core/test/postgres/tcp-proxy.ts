import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** A way through the proxy: `requests` from the client to the server, `replies` back. */
export type Direction = "requests" | "replies";

/** One way of one connection. */
interface Way {
  readonly direction: Direction;
  readonly from: Socket;
  readonly to: Socket;
  /** What waits for the network to come back. */
  readonly held: Buffer[];
  ended: boolean;
}

/** A TCP proxy in front of a server, whose wire can be cut in ways that the server's own end can't. */
export class TcpProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #ways = new Set<Way>();
  /** What happens to bytes that come from a side; by default they go through. */
  readonly #faults: Partial<Record<Direction, "lost" | "held">> = {};

  private constructor(target: URL) {
    // Half-open ones are what this is for: that one side ends isn't to end the other by itself.
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      const [host, port] = [target.hostname, Number(target.port)];
      this.#join(client, connect({ host, port, allowHalfOpen: true }));
    });
  }

  /** Starts a proxy to the host and port of a URL. */
  static async start(url: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(new URL(url));
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  /** The URL, through the proxy. */
  through(url: string): string {
    const changed = new URL(url);
    const address = this.#server.address();
    changed.hostname = "127.0.0.1";
    changed.port = String(typeof address === "object" ? address?.port : "");
    return changed.href;
  }

  /** From now on nothing comes through in either direction, and nobody is told: a dead network. */
  blackhole(): void {
    this.lose("requests", "replies");
  }

  /** From now on what is sent arrives, and no answer comes back: a half-open connection. */
  swallowReplies(): void {
    this.lose("replies");
  }

  /** From now on what goes these ways is lost for good, and nobody is told. */
  lose(...directions: readonly Direction[]): void {
    for (const direction of directions) this.#faults[direction] = "lost";
  }

  /** From now on what goes these ways doesn't arrive before {@link TcpProxy.heal}: TCP sends it again until then. */
  hold(...directions: readonly Direction[]): void {
    for (const direction of directions) this.#faults[direction] = "held";
  }

  /** Everything comes through again, first what was held; connections on which something was lost are cut. */
  heal(): void {
    const lossy = Object.values(this.#faults).includes("lost");
    for (const direction of Object.keys(this.#faults) as Direction[])
      delete this.#faults[direction];
    if (lossy) this.cut();
    for (const way of this.#ways) {
      for (const bytes of way.held.splice(0)) way.to.write(bytes);
      if (way.ended) this.#end(way);
    }
  }

  /** Cuts every connection. */
  cut(): void {
    for (const { from } of this.#ways) from.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { from } of this.#ways) from.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  #join(client: Socket, server: Socket): void {
    this.#forward({ direction: "requests", from: client, to: server, held: [], ended: false });
    this.#forward({ direction: "replies", from: server, to: client, held: [], ended: false });
  }

  #forward(way: Way): void {
    this.#ways.add(way);
    const { direction, from, to, held } = way;
    from.on("data", (bytes) => {
      const fault = this.#faults[direction];
      if (fault === undefined) to.write(bytes);
      if (fault === "held") held.push(bytes);
    });
    const ended = () => {
      way.ended = true;
      if (this.#faults[direction] === undefined) this.#end(way);
    };
    from.on("error", () => undefined);
    from.on("end", ended);
    from.on("close", ended);
  }

  /** The side it came from is gone, and so it goes on to the other. */
  #end(way: Way): void {
    way.to.end();
    if (!way.from.destroyed) return;
    this.#ways.delete(way);
    way.to.destroySoon();
  }
}
