import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, type ClientRequest, request } from "node:http";
import { connect as connectTo } from "node:net";
import { json, text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { builtCli } from "../../../../tooling/built-cli.ts";
import { freePort } from "../../../../tooling/postgres.ts";
import { removeScratch, StreamSearch, scratchFolder } from "../../../../tooling/secrets.ts";
import { connect } from "../support/events.ts";
import { send } from "../support/http.ts";

let cli = "";
let folder = "";
let child: ChildProcess | undefined;

beforeAll(async () => {
  cli = await builtCli();
}, 300_000);
beforeEach(async () => {
  folder = await scratchFolder("shutdown");
});
afterEach(async () => {
  if (child?.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
  await removeScratch(folder);
});

interface Running {
  readonly url: string;
  readonly out: () => string;
  readonly err: () => string;
  readonly ended: Promise<unknown[]>;
  signal(name: NodeJS.Signals): void;
}

async function start(): Promise<Running> {
  const port = await freePort();
  const env = { PATH: process.env["PATH"], PORT: String(port) };
  const started = spawn(process.execPath, [cli, "start"], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  StreamSearch.watch("the output of the server", [started.stdout, started.stderr]);
  child = started;
  let [out, err] = ["", ""];
  started.stdout.on("data", (data: Buffer) => {
    out += data.toString();
  });
  const listening = new Promise<void>((resolve, reject) => {
    started.on("exit", () => reject(new Error(`it ended: ${err}`)));
    started.stderr.on("data", (data: Buffer) => {
      err += data.toString();
      if (err.includes("Only this machine can use it.")) resolve();
    });
  });
  const ended = once(started, "close");
  await listening;
  return {
    url: `http://localhost:${port}`,
    out: () => out,
    err: () => err,
    ended,
    signal: (name) => started.kill(name),
  };
}

/** Sends a request that lacks the end of its body, `:1}`, and which the server has taken. */
async function half(url: string, agent: Agent): Promise<ClientRequest> {
  const headers = {
    "content-type": "application/json",
    "content-length": 11,
    expect: "100-continue",
  };
  const outgoing = request(`${url}/api/agents/a/memory/k`, { method: "PUT", headers, agent });
  const taken = once(outgoing, "continue");
  outgoing.write('{"value"');
  await taken;
  return outgoing;
}

/** Resolves once a server has said that it stops. */
async function stopping(server: Running): Promise<void> {
  await expect.poll(() => server.err()).toContain("finishing what is in flight");
}

it.each(["SIGTERM", "SIGINT"] as const)(
  "finishes the request in flight on %s, then ends with 0",
  async (signal) => {
    const server = await start();
    const outgoing = await half(server.url, new Agent());
    const answered = once(outgoing, "response");
    server.signal(signal);
    await stopping(server);
    outgoing.end(":1}");
    const [incoming] = await answered;
    expect(incoming.statusCode).toBe(201);
    expect(await json(incoming)).toMatchObject({ key: "k" });
    expect(await server.ended).toEqual([0, null]);

    const again = await start();
    expect((await send(again.url, { path: "/api/agents/a/memory/k" })).json).toMatchObject({
      value: 1,
    });
    again.signal("SIGTERM");
    expect(await again.ended).toEqual([0, null]);
  },
);

it("doesn't wait for connections that clients keep open, used or not", async () => {
  const server = await start();
  const { hostname, port } = new URL(server.url);
  const unused = connectTo(Number(port), hostname);
  await once(unused, "connect");
  const agent = new Agent({ keepAlive: true });
  await using stream = await connect(server.url, { agent });
  expect(await stream.next()).toMatchObject({ event: "ready" });
  const outgoing = await half(server.url, agent);
  const answered = once(outgoing, "response");
  server.signal("SIGTERM");
  await stopping(server);
  outgoing.end(":1}");
  const [incoming] = await answered;
  expect(incoming.headers.connection).toBe("close");
  expect(await json(incoming)).toMatchObject({ key: "k" });
  expect(await server.ended).toEqual([0, null]);
  // Which it would after ten seconds.
  expect(server.out()).not.toContain("cutting connections");
  unused.destroy();
  agent.destroy();
});

it("ends event streams at once, and waits for none of them", async () => {
  const server = await start();
  await using client = await connect(server.url);
  expect(await client.next()).toMatchObject({ event: "ready" });
  server.signal("SIGTERM");
  expect(await client.next()).toBeNull();
  expect(client.incoming.complete).toBe(true);
  expect(await server.ended).toEqual([0, null]);
  expect(server.out()).not.toContain("cutting connections");
  expect(server.out()).toContain('"path":"/api/events","status":200');
});

it("keeps standard output for its log, one JSON object a line", async () => {
  const server = await start();
  await send(server.url, { path: "/api/none", headers: { "x-request-id": "r-1" } });
  server.signal("SIGTERM");
  await server.ended;
  const lines = server.out().trim().split("\n");
  const entries = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(entries).toContainEqual(expect.objectContaining({ reqId: "r-1", status: 404, level: 30 }));
  expect(server.err()).toMatch(
    /^storage: files .+\/\.codespar\nCodeSpar is listening on http:\/\/localhost:\d+\n/,
  );
});

it("ends at once on a second signal a moment later, whatever is in flight", async () => {
  const server = await start();
  const outgoing = await half(server.url, new Agent());
  outgoing.on("error", () => undefined);
  server.signal("SIGTERM");
  await stopping(server);
  // A second one that comes at once is taken to be the first.
  await sleep(600);
  server.signal("SIGTERM");
  expect(await server.ended).toEqual([143, null]);
});

it("stops with one line where another process holds the port or the files", async () => {
  const server = await start();
  const second = async (port: string) => {
    const env = { PATH: process.env["PATH"], PORT: port };
    const other = spawn(process.execPath, [cli, "start"], {
      cwd: folder,
      env,
      stdio: ["ignore", "ignore", "pipe"],
    });
    const [said, [code]] = await Promise.all([text(other.stderr), once(other, "close")]);
    return { code, last: said.trim().split("\n").at(-1) };
  };
  const { port } = new URL(server.url);
  expect(await second(port)).toEqual({
    code: 1,
    last: expect.stringContaining(`PORT=${Number(port) + 1}`),
  });
  const locked = await second(String(await freePort()));
  expect(locked.last).toContain(String(child?.pid));
  expect(locked.last).toContain("STORAGE_LOCKED");
  expect(locked.code).toBe(6);
  expect((await send(server.url, { path: "/health" })).status).toBe(200);
});
