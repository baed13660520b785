import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** Stands between a client and a server. */
export interface Proxy extends AsyncDisposable {
  readonly port: number;
  /** From now on connections stay open and nothing comes through, as behind a broken network. */
  fallSilent(): void;
  /** Whether connections are closed at once, as by a server that isn't up yet. */
  refuse(refused: boolean): void;
}

/** Listens on a free loopback port and passes everything on to `target`'s host and port. */
export async function startProxy(target: URL): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let isSilent = false;
  let isRefused = false;
  const keep = (socket: Socket) => sockets.add(socket.on("error", () => socket.destroy()));
  const server = createServer((client) => {
    keep(client);
    if (isRefused) {
      client.destroy();
      return;
    }
    if (isSilent) return;
    const upstream = connect(Number(target.port), target.hostname);
    keep(upstream);
    client.pipe(upstream).pipe(client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("the proxy has no port");
  return {
    port: address.port,
    refuse: (refused) => {
      isRefused = refused;
    },
    fallSilent: () => {
      isSilent = true;
      for (const socket of sockets) socket.unpipe().pause();
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
