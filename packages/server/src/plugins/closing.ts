import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";

/** Milliseconds in which a connection that is open may still bring its first request. */
const firstRequestMs = 500;

/** While the server closes, lets each connection go that carries no request: clients that keep theirs open would hold it up. */
export function letConnectionsGo(app: FastifyInstance): void {
  const open = new Set<Socket>();
  let closing = false;
  app.server.on("connection", (socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  app.addHook("preClose", (done) => {
    closing = true;
    // Browsers connect ahead of need, and Node doesn't count as idle what has never carried a request.
    setTimeout(() => {
      for (const socket of open) if (socket.bytesRead === 0) socket.destroy();
    }, firstRequestMs).unref();
    done();
  });
  app.addHook("onSend", (_request, reply, payload, done) => {
    if (closing) void reply.header("connection", "close");
    done(null, payload);
  });
  app.addHook("onResponse", (_request, _reply, done) => {
    // Of an answer that had begun before.
    if (closing) app.server.closeIdleConnections();
    done();
  });
}
