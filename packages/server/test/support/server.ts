import type { Storage } from "@codespar/core";
import { buildServer, type ServerOptions } from "@codespar/server";
import { afterAll, beforeAll, describe } from "vitest";
import { backends, type TestBackend } from "./backends.ts";
import { Contract, type Description } from "./contract.ts";
import { type Answer, type Call, send } from "./http.ts";

/** A server on a port of its own; every answer that `call` gets is checked against the server's own OpenAPI document. */
export interface TestServer {
  readonly origin: string;
  readonly storage: Storage;
  /** Its own OpenAPI document. */
  readonly description: Description;
  call(call: Call): Promise<Answer>;
  close(): Promise<void>;
}

/** Serves a storage on a free port of the loopback address. */
export async function serve(
  storage: Storage,
  options: Partial<ServerOptions> = {},
): Promise<TestServer> {
  const app = await buildServer({ storage, ...options });
  const origin = await app.listen({ host: "127.0.0.1", port: 0 });
  const { json } = await send(origin, { path: "/openapi.json" });
  const contract = new Contract(json as Description);
  return {
    origin,
    storage,
    description: contract.description,
    call: async (call) => {
      const answer = await send(origin, call);
      contract.check(call, answer);
      return answer;
    },
    close: () => app.close(),
  };
}

/** Serves a new, empty storage; `close` also removes it. */
export async function serveOn(
  backend: TestBackend,
  options: Partial<ServerOptions> = {},
): Promise<TestServer> {
  const { storage, remove } = await backend.open();
  const server = await serve(storage, options);
  return {
    ...server,
    close: async () => {
      await server.close();
      await remove();
    },
  };
}

/** Runs a suite against a server on each backend: one server for the suite, so tests use ids of their own. */
export function describeServed(topic: string, suite: (server: TestServer) => void): void {
  describe.each(backends)(`${topic} on $name`, (backend) => {
    let server: TestServer | undefined;
    const running = () => {
      if (server === undefined) throw new Error("the server runs only inside tests");
      return server;
    };
    beforeAll(async () => {
      server = await serveOn(backend);
    });
    afterAll(() => server?.close());
    suite({
      get origin() {
        return running().origin;
      },
      get storage() {
        return running().storage;
      },
      get description() {
        return running().description;
      },
      call: (call) => running().call(call),
      close: () => running().close(),
    });
  });
}

let ids = 0;

/** An id that no other test of the file uses. */
export function freshId(what: string): string {
  ids += 1;
  return `${what}-${ids}`;
}
