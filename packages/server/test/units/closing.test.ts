import { once } from "node:events";
import { Agent, get, type IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import Fastify from "fastify";
import { expect, it } from "vitest";
import { letConnectionsGo } from "../../src/plugins/closing.ts";

it("lets a connection go whose answer had begun before the server closes, once that has ended", async () => {
  const app = Fastify();
  letConnectionsGo(app);
  const body = new PassThrough();
  app.get("/", (_request, reply) => reply.send(body));
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  const agent = new Agent({ keepAlive: true });
  const answered = once(get(url, { agent }), "response");
  body.write("begun, ");
  const [incoming] = (await answered) as [IncomingMessage];
  expect(incoming.headers.connection).toBe("keep-alive");
  const closed = app.close();
  await expect.poll(() => app.server.listening).toBe(false);
  body.end("ended");
  expect(await text(incoming)).toBe("begun, ended");
  await closed;
  agent.destroy();
});
